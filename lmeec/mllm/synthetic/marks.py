"""What the cells of a drawn picture show: the thing in each, by colour and shape, and whether it is the handled one.

An encoder that begins from nothing learns to see by them, which CLIP has learned from 400 million captions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmeec.synthetic.shapes import CATALOGUE
from lmeec.synthetic.textures import CLEAR_HUES, colour_name, from_hsv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CELL = 16
"""Side of a cell in pixels."""

COLOURS: tuple[str, ...] = tuple(colour_name(from_hsv(hue, 0.8, 0.9)) for hue in CLEAR_HUES)
SHAPES: tuple[str, ...] = tuple(sorted({make(np.random.default_rng(0)).word for make in CATALOGUE["kitchen"]}))
"""Words for what is in plain kitchen scenes."""

_LEAST = 12  # pixels of a cell's 256


def marks_of(objects: NDArray[np.uint8], names: Sequence[str], handled: int) -> NDArray[np.uint8]:
    """The marks of a picture.

    Args:
        objects: [S, S], 0 or 1 + the number of the thing seen at each pixel.
        names: of the scene's things, as "red mug".
        handled: number of the one that is handled.

    Returns:
        uint8 [M, 3], row by row: 1 + the number of the colour and of the shape of the thing that most of a cell's
        pixels show, 0 where there is none, and 1 where the cell shows the handled thing. A thing counts from 12 pixels.
    """
    side = len(objects) // CELL
    cells = objects.reshape(side, CELL, side, CELL).swapaxes(1, 2).reshape(side * side, CELL * CELL)
    counts = np.stack([(cells == number + 1).sum(1) for number in range(len(names))], 1)
    most = counts.argmax(1)
    there = counts.max(1) >= _LEAST
    words = [name.split(" ", 1) for name in names]
    kinds = np.array([(1 + COLOURS.index(colour), 1 + SHAPES.index(shape)) for colour, shape in words])
    marks = np.zeros((side * side, 3), np.uint8)
    marks[:, :2] = np.where(there[:, None], kinds[most], 0)
    marks[:, 2] = counts[:, handled] >= _LEAST
    return marks
