"""Memory-View mixture of experts: fuses memory-guided and view-guided features of the target (paper, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MemoryViewMoE(nn.Module):
    """Dual gating over channels, then over space, of the two experts' features.

    Args:
        channels: C of both features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mlp1 = _channel_gate(channels)
        self.mlp2 = _channel_gate(channels)
        self.conv1 = _spatial_gate(channels)
        self.conv2 = _spatial_gate(channels)

    def forward(self, memory: Tensor, view: Tensor) -> Tensor:
        """Fuse.

        Args:
            memory: memory-guided feature, [B, C, h, w].
            view: view-guided feature, [B, C, h, w].

        Returns:
            The fused feature, [B, C, h, w].
        """
        pooled = torch.cat([memory.mean((2, 3)), view.mean((2, 3))], dim=1)
        memory = memory * (1 + self.mlp1(pooled))[..., None, None]
        view = view * (1 + self.mlp2(pooled))[..., None, None]
        both = torch.cat([memory, view], dim=1)
        fused: Tensor = memory * (1 + self.conv1(both)) + view * (1 + self.conv2(both))
        return fused


def _channel_gate(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2 * channels, channels), nn.ReLU(), nn.Linear(channels, channels), nn.Sigmoid())


def _spatial_gate(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2 * channels, channels, kernel_size=3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(channels, 1, kernel_size=1, bias=False),
        nn.Sigmoid(),
    )
