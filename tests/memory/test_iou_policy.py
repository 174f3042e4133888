"""The `iou` policy against a second implementation.

No vector of the released model exists for this policy. What is checked here is that two implementations of DESIGN 3
agree, one of which is this test: one track, every step's memories in lists, nothing batched, nothing forgotten.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lmeec
from lmeec.config import MemoryConfig

ENTRIES = 6


def listed(ious, length, threshold):
    """Steps in the order in which the released code lists them, for a track that has made the steps of `ious`."""
    k, names = len(ious), []
    for step in range(k):
        if step != 0 and step >= k - (min(length, 16) - 1) and ious[step] > threshold:
            names.append(step)
    if k - 1 not in names:
        names.append(k - 1)
    if k >= 2 and k - 2 not in names:
        names.append(k - 2)
    return names


def naive(model, query, target, masks, threshold):
    """Mask logits [T, s, s] and predicted IoU [T], one step after the other."""
    length = len(masks)
    views, memories, pointers, ious, logits = [], [], [], [], []
    for k in range(length):
        seen = model.encode(model.normalise(torch.from_numpy(query[k])[None]))
        there = model.encode(model.normalise(torch.from_numpy(target[k])[None]))
        view = model.view_memory(seen.coarse, model.query_mask(torch.from_numpy(masks[k])[None]))
        prepared = model.prepare(there.coarse)
        fused = model.attend_view(prepared, view)
        if k:
            names = listed(ious, length, threshold)
            entries = names[-ENTRIES:]
            recency = [len(entries) - i for i in range(len(entries))]
            codes = torch.stack([model.memory_position + model.maskmem_tpos_enc[r - 1, 0] for r in recency])
            banks = torch.cat([views[e] for e in entries] + [memories[e] for e in entries])
            newest_first = torch.cat([pointers[step] for step in names[::-1]])
            guided = model.attend_memory(
                prepared,
                banks[None],
                torch.cat([codes, codes]),
                newest_first[None],
                model.pointer_positions(len(names), min(length, 16) - 1)[None],
            )
            fused = model.MV_MoE(guided, fused)
        decoded = model.decode(fused, there)
        views.append(view)
        memories.append(model.target_memory(there.coarse, decoded))
        pointers.append(decoded.object_pointer)
        ious.append(float(decoded.predicted_iou))
        logits.append(decoded.mask_logits[0])
    return torch.stack(logits), ious


@pytest.mark.parametrize("length", [2, 3, 12, 20])
def test_the_policy_equals_a_second_implementation(length, model, reference):
    """Tracks as short as their pointers reach, and longer than that."""
    step = np.arange(length) * 5 % 12
    clip = [reference[name][step] for name in ("query", "target", "masks")]
    with torch.no_grad():
        _, ious = naive(model, *clip, threshold=0.5)
        threshold = sorted(ious)[length // 2]
        expected, ious = naive(model, *clip, threshold)
    if length > 8:
        confident = sum(iou > threshold for iou in ious)
        assert 2 < confident < length - 2, "both kinds of steps occur"
    memory = MemoryConfig(policy="iou", iou_threshold=threshold)
    track = lmeec.track(model, *clip, memory)
    np.testing.assert_allclose(track.mask_logits, expected, atol=1e-4, rtol=0)
    np.testing.assert_allclose(track.predicted_iou, ious, atol=1e-5, rtol=0)


def test_the_list_is_not_in_the_order_of_time():
    assert listed([0.9, 0.9, 0.1, 0.1], 12, 0.3) == [1, 3, 2]
