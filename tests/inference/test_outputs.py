"""A batch's predictions on the host."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lmeec.inference.outputs import fetch_outputs
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
