"""Linear layers packed for oneDNN, with bias and activation inside of the product."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["none", "relu", "gelu"]

_ROWS_HINT = 1024
"""Rows of a typical input; oneDNN picks the layout of the packed weight for it."""


class PackedLinear(nn.Module):
    """A linear layer for inference; takes the place of `nn.Linear` under the same parameter names.

    Args:
        linear: its parameters are shared, and packed as they are now.
        dtype: arithmetic; inputs are cast to it, outputs have it.
        activation: applied to the output.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype, activation: Activation = "none") -> None:
        super().__init__()
        self.weight = linear.weight
        self.bias = linear.bias
        self.dtype = dtype
        self.activation = activation
        # gelu names its formula; the exact one is called "none".
        self._formula = "none" if activation == "gelu" else ""
        with torch.no_grad():
            self._packed_bias = linear.bias.detach().to(dtype)
            self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(dtype), _ROWS_HINT)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] to [..., out]."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.to(self.dtype), self._packed, self._packed_bias, self.activation, [], self._formula
        )
        return result


class PackedPointwise(nn.Module):
    """A 1x1 convolution as a packed linear layer over channels-last memory, which is how features leave the trunk.

    Args:
        conv: its parameters are shared.
        dtype: arithmetic.
    """

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        linear = nn.Linear(conv.in_channels, conv.out_channels)
        with torch.no_grad():
            linear.weight.copy_(conv.weight.flatten(1))
            if conv.bias is not None:
                linear.bias.copy_(conv.bias)
        # Outside of the module tree: its parameters are this module's own.
        self._linear = (PackedLinear(linear, dtype),)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, h, w] to [B, out, h, w], channels last in memory."""
        result: Tensor = self._linear[0](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return result


def can_pack() -> bool:
    """Whether this build of torch has oneDNN with packed linear layers."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
