"""Query masks at the network's size, exactly as the released code resizes them, without touching most pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from lmeec.masks import RunLengthMask


def query_mask(mask: RunLengthMask, size: int, *, half: bool = True) -> Tensor:
    """Resize a mask by antialiased bilinear interpolation and threshold it at one half.

    Interpolation works along rows, then along columns. Rows without a pixel stay zero, so only the rows of the mask's
    box need the first pass; the values are those of interpolating the whole mask, to the last bit.

    Args:
        mask: not empty.
        size: side S of the network's input.
        half: whether what is covered by exactly one half belongs to the object: it does in inference, and does not in
            the released training, which rounds half to even.

    Returns:
        bool [S, S].
    """
    if (mask.height, mask.width) == (size, size):
        return torch.from_numpy(mask.decode()).contiguous()
    top, height = int(mask.bbox[1]), int(mask.bbox[3])
    pixels = torch.from_numpy(mask.decode()[top : top + height]).float().contiguous()
    narrow = torch.zeros(1, 1, mask.height, size)
    narrow[0, 0, top : top + height] = _interpolate(pixels[None, None], (height, size))[0, 0]
    covered = _interpolate(narrow, (size, size))[0, 0]
    return covered >= 0.5 if half else covered > 0.5


def _interpolate(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)
