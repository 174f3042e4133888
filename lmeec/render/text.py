"""Text on images, in whatever script a name is, at a size that goes with the image."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import NDArray

Colour = tuple[int, int, int]

SMALLEST = 12
"""Pixels; smaller text is not legible once it is compressed."""


def text_size(height: int) -> int:
    """Font size in pixels for an image of this height."""
    return max(SMALLEST, round(height / 26))


def text_width(text: str, size: int) -> int:
    """Pixels that a text takes."""
    return round(_font(size).getlength(text))


def shortened(text: str, size: int, room: int) -> str:
    """Cut a text so that it fits into `room` pixels, with an ellipsis in its middle."""
    text = printable(text)
    if text_width(text, size) <= room:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if text_width(cut, size) <= room:
            return cut
    return ""


def printable(text: str) -> str:
    """Show control characters as their codes; the font has nothing to draw for them."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def write(image: NDArray[np.uint8], at: tuple[int, int], text: str, size: int, colour: Colour) -> None:
    """Write a line of text, in place.

    Args:
        image: uint8 RGB [height, width, 3].
        at: left end and vertical middle of the line, in pixels.
        text: the text.
        size: font size in pixels.
        colour: RGB.
    """
    # Only the line's strip is copied: PIL draws on images of its own.
    x, y = at
    top, bottom = max(0, y - size), min(image.shape[0], y + size)
    strip = Image.fromarray(image[top:bottom])
    ImageDraw.Draw(strip).text((x, y - top), text, fill=colour, font=_font(size), anchor="lm")
    image[top:bottom] = np.asarray(strip)


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # DejaVu comes with matplotlib and has Latin, Greek, Cyrillic and more.
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
