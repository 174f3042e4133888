"""Tells from features what the cells of drawn pictures show, while encoders that begin from nothing learn to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmeec.errors import ConfigError
from lmeec.mllm.grid import as_pictures
from lmeec.mllm.synthetic.marks import CELL, COLOURS, SHAPES

if TYPE_CHECKING:
    from lmeec.mllm.config import EncoderConfig

_NOTHING = 0.15
"""Weight of cells without a thing, which are many."""

_HANDLED = 8.0
"""Weight of cells with the handled thing, which are few."""


class MarksHead(nn.Module):
    """A linear layer on the mean feature of each cell.

    Args:
        config: of the encoder that gives the features.
        seed: of its weights.

    Raises:
        ConfigError: a cell is no whole number of patches.
    """

    def __init__(self, config: EncoderConfig, seed: int) -> None:
        super().__init__()
        if CELL % config.patch_size or config.image_size % CELL:
            raise ConfigError(
                f"`losses.marks` needs patches of which {CELL} pixels hold a whole number, not `encoder.patch_size="
                f"{config.patch_size}`; 0 does without",
                settings=["losses.marks", "encoder.patch_size"],
            )
        self._patches = CELL // config.patch_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.norm = nn.LayerNorm(config.width)
            self.read = nn.Linear(config.width, 3 + len(COLOURS) + len(SHAPES))

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, T, N, C] to logits [B, T, M, K] of colours, shapes, each with none before them, and handled."""
        cells = F.avg_pool2d(as_pictures(features), self._patches).flatten(2).transpose(1, 2)
        logits: Tensor = self.read(self.norm(cells)).unflatten(0, features.shape[:2])
        return logits


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
    return (
        F.cross_entropy(colour, marks[:, 0], weights[0])
        + F.cross_entropy(shape, marks[:, 1], weights[1])
        + F.binary_cross_entropy_with_logits(
            handled.squeeze(-1), marks[:, 2].float(), pos_weight=logits.new_tensor(_HANDLED)
        )
    )
