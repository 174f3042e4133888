"""Patch features as pictures, and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def as_pictures(features: Tensor) -> Tensor:
    """Features [B, T, n * n, C] of patches in rows to [B * T, C, n, n]."""
    side = math.isqrt(features.shape[2])
    pictures: Tensor = features.flatten(0, 1).transpose(1, 2).unflatten(2, (side, side))
    return pictures


def as_patches(pictures: Tensor, frames: int) -> Tensor:
    """The inverse of `as_pictures`, for clips of so many frames."""
    patches: Tensor = pictures.flatten(2).transpose(1, 2).unflatten(0, (-1, frames))
    return patches
