"""Hiera's windowed attention without the padding of windows that reach over the edge.

SAM 2 pads the grid with zeros to whole windows, after the norm, and lets tokens attend to the padding. A padding token
has the projection's bias as key and value, so n of them weigh as much as one whose logit is raised by log n. With that
token in their place, windows at the edge need no padding, and the result is the same.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from sam2.modeling.backbones.hieradet import MultiScaleBlock, do_pool
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator


class EdgeAwareBlock(nn.Module):
    """A block of Hiera; takes the place of `MultiScaleBlock` under the same parameter names.

    Args:
        block: its modules are shared.
    """

    def __init__(self, block: MultiScaleBlock) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp
        self.proj = block.proj if block.dim != block.dim_out else None
        self.pool = block.pool
        self.stride = block.q_stride[0] if block.q_stride else 1
        self.window_size = block.window_size

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, dim] to [B, H / stride, W / stride, dim_out]."""
        shortcut = x
        x = self.norm1(x)
        if self.proj is not None:
            shortcut = do_pool(self.proj(x), self.pool)
        x = shortcut + self.attn.proj(self._attend(self.attn.qkv(x)))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result

    def _attend(self, qkv: Tensor) -> Tensor:
        """[B, H, W, 3 * dim_out], projected, to [B, H / stride, W / stride, dim_out]."""
        batch, height, width, channels = qkv.shape
        side = self.window_size or max(height, width)
        stride = self.stride
        out = qkv.new_empty(batch, height // stride, width // stride, channels // 3)
        for rows, h in _spans(height, side):
            for columns, w in _spans(width, side):
                mixed = self._attend_windows(qkv[:, rows, columns], h, w, side * side - h * w)
                out[:, _strided(rows, stride), _strided(columns, stride)] = mixed
        return out

    def _attend_windows(self, qkv: Tensor, h: int, w: int, padding: int) -> Tensor:
        """Attend within the h x w windows that tile a region, each with so many padding tokens."""
        batch, height, width, channels = qkv.shape
        ny, nx, heads = height // h, width // w, self.attn.num_heads
        dim = channels // 3 // heads
        windows = qkv.reshape(batch, ny, h, nx, w, 3, heads, dim).permute(5, 0, 1, 3, 6, 2, 4, 7)
        query, key, value = windows.reshape(3, batch * ny * nx, heads, h, w, dim)
        stride = self.stride
        if stride > 1:
            pooled = query.reshape(-1, h, w, dim).permute(0, 3, 1, 2)
            pooled = F.max_pool2d(pooled, stride, stride).permute(0, 2, 3, 1)
            query = pooled.reshape(*query.shape[:2], h // stride, w // stride, dim)
        query, key, value = query.flatten(2, 3), key.flatten(2, 3), value.flatten(2, 3)
        bias = None
        if padding:
            key, value = self._with_padding_token(key, value)
            bias = key.new_zeros(1, 1, 1, key.shape[2])
            bias[..., -1] = math.log(padding)
            bias = bias.expand(-1, -1, query.shape[2], -1)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        mixed = mixed.view(batch, ny, nx, heads, h // stride, w // stride, dim).permute(0, 1, 4, 2, 5, 3, 6)
        return mixed.reshape(batch, height // stride, width // stride, heads * dim)

    def _with_padding_token(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        windows, heads, _, dim = key.shape
        _, key_bias, value_bias = self.attn.qkv.bias.to(key.dtype).view(3, 1, heads, 1, dim).unbind()
        return (
            torch.cat([key, key_bias.expand(windows, -1, -1, -1)], dim=2),
            torch.cat([value, value_bias.expand(windows, -1, -1, -1)], dim=2),
        )


def _spans(length: int, side: int) -> Iterator[tuple[slice, int]]:
    """The part of an axis that whole windows tile, and the rest of it, each with the window's length in it."""
    whole = length // side * side
    if whole:
        yield slice(0, whole), side
    if whole < length:
        yield slice(whole, length), length - whole


def _strided(span: slice, stride: int) -> slice:
    return slice(span.start // stride, span.stop // stride)
