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


class MarksHead(nn.Module):
    """Linear layers: on the mean feature of each cell, and on what a clip's visual tokens say together.

    Visual tokens are weighed by how surely each shows the handled thing, as a language model would attend to them.

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
        self._patches, self._connector = CELL // encoder.patch_size, config.connector.kind
        width = config.language.width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.norm = nn.LayerNorm(encoder.width)
            self.read = nn.Linear(encoder.width, 3 + len(COLOURS) + len(SHAPES))
            self.token_norm = nn.LayerNorm(width)
            self.token_handled = nn.Linear(width, 1)
            self.token_read = nn.Linear(width, sum(CLASSES))

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, T, N, C] to logits [B, T, M, K] of colours, shapes, each with none before them, and handled."""
        cells = F.avg_pool2d(as_pictures(features), self._patches).flatten(2).transpose(1, 2)
        logits: Tensor = self.read(self.norm(cells)).unflatten(0, features.shape[:2])
        return logits

    def clips(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Visual tokens [B, V, D] to logits [B, V] of showing the handled thing, and [B, sum(CLASSES)] of the clip."""
        normed = self.token_norm(tokens)
        handled: Tensor = self.token_handled(normed).squeeze(-1)
        looked = (handled.float().softmax(-1).to(normed.dtype).unsqueeze(1) @ normed).squeeze(1)
        return handled, self.token_read(looked)

    def loss(self, features: Tensor, tokens: Tensor | None, marks: Tensor, classes: Tensor) -> Tensor:
        """The loss of one view.

        Args:
            features: [B, T, N, C] of it.
            tokens: [B, V, D] that these become; None to go by cells alone.
            marks: uint8 [B, T, M, 3] of the frames.
            classes: uint8 [B, K] of the clips.
        """
        loss = marks_loss(self(features), marks)
        if tokens is None:
            return loss
        handled, logits = self.clips(tokens)
        return loss + clips_loss(handled, logits, self._tokens_handled(marks), classes)

    def _tokens_handled(self, marks: Tensor) -> Tensor:
        """Which visual tokens are made of a cell with the handled thing, float [B, V]."""
        side = math.isqrt(marks.shape[2])
        cells = marks[..., 2].float().unflatten(2, (side, side))
        patches: Tensor = cells.repeat_interleave(self._patches, 2).repeat_interleave(self._patches, 3)
        if self._connector == "mlp":
            return patches.amax(1).flatten(1)
        pooled: Tensor = F.max_pool3d(patches.unsqueeze(1), 2, stride=2, padding=1)
        return pooled.flatten(1)


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


def clips_loss(handled: Tensor, logits: Tensor, shown: Tensor, classes: Tensor) -> Tensor:
    """Mean cross entropy of which tokens show the handled thing, and of each of a clip's classes, where it is known.

    Args:
        handled: [B, V] of `MarksHead.clips`.
        logits: [B, sum(CLASSES)], as well.
        shown: [B, V], 1 where a token shows it.
        classes: uint8 [B, K], as `lmeec.mllm.synthetic.classes` makes them.
    """
    loss = F.binary_cross_entropy_with_logits(handled.float(), shown)
    for place, found in enumerate(logits.float().split(list(CLASSES), -1)):
        known = classes[:, place] != UNKNOWN
        # The sum over none is 0, which a mean is not.
        total = F.cross_entropy(found[known], classes[known, place].long(), reduction="sum")
        loss = loss + total / known.sum().clamp(min=1)
    return loss
