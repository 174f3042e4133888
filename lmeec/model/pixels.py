"""Embeddings of single pixels, by which an object is matched and outlined finer than the feature grid allows.

The grid of SAM 2's memories has cells of 16 pixels, and its mask decoder reads features of single stages at strides 4
and 8, which know no context. Here features of all strides meet in one embedding of unit length for every second pixel,
in which parts of one thing lie close together in all views (`lmeec.training.dense`). Two things are made of it: how
much each pixel of the target resembles the object as the query shows it, which finds what is smaller than a cell, and
a correction of the mask, linear in the embedding with weights of the object's mask token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_utils import MLP
from torch import Tensor, nn

if TYPE_CHECKING:
    from lmeec.config import ModelConfig

PIXEL_STRIDE = 2
"""Pixels of the network's input per embedding."""


class PixelEncoder(nn.Module):
    """From a picture and the encoder's features at strides 4, 8 and 16 to embeddings at stride 2.

    Args:
        hidden_dim: channels C of the features.
        channels: P of the embeddings.
    """

    def __init__(self, hidden_dim: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, kernel_size=3, stride=2, padding=1)
        self.lifts = nn.ModuleList(nn.Conv2d(hidden_dim, 4 * channels, kernel_size=1) for _ in range(3))
        self.mix = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.out = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, images: Tensor, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        """Embeddings of unit length, [B, P, S/2, S/2].

        Args:
            images: normalised, [B, 3, S, S].
            fine: [B, C, S/4, S/4].
            middle: [B, C, S/8, S/8].
            coarse: [B, C, S/16, S/16].
        """
        first, *others = (lift(x) for lift, x in zip(self.lifts, (fine, middle, coarse), strict=True))
        for other in others:
            first = first + F.interpolate(other, first.shape[-2:], mode="bilinear", align_corners=False)
        embedded = F.gelu(self.stem(images) + F.pixel_shuffle(first, 2))
        embedded = embedded + F.gelu(self.mix(embedded))
        return F.normalize(self.out(embedded).float(), dim=1)


class PixelDecoder(nn.Module):
    """What the pixels' embeddings add to the mask decoder.

    It begins as an addition of nothing, so that weights without it go on as they were.

    Args:
        hidden_dim: channels C of tokens and of the feature grid.
        channels: P of the embeddings.
    """

    def __init__(self, hidden_dim: int, channels: int) -> None:
        super().__init__()
        self.prompt = nn.Conv2d(2, hidden_dim, kernel_size=1)
        self.weights = MLP(hidden_dim, hidden_dim, channels + 2, 3)
        for layer in (self.prompt, self.weights.layers[-1]):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def dense_prompt(self, likeness: Tensor, grid: int) -> Tensor:
        """What the mask decoder is told of where pixels resemble the object, [B, C, h, w].

        Args:
            likeness: [B, S/2, S/2].
            grid: side h = w.
        """
        mean = F.adaptive_avg_pool2d(likeness[:, None], grid)
        most = F.adaptive_max_pool2d(likeness[:, None], grid)
        prompt: Tensor = self.prompt(torch.cat([mean, most], dim=1))
        return prompt

    def refine(self, masks: Tensor, token: Tensor, likeness: Tensor, pixels: Pixels) -> Tensor:
        """Mask logits at the embeddings' resolution, [B, S/2, S/2].

        Args:
            masks: the mask decoder's logits, [B, s, s].
            token: mask tokens, [B, C].
            likeness: [B, S/2, S/2].
            pixels: of the targets, B rows.
        """
        weights = self.weights(token).float()
        linear, scale, bias = weights[:, :-2], weights[:, -2, None, None], weights[:, -1, None, None]
        upscaled = F.interpolate(masks[:, None].float(), likeness.shape[-2:], mode="bilinear", align_corners=False)
        refined: Tensor = upscaled[:, 0] + pixels.dot(linear) + scale * likeness + bias
        return refined


class Pixels:
    """Embeddings of V views, read by B rows; rows are places, as copies of the embeddings would be large.

    Args:
        embeddings: [V, P, S/2, S/2].
        views: the view of each row, int64 [B]; None has a row a view.
    """

    def __init__(self, embeddings: Tensor, views: Tensor | None = None) -> None:
        self.embeddings = embeddings
        self.views = torch.arange(len(embeddings), device=embeddings.device) if views is None else views

    def rows(self, index: Tensor) -> Pixels:
        """The rows named by `index` [R]."""
        return Pixels(self.embeddings, self.views.index_select(0, index))

    def dot(self, vectors: Tensor) -> Tensor:
        """Products with a vector a row.

        Args:
            vectors: [B, P].

        Returns:
            [B, S/2, S/2].
        """
        groups = self._groups()
        products = torch.cat(
            [vectors[group] @ one.flatten(1) for group, one in zip(groups, self.embeddings, strict=True)]
        )
        return products[torch.argsort(torch.cat(groups))].view(-1, *self.embeddings.shape[-2:])

    def mean(self, masks: Tensor) -> Tensor:
        """Mean embedding under a mask a row, of unit length; zero under an empty one.

        Args:
            masks: bool [B, S, S].

        Returns:
            [B, P].
        """
        shares = F.avg_pool2d(masks[:, None].float(), PIXEL_STRIDE).flatten(1)
        sums = shares.new_zeros(len(masks), self.embeddings.shape[1])
        for group, one in zip(self._groups(), self.embeddings, strict=True):
            sums = sums.index_copy(0, group, shares[group] @ one.flatten(1).T)
        return F.normalize(sums, dim=1)

    def _groups(self) -> list[Tensor]:
        """The rows of each view."""
        return [torch.nonzero(self.views == view)[:, 0] for view in range(len(self.embeddings))]


def pixel_parts(config: ModelConfig) -> tuple[PixelEncoder, PixelDecoder] | None:
    """Both parts for a model; None for one without."""
    channels = config.mask_decoder.pixel_channels
    return (PixelEncoder(config.hidden_dim, channels), PixelDecoder(config.hidden_dim, channels)) if channels else None
