"""A batch's predictions on the host."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lmeec.inference.outputs import HostBuffers, fetch_outputs
from lmeec.model.lmeec import Decoded


def test_outputs_come_as_they_were_whatever_the_sizes():
    generator = torch.Generator().manual_seed(0)
    logits, scores, iou = (torch.randn(*shape, generator=generator) for shape in ((3, 16, 16), (3,), (3,)))
    sizes = [(27, 48), (48, 48), (27, 48)]
    outputs = fetch_outputs(Decoded(logits, scores, iou, torch.zeros(3, 8)), sizes).get()
    assert outputs.object_scores == scores.tolist()
    assert outputs.predicted_iou == iou.tolist()
    for mask, row, size in zip(outputs.masks, logits, sizes, strict=True):
        resized = F.interpolate(row[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        assert mask.dtype == bool
        assert (mask == (resized > 0).numpy()).all()


def test_outputs_wait_in_memory_that_is_used_again_only_once_they_were_read():
    def decoded(seed: int, rows: int) -> Decoded:
        generator = torch.Generator().manual_seed(seed)
        logits, scores, iou = (torch.randn(*s, generator=generator) for s in ((rows, 16, 16), (rows,), (rows,)))
        return Decoded(logits, scores, iou, torch.zeros(rows, 8))

    def same(outputs, seed, rows):
        plain = fetch_outputs(decoded(seed, rows), [(27, 48)] * rows).get()
        assert outputs.object_scores == plain.object_scores
        assert all((a == b).all() for a, b in zip(outputs.masks, plain.masks, strict=True))

    buffers = HostBuffers()
    coming = [fetch_outputs(decoded(seed, 2), [(27, 48)] * 2, buffers) for seed in (1, 2)]
    for seed, some in zip((1, 2), coming, strict=True):
        same(some.get(), seed, 2)
    place = coming[0].get().masks[0].ctypes.data
    coming[0].release()
    again = fetch_outputs(decoded(3, 1), [(27, 48)], buffers).get()
    assert abs(again.masks[0].ctypes.data - place) < 2 * 8, "in the same buffer, behind fewer scores"
    same(again, 3, 1)
    same(coming[1].get(), 2, 2)
    coming[1].release()
    same(fetch_outputs(decoded(4, 3), [(27, 48)] * 3, buffers).get(), 4, 3)
