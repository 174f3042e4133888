"""Patch features of a clip to tokens of the language model: VideoLLaMA2's convolution, an MLP, or a resampler.

The convolution is that of `stc_connector` (arXiv 2406.07476, section 3.1). Parameters have the names that its
checkpoints give them, which are those of timm's RegStage (arXiv 2003.13678): timm itself does not import without
torchvision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmeec.mllm.grid import as_pictures

if TYPE_CHECKING:
    from lmeec.mllm.config import ConnectorConfig

_SQUEEZE = 0.25
"""Channels inside a squeeze-and-excitation, as a share of those that a block is given."""

_SMALL, _SHARPNESS = 0.02, 4.0
"""A resampler's queries begin small, and its scores count this much more than attention's usual ones."""


def make_connector(config: ConnectorConfig, width: int, language_width: int) -> nn.Module:
    """A connector: features [B, T, N, width] to tokens [B, V, language_width]."""
    if config.kind == "mlp":
        return MlpConnector(width, language_width)
    if config.kind == "resampler":
        return Resampler(width, language_width, config.queries)
    return StcConnector(width, language_width, config.depth)


class StcConnector(nn.Module):
    """Convolutions over every frame, one over space and time that halves both, and convolutions again.

    Args:
        width: channels of a patch feature.
        language_width: channels of a token.
        depth: blocks before and after the sampling.
    """

    def __init__(self, width: int, language_width: int, depth: int) -> None:
        super().__init__()
        self.s1 = RegStage(depth, width, language_width)
        self.sampler = nn.Sequential(nn.Conv3d(language_width, language_width, 2, stride=2, padding=1), nn.SiLU())
        self.s2 = RegStage(depth, language_width, language_width)
        self.readout = nn.Sequential(
            nn.Linear(language_width, language_width), nn.GELU(), nn.Linear(language_width, language_width)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, T, N, C] to tokens [B, (T // 2 + 1) (n // 2 + 1)^2, D], in order of time, row and column."""
        batch, frames = features.shape[:2]
        pictures = self.s1(as_pictures(features))
        volume = pictures.unflatten(0, (batch, frames)).transpose(1, 2)  # [B, D, T, n, n]
        sampled = self.sampler(volume)
        pictures = self.s2(sampled.transpose(1, 2).flatten(0, 1))
        tokens = pictures.unflatten(0, (batch, -1)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        read: Tensor = self.readout(tokens)
        return read


class MlpConnector(nn.Module):
    """The mean over time, and two layers on every patch (`mlp2x_gelu`)."""

    def __init__(self, width: int, language_width: int) -> None:
        super().__init__()
        self.readout = nn.Sequential(
            nn.Linear(width, language_width), nn.GELU(), nn.Linear(language_width, language_width)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, T, N, C] to tokens [B, N, D]."""
        read: Tensor = self.readout(features.mean(1))
        return read


class Resampler(nn.Module):
    """A few tokens of the mean over time: each is what one query, the same for all clips, attends to.

    One layer of what Flamingo calls a perceiver resampler (arXiv 2204.14198), but that keys and values come out of
    two layers: where the handled thing is, one does not tell from a feature.

    Args:
        width: channels of a patch feature.
        language_width: channels of a token.
        queries: how many tokens.
    """

    def __init__(self, width: int, language_width: int, queries: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.key, self.value = _two_layers(width, width), _two_layers(width, width)
        self.query = nn.Parameter(_SMALL * torch.randn(queries, width))
        self.begin = nn.Parameter(_SMALL * torch.randn(queries, width))
        self.readout = _two_layers(width, language_width)

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, T, N, C] to tokens [B, queries, D]."""
        patches = self.norm(features.mean(1))
        found = self._weights(patches).to(patches.dtype) @ self.value(patches)
        read: Tensor = self.readout(found + self.begin)
        return read

    def attention(self, features: Tensor) -> Tensor:
        """How much each token has of each patch, float32 [B, queries, N], of features [B, T, N, C]."""
        return self._weights(self.norm(features.mean(1)))

    def _weights(self, patches: Tensor) -> Tensor:
        scores = self.key(patches) @ self.query.T  # [B, N, queries]
        weights: Tensor = (_SHARPNESS * patches.shape[-1] ** -0.5 * scores.float()).softmax(1)
        return weights.transpose(1, 2)


def _two_layers(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, out))


class RegStage(nn.Sequential):
    """A stage of RegNet-Y blocks named b1, b2, ...; the first one brings the channels to the stage's width."""

    def __init__(self, depth: int, channels: int, width: int) -> None:
        super().__init__()
        for number in range(depth):
            self.add_module(f"b{number + 1}", _Block(channels if number == 0 else width, width))


class _Block(nn.Module):
    """1x1, depth-wise 3x3, squeeze and excitation, 1x1, and a shortcut."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(channels, width, 1)
        self.conv2 = _ConvNorm(width, width, 3, groups=width)
        self.se = _SqueezeExcite(width, round(channels * _SQUEEZE))
        self.conv3 = _ConvNorm(width, width, 1)
        self.downsample = nn.Identity() if channels == width else _ConvNorm(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, channels, h, w] to [B, width, h, w]."""
        y = F.silu(self.conv2(F.silu(self.conv1(x))))
        return F.silu(self.conv3(self.se(y)) + self.downsample(x))


class _ConvNorm(nn.Module):
    """A convolution without bias, and a layer norm over the channels of each place."""

    def __init__(self, channels: int, width: int, kernel: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.LayerNorm(width)  # timm's name, whatever the norm

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.bn(self.conv(x).permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)


class _SqueezeExcite(nn.Module):
    """Scale channels by what their means over the picture say."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.fc2(F.silu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * scale.sigmoid()
