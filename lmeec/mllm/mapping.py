"""F and G: the features of one view, estimated from those of the other.

The network is CycleGAN's generator of nine blocks (arXiv 1703.10593, appendix 7.2) on patch features in place of
pixels, and without a tanh at the end, as features have no bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from lmeec.mllm.grid import as_patches, as_pictures

if TYPE_CHECKING:
    from lmeec.mllm.config import MappingConfig

_GROUP = 16
"""Channels of a group, over which their means differ still after the norm."""


def make_mapping(config: MappingConfig, channels: int) -> nn.Module:
    """A mapping: features [B, T, N, channels] to as many."""
    return MlpMapping(channels) if config.kind == "mlp" else ResnetMapping(config, channels)


class ResnetMapping(nn.Module):
    """Down-sampling, residual blocks and up-sampling, on each frame's grid of patches."""

    def __init__(self, config: MappingConfig, channels: int) -> None:
        super().__init__()
        self.residual = config.residual
        reflected = config.norm == "instance"
        padding: dict[str, Any] = {"padding_mode": "reflect" if reflected else "zeros"}
        width = config.width
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 7, padding=3, **padding),
            _norm(width, config),
            nn.ReLU(),
        ]
        for _ in range(config.downs):
            layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), _norm(2 * width, config), nn.ReLU()]
            width *= 2
        layers += [_Residual(width, config, padding) for _ in range(config.blocks)]
        for _ in range(config.downs):
            layers += [
                nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1),
                _norm(width // 2, config),
                nn.ReLU(),
            ]
            width //= 2
        layers.append(nn.Conv2d(width, channels, 7, padding=3, **padding))
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, T, N, C] to as many."""
        mapped = as_patches(self.layers(as_pictures(features)), features.shape[1])
        return features + mapped if self.residual else mapped


class MlpMapping(nn.Module):
    """Two fully connected layers on every patch by itself: the paper's ablation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels))

    def forward(self, features: Tensor) -> Tensor:
        """Features [B, T, N, C] to as many."""
        mapped: Tensor = self.layers(features)
        return mapped


class _Residual(nn.Module):
    def __init__(self, width: int, config: MappingConfig, padding: dict[str, Any]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, **padding),
            _norm(width, config),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, **padding),
            _norm(width, config),
        )

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.layers(x)
        return x + changed


def _norm(width: int, config: MappingConfig) -> nn.Module:
    if config.norm == "instance":
        return nn.InstanceNorm2d(width)
    return nn.GroupNorm(max(1, width // _GROUP) if width % _GROUP == 0 else 1, width)
