import numpy as np
import torch
from torch._dynamo.testing import CompileCounter

import lmeec
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from lmeec.model.compiled import compile_for_gpu
from tests.support.reference import small_model


def test_batches_of_any_size_and_filling_banks_compile_nothing_again(reference):
    torch._dynamo.reset()
    counter = CompileCounter()
    model = compile_for_gpu(small_model(), backend=counter)
    _run(model, 1, reference)
    _run(model, 3, reference)
    compiled = counter.frame_count
    for tracks in (2, 5):
        logits = _run(model, tracks, reference)
        np.testing.assert_allclose(logits, reference["drop/logits"][:9], atol=1e-3, rtol=0)
    assert counter.frame_count == compiled


def _run(model, count, reference):
    """Follow the same track several times at once, four of them in a batch."""
    tracker = Tracker(
        model, [PlannedTrack(i, "q", "t", range(12)) for i in range(count)], lmeec.MemoryConfig(), batch_tracks=4
    )
    steps = []
    for k in range(9):
        frames = {"q": torch.from_numpy(reference["query"][k]), "t": torch.from_numpy(reference["target"][k])}
        masks = dict.fromkeys(range(count), torch.from_numpy(reference["masks"][k]))
        steps.append([decoded.mask_logits for _, decoded in tracker.step(range(count), frames, masks)][-1][-1])
    return torch.stack(steps)
