"""A loss on the embeddings of pixels: what shows one thing lies close together, in every view of a scene.

Synthetic scenes know what every pixel shows, be it an object or a surface of the room, a person or clutter; masks of a
few followed objects tell the encoder of the smallest part of it. Pixels are drawn as if all things were equally large,
and more at the edges between things; each is to be more like those of its own thing than like all others
(supervised contrastive loss, Khosla et al. 2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lmeec.model.pixels import PIXEL_STRIDE

if TYPE_CHECKING:
    from lmeec.training.clips.clip import ClipBatch
    from lmeec.training.forward import ClipOutputs

POINTS = 256
"""Pixels that are drawn of a picture."""

TEMPERATURE = 0.1
_EDGE = 4.0
"""How much more likely a pixel at an edge is drawn."""

_THINGS = 256


def dense_loss(outputs: ClipOutputs, batch: ClipBatch) -> Tensor:
    """Mean over the drawn pixels of all views and instants; zero without embeddings or maps of things.

    Args:
        outputs: of a pass over the batch.
        batch: with maps of things.
    """
    if batch.things is None or outputs.views[0].pixels is None:
        return outputs.query.new_zeros(())
    losses = []
    for k, features in enumerate(outputs.views):
        assert features.pixels is not None
        things = batch.things[:, k, ::PIXEL_STRIDE, ::PIXEL_STRIDE].long()
        places = _drawn(things)
        found = features.pixels.embeddings.flatten(2).gather(
            2, places[:, None].expand(-1, features.pixels.embeddings.shape[1], -1)
        )
        names = things.flatten(1).gather(1, places) + _THINGS * batch.scenes[:, None]
        losses.append(_contrast(found.transpose(1, 2).flatten(0, 1), names.flatten()))
    return torch.stack(losses).mean()


def _drawn(things: Tensor) -> Tensor:
    """Places of pixels of each view, [V, POINTS], of maps [V, h, w]; none where nothing is known."""
    counts = torch.zeros(len(things), _THINGS, device=things.device)
    flat = things.flatten(1)
    counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=counts.dtype))
    weights = 1 / counts.gather(1, flat)
    weights = weights * torch.where(_edges(things).flatten(1), _EDGE, 1.0) * (flat > 0)
    return torch.multinomial(weights, POINTS, replacement=True)


def _edges(things: Tensor) -> Tensor:
    """Pixels with another thing above, below, left or right, bool [V, h, w]."""
    edges = torch.zeros_like(things, dtype=torch.bool)
    across, down = things[:, :, 1:] != things[:, :, :-1], things[:, 1:] != things[:, :-1]
    edges[:, :, 1:] |= across
    edges[:, :, :-1] |= across
    edges[:, 1:] |= down
    edges[:, :-1] |= down
    return edges


def _contrast(points: Tensor, names: Tensor) -> Tensor:
    """Supervised contrastive loss of points [N, P] of unit length with names [N]."""
    similarity = points @ points.T / TEMPERATURE
    itself = torch.eye(len(points), dtype=torch.bool, device=points.device)
    logs = F.log_softmax(similarity.masked_fill(itself, -torch.inf), dim=1).masked_fill(itself, 0)
    alike = ((names[:, None] == names[None]) & ~itself).to(logs.dtype)
    count = alike.sum(1)
    mean = -(logs * alike).sum(1) / count.clamp(min=1)
    return mean.sum() / (count > 0).sum().clamp(min=1)
