"""Round trips written down naively: one track, step after step, lists for banks, loops for the policy `drop`."""

from __future__ import annotations

import itertools

import numpy as np
import torch
import torch.nn.functional as F

ENTRIES_SEEN_BY_POINTERS = 16


@torch.inference_mode()
def naive_round_trips(model, query_frames, target_frames, predicted, given, *, remembers, size=None):
    """Take the predictions of a track back.

    Args:
        model: of the way back.
        query_frames: uint8 [T, S, S, 3] of the view in which masks were given.
        target_frames: the same of the view in which they were predicted.
        predicted: bool [T, h, w].
        given: bool [T, h', w'], at the size at which masks are compared.
        remembers: with banks and pointers, which only steps with a mask get to; else each step by itself.
        size: entries in a full bank; None for the model's.

    Returns:
        IoU and object score of each step; (0, None) for an empty prediction.
    """
    config = model.config
    size = config.num_maskmem - 1 if size is None else size
    reach = min(len(predicted), ENTRIES_SEEN_BY_POINTERS) - 1
    query_bank, target_bank, pointers, trips = [], [], [], []
    for query_frame, target_frame, mask, truth in zip(query_frames, target_frames, predicted, given, strict=True):
        if not mask.any():
            trips.append((0.0, None))
            continue
        # The roles are swapped: the object is shown in the target view and looked for in the query view.
        shown, looked_at = (
            model.encode(model.normalise(torch.from_numpy(frame)[None])) for frame in (target_frame, query_frame)
        )
        resized = F.interpolate(
            torch.from_numpy(mask)[None, None].float(),
            (config.image_size,) * 2,
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
        as_query = resized[:, 0] >= 0.5
        view = model.view_memory(shown.coarse, as_query)
        prepared = model.prepare(looked_at.coarse)
        fused = model.attend_view(prepared, view)
        if remembers and query_bank:
            places = [config.num_maskmem - slot - 2 for slot in range(len(query_bank))]
            positions = [model.memory_position + model.maskmem_tpos_enc[place].reshape(1, -1) for place in places]
            latest = pointers[::-1][:reach]
            guided = model.attend_memory(
                prepared,
                torch.stack([*query_bank, *target_bank])[None],
                torch.stack([*positions, *positions]),
                torch.stack(latest)[None] if latest else torch.zeros(1, 0, config.hidden_dim),
                model.pointer_positions(len(latest), max(reach, 1))[None],
            )
            fused = model.MV_MoE(guided, fused)
        decoded = model.decode(fused, looked_at, model.prototype(shown, as_query))
        if remembers:
            query_bank = _shortened([*query_bank, view[0]], size)
            target_bank = _shortened([*target_bank, model.target_memory(looked_at.coarse, decoded)[0]], size)
            pointers.append(decoded.object_pointer[0])
        logits = F.interpolate(decoded.mask_logits[None], truth.shape, mode="bilinear", align_corners=False)[0, 0]
        trips.append((_iou(logits.numpy() > 0, truth), float(decoded.object_score)))
    return trips


def _shortened(entries, size):
    """At every position, of the two successive entries that are nearest to each other, the later one goes."""
    if len(entries) <= size:
        return entries
    positions = []
    for position in range(len(entries[0])):
        here = [entry[position].numpy() for entry in entries]
        distances = [float(((after - before) ** 2).sum()) for before, after in itertools.pairwise(here)]
        nearest = distances.index(min(distances))
        positions.append(np.stack([value for place, value in enumerate(here) if place != nearest + 1]))
    return list(torch.from_numpy(np.stack(positions, 1)))


def _iou(first, second):
    union = (first | second).sum()
    return float((first & second).sum() / union) if union else 1.0
