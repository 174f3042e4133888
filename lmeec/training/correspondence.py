"""An extra loss for training from scratch: features of one object in two views must find each other.

The encoder of a pretrained SAM 2.1 tells objects apart already; a fresh one learns to do so much sooner from this than
through the mask decoder. It is the InfoNCE loss (van den Oord et al. 2018) over the objects of a batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lmeec.training.clip import ClipBatch

TEMPERATURE = 0.07


def correspondence_loss(query: Tensor, target: Tensor, batch: ClipBatch) -> Tensor:
    """Symmetric cross entropy of matching the objects that both views show, mean over them.

    Args:
        query: coarse features of the query frames, [B, T, C, h, w].
        target: the same of the target frames.
        batch: the objects and their masks.
    """
    both = batch.visible & batch.annotated
    in_query = _object_features(query, batch.query_masks, batch.clip)[both]
    in_target = _object_features(target, batch.target_masks, batch.clip)[both]
    if len(in_query) < 2:
        return query.new_zeros(())
    similarity = in_query @ in_target.T / TEMPERATURE
    # The same object at another instant is neither right nor wrong.
    owner = torch.arange(len(batch.clip), device=query.device)[:, None].expand_as(both)[both]
    same = owner[:, None] == owner[None]
    diagonal = torch.eye(len(owner), dtype=torch.bool, device=query.device)
    similarity = similarity.masked_fill(same & ~diagonal, -torch.inf)
    right = torch.arange(len(owner), device=query.device)
    return (F.cross_entropy(similarity, right) + F.cross_entropy(similarity.T, right)) / 2


def _object_features(features: Tensor, masks: Tensor, clip: Tensor) -> Tensor:
    """Mean feature of every object at every instant, of unit length, [R, T, C]."""
    shares = F.interpolate(masks.float(), features.shape[-2:], mode="area")
    weights = shares / shares.sum((2, 3), keepdim=True).clamp(min=1e-6)
    pooled = torch.einsum("rthw,rtchw->rtc", weights, features.float()[clip])
    return F.normalize(pooled, dim=-1)
