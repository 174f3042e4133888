"""Which frames of a clip are looked at, and how they become the squares that the image encoders take.

Resizing is Pillow's bicubic, as in CLIP. Values in [0, 1] and their normalisation come later, where the model computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lmeec.errors import DataError
from lmeec.mllm.colours import MEAN_COLOUR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lmeec.mllm.config import Fit, MllmConfig


def frame_indices(count: int, wanted: int) -> list[int]:
    """The frames of a clip that are looked at: the middles of equal parts, as VideoLLaMA2 has it.

    Args:
        count: frames of the clip.
        wanted: so many are taken; some more than once where the clip is shorter.

    Raises:
        DataError: the clip has no frames.

    Example:
        >>> frame_indices(30, 4), frame_indices(2, 4)
        ([4, 11, 18, 25], [0, 0, 1, 1])
    """
    if count < 1:
        raise DataError("a clip without frames cannot be looked at")
    return [round((place + 0.5) * (count - 1) / wanted) for place in range(wanted)]


def squares(frames: Iterable[NDArray[np.uint8]], config: MllmConfig) -> NDArray[np.uint8]:
    """Frames as a model takes them.

    Args:
        frames: uint8 [H, W, 3] RGB each.
        config: the model; its `fit` says how frames become squares, and its encoder of which size.

    Returns:
        uint8 [T, S, S, 3].

    Raises:
        DataError: there are no frames.
    """
    made = [square(frame, config.encoder.image_size, config.fit) for frame in frames]
    if not made:
        raise DataError("a clip without frames cannot be looked at")
    return np.stack(made)


def square(frame: NDArray[np.uint8], side: int, fit: Fit) -> NDArray[np.uint8]:
    """One frame as a square.

    Args:
        frame: uint8 [H, W, 3] RGB.
        side: of the square, in pixels.
        fit: `pad` puts the frame in the middle of a square of CLIP's mean colour; `crop` takes its middle.

    Returns:
        uint8 [side, side, 3].
    """
    height, width = frame.shape[:2]
    resized = (_padded if fit == "pad" else _cropped)(Image.fromarray(frame), height, width, side)
    return np.asarray(resized)


def _padded(picture: Image.Image, height: int, width: int, side: int) -> Image.Image:
    longer = max(height, width)
    canvas = Image.new("RGB", (longer, longer), MEAN_COLOUR)
    canvas.paste(picture, ((longer - width) // 2, (longer - height) // 2))
    return canvas.resize((side, side), Image.Resampling.BICUBIC)


def _cropped(picture: Image.Image, height: int, width: int, side: int) -> Image.Image:
    """The shorter side becomes the square's; the longer one is rounded down, as in CLIP."""
    shorter = min(height, width)
    tall, wide = int(side * height / shorter), int(side * width / shorter)
    resized = picture.resize((wide, tall), Image.Resampling.BICUBIC)
    left, top = (wide - side) // 2, (tall - side) // 2
    return resized.crop((left, top, left + side, top + side))
