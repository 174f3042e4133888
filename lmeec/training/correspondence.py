"""An extra loss for training from scratch: what shows one object in two views must find each other.

The encoder of a pretrained SAM 2.1 tells objects apart already; a fresh one learns to do so much sooner from this than
through the mask decoder. It has two parts: whole objects are matched among all objects of a batch (InfoNCE, van den
Oord et al. 2018), and cells of the grid carry the query's mask over to the target by their similarity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmeec.training.clips.clip import ClipBatch

OBJECT_TEMPERATURE, CELL_TEMPERATURE = 0.07, 0.05
_BACKGROUND_WEIGHT = 8.0
"""Of the mean over a background cell's entropies against that over the object's cells."""


def correspondence_loss(query: Tensor, target: Tensor, batch: ClipBatch) -> Tensor:
    """The sum of both parts.

    Args:
        query: coarse features of the query frames, [B, T, C, h, w].
        target: the same of the target frames.
        batch: the objects and their masks.
    """
    return object_loss(query, target, batch) + cell_loss(query, target, batch)


def object_loss(query: Tensor, target: Tensor, batch: ClipBatch) -> Tensor:
    """Symmetric cross entropy of matching the objects that both views show, mean over them; see above."""
    both = batch.visible & batch.annotated
    in_query = _object_features(query, batch.query_masks, batch)[both]
    in_target = _object_features(target, batch.target_masks, batch)[both]
    if len(in_query) < 2:
        return query.new_zeros(())
    similarity = in_query @ in_target.T / OBJECT_TEMPERATURE
    # The same object at another instant or in another pair of views is neither right nor wrong.
    owner = batch.identity[:, None].expand_as(both)[both]
    same = owner[:, None] == owner[None]
    diagonal = torch.eye(len(owner), dtype=torch.bool, device=query.device)
    similarity = similarity.masked_fill(same & ~diagonal, -torch.inf)
    right = torch.arange(len(owner), device=query.device)
    return (F.cross_entropy(similarity, right) + F.cross_entropy(similarity.T, right)) / 2


def cell_loss(query: Tensor, target: Tensor, batch: ClipBatch) -> Tensor:
    """Cross entropy of the mask that target cells get from the query cells they resemble; see above."""
    at, to = (F.normalize(x[:, 0].float().flatten(2), dim=1) for x in (query, target))
    attention = (to.transpose(1, 2) @ at / CELL_TEMPERATURE).softmax(-1)
    grid = query.shape[-2:]
    given, truth = (
        F.interpolate(masks[:, :1].float(), grid, mode="area").flatten(1)
        for masks in (batch.query_masks, batch.target_masks)
    )
    carried = torch.cat([some @ one.T for some, one in _by_clip(batch, given, attention)]).clamp(1e-4, 1 - 1e-4)
    entropy = -(truth * carried.log() + (1 - truth) * (1 - carried).log())
    inside = (entropy * truth).sum(1) / truth.sum(1).clamp(min=0.3)
    outside = (entropy * (1 - truth)).sum(1) / (1 - truth).sum(1).clamp(min=1)
    shown = (batch.visible & batch.annotated)[:, 0].float()
    return ((inside + _BACKGROUND_WEIGHT * outside) * shown).sum() / shown.sum().clamp(min=1)


def _object_features(features: Tensor, masks: Tensor, batch: ClipBatch) -> Tensor:
    """Mean feature of every object at every instant, of unit length, [R, T, C]."""
    shares = F.interpolate(masks.float(), features.shape[-2:], mode="area")
    weights = shares / shares.sum((2, 3), keepdim=True).clamp(min=1e-6)
    pooled = [torch.einsum("rthw,tchw->rtc", *both) for both in _by_clip(batch, weights, features.float())]
    return F.normalize(torch.cat(pooled), dim=-1)


def _by_clip(batch: ClipBatch, objects: Tensor, clips: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows of `objects` [R, ...] of each clip, which lie together, with its row of `clips` [B, ...]."""
    return zip(objects.split(batch.objects), clips, strict=True)
