"""Query masks at the network's size, exactly as the released code resizes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from lmeec.masks import RunLengthMask


def resize_query_masks(masks: Tensor, size: int, *, half: bool = True) -> Tensor:
    """Resize masks by antialiased bilinear interpolation and threshold them at one half.

    Args:
        masks: bool [B, H, W].
        size: side S of the network's input.
        half: whether what is covered by exactly one half belongs to the object: it does in inference, and does not in
            the released training, which rounds half to even.

    Returns:
        bool [B, S, S].
    """
    if masks.shape[-2:] == (size, size):
        return masks
    return _at_least_half(_interpolate(masks[:, None].float(), (size, size))[:, 0], half=half)


def query_mask(mask: RunLengthMask, size: int, *, half: bool = True) -> Tensor:
    """The same for one encoded mask, without touching most pixels.

    Interpolation works along rows, then along columns. Rows without a pixel stay zero, so only the rows of the mask's
    box need the first pass; the values are those of interpolating the whole mask, to the last bit.

    Args:
        mask: not empty.
        size: as above.
        half: as above.

    Returns:
        bool [S, S].
    """
    if (mask.height, mask.width) == (size, size):
        return torch.from_numpy(mask.decode()).contiguous()
    top, height = int(mask.bbox[1]), int(mask.bbox[3])
    pixels = torch.from_numpy(mask.decode()[top : top + height]).float().contiguous()
    narrow = torch.zeros(1, 1, mask.height, size)
    narrow[0, 0, top : top + height] = _interpolate(pixels[None, None], (height, size))[0, 0]
    return _at_least_half(_interpolate(narrow, (size, size))[0, 0], half=half)


def _interpolate(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False)


def _at_least_half(covered: Tensor, *, half: bool) -> Tensor:
    return covered >= 0.5 if half else covered > 0.5
