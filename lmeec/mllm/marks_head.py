"""Tells from features and visual tokens what drawn clips show, while encoders that begin from nothing learn to see."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmeec.errors import ConfigError
from lmeec.mllm.grid import as_pictures
from lmeec.mllm.synthetic.classes import CLASSES, UNKNOWN
from lmeec.mllm.synthetic.marks import CELL, COLOURS, SHAPES

if TYPE_CHECKING:
    from lmeec.mllm.config import MllmConfig

_NOTHING = 0.15
"""Weight of cells without a thing, which are many."""

_HANDLED = {"handled": 2.5, "thing": 1.0, "empty": 0.05}
"""Weights of cells where the handled thing is told: what sets it apart from other things counts, not from the table."""

_LEAST = 1e-6
"""A share of attention below this one counts as this one."""


class MarksHead(nn.Module):
    """Linear layers: on the mean feature of each cell, and, of a resampler, on a clip's visual tokens together.

    Args:
        config: of the model that gives features and tokens.
        seed: of its weights.

    Raises:
        ConfigError: a cell is no whole number of patches.
    """

    def __init__(self, config: MllmConfig, seed: int) -> None:
        super().__init__()
        encoder = config.encoder
        if CELL % encoder.patch_size or encoder.image_size % CELL:
            raise ConfigError(
                f"`losses.marks` needs patches of which {CELL} pixels hold a whole number, not `encoder.patch_size="
                f"{encoder.patch_size}`; 0 does without",
                settings=["losses.marks", "encoder.patch_size"],
            )
        self._patches = CELL // encoder.patch_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.norm = nn.LayerNorm(encoder.width)
            self.read = nn.Linear(encoder.width, 3 + len(COLOURS) + len(SHAPES))
            if config.connector.kind == "resampler":
                together = config.connector.queries * config.language.width
                self.token_norm, self.token_read = nn.LayerNorm(together), nn.Linear(together, sum(CLASSES))

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, T, N, C] to logits [B, T, M, K] of colours, shapes, each with none before them, and handled."""
        cells = F.avg_pool2d(as_pictures(features), self._patches).flatten(2).transpose(1, 2)
        logits: Tensor = self.read(self.norm(cells)).unflatten(0, features.shape[:2])
        return logits

    def clips(self, tokens: Tensor) -> Tensor:
        """Visual tokens [B, V, D] of a resampler to logits [B, sum(CLASSES)] of the clip."""
        logits: Tensor = self.token_read(self.token_norm(tokens.flatten(1)))
        return logits

    def shown(self, marks: Tensor) -> Tensor:
        """Which patches show the handled thing at some time, bool [B, N], by marks [B, T, M, 3]."""
        side = math.isqrt(marks.shape[2])
        cells = marks[..., 2].amax(1).unflatten(1, (side, side)) > 0
        patches: Tensor = cells.repeat_interleave(self._patches, 1).repeat_interleave(self._patches, 2)
        return patches.flatten(1)


def marks_loss(logits: Tensor, marks: Tensor) -> Tensor:
    """Mean cross entropy of colour and shape, and of handled, with rare cells weighing more.

    Args:
        logits: [B, T, M, K] of a `MarksHead`.
        marks: uint8 [B, T, M, 3], as `lmeec.mllm.synthetic.marks` makes them.
    """
    logits, marks = logits.float().flatten(0, 2), marks.flatten(0, 2).long()
    colours, shapes = len(COLOURS) + 1, len(SHAPES) + 1
    colour, shape, handled = logits.split([colours, shapes, 1], -1)
    weights = [logits.new_tensor([_NOTHING] + [1.0] * (count - 1)) for count in (colours, shapes)]
    is_handled, is_thing = marks[:, 2] > 0, marks[:, 0] > 0
    kinds = torch.where(is_handled, _HANDLED["handled"], torch.where(is_thing, _HANDLED["thing"], _HANDLED["empty"]))
    told = F.binary_cross_entropy_with_logits(handled.squeeze(-1), is_handled.float(), kinds, reduction="sum")
    return (
        F.cross_entropy(colour, marks[:, 0], weights[0])
        + F.cross_entropy(shape, marks[:, 1], weights[1])
        + told / kinds.sum()
    )


def clips_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean cross entropy of each of a clip's classes, where it is known.

    Args:
        logits: [B, sum(CLASSES)] of `MarksHead.clips`.
        classes: uint8 [B, K], as `lmeec.mllm.synthetic.classes` makes them.
    """
    loss = logits.new_zeros((), dtype=torch.float32)
    for place, found in enumerate(logits.float().split(list(CLASSES), -1)):
        known = classes[:, place] != UNKNOWN
        # The sum over none is 0, which a mean is not.
        total = F.cross_entropy(found[known], classes[known, place].long(), reduction="sum")
        loss = loss + total / known.sum().clamp(min=1)
    return loss


def looking_loss(attention: Tensor, shown: Tensor) -> Tensor:
    """Minus the logarithm of what the first token has of patches with the handled thing, mean over clips with one.

    Args:
        attention: float32 [B, queries, N] of a resampler.
        shown: bool [B, N] of `MarksHead.shown`.
    """
    there = shown.any(1)
    on_it = (attention[there, 0] * shown[there]).sum(1).clamp(min=_LEAST)
    return -on_it.log().sum() / there.sum().clamp(min=1)
