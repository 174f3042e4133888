"""A part of a frame, about an object, to be shown larger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_ROOM = 2.4
"""How much larger than the object a window is."""

_SMALLEST = 0.12
"""Share of the frame's sides."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a frame of the frame's shape.

    Attributes:
        top: where it begins, as a share of the height.
        left: where it begins, as a share of the width.
        side: its height and width, as shares of the frame's.
    """

    top: float
    left: float
    side: float

    def cut(self, image: NDArray[Any]) -> NDArray[Any]:
        """That part of an image or mask [height, width, ...]."""
        height, width = image.shape[:2]
        rows, columns = max(1, round(self.side * height)), max(1, round(self.side * width))
        top, left = min(round(self.top * height), height - rows), min(round(self.left * width), width - columns)
        return image[top : top + rows, left : left + columns]


def window_about(masks: Iterable[NDArray[np.bool_]]) -> Window | None:
    """The part of a frame that shows masks of it with some room; None where they are empty.

    Args:
        masks: bool [height, width] each, of any sizes.

    Example:
        >>> mask = np.zeros((100, 200), bool)
        >>> mask[40:50, 100:120] = True
        >>> window_about([mask])
        Window(top=0.33, left=0.43, side=0.24)
    """
    ends = []
    for mask in masks:
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        if rows.size:
            height, width = mask.shape
            ends.append((rows[0] / height, (rows[-1] + 1) / height, columns[0] / width, (columns[-1] + 1) / width))
    if not ends:
        return None
    first, last = np.min(ends, 0), np.max(ends, 0)
    top, left, bottom, right = first[0], first[2], last[1], last[3]
    side = float(np.clip(_ROOM * max(bottom - top, right - left), _SMALLEST, 1))
    middle = np.array([top + bottom, left + right]) / 2
    corner = np.clip(middle - side / 2, 0, 1 - side)
    return Window(round(float(corner[0]), 4), round(float(corner[1]), 4), round(side, 4))
