"""Masks as CVAT has them: run lengths of a box, row by row, or polygons.

Run lengths are the mask itself. A polygon runs along the outer edge of a part of the mask; it has no holes, and corners
that hardly matter are left out, so that it can be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from lmeec.data.manifest.coco import draw_polygons
from lmeec.errors import DataError
from lmeec.masks import MAX_PIXELS, RunLengthMask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Polygon = list[tuple[float, float]]
"""x and y of the corners, in pixels from the upper left corner of the frame."""

TOLERANCE = 1.0
"""How far a polygon may leave the edge of its mask, in pixels."""

_SMALLEST_PART = 4  # pixels; what is smaller is noise, and hard to see, let alone to edit


class BoxedMask(NamedTuple):
    """A mask within its bounding box.

    Attributes:
        rle: lengths of runs, row by row; background and foreground in turn, background first.
        left: first column of the box.
        top: first row of the box.
        width: columns of the box.
        height: rows of the box.
    """

    rle: list[int]
    left: int
    top: int
    width: int
    height: int


def boxed(mask: RunLengthMask) -> BoxedMask:
    """Give a mask that is not empty as CVAT has it.

    Raises:
        DataError: the counts are bad.

    Example:
        >>> boxed(RunLengthMask(4, 6, "9220003"))
        BoxedMask(rle=[0, 6], left=2, top=1, width=3, height=2)
    """
    left, top, width, height = map(int, mask.bbox)
    pixels = mask.decode()[top : top + height, left : left + width].ravel()
    toggles = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    if pixels[0]:
        toggles = np.concatenate(([0], toggles))
    return BoxedMask(np.diff(toggles, prepend=0, append=pixels.size).tolist(), left, top, width, height)


def unboxed(box: BoxedMask, height: int, width: int) -> NDArray[np.bool_]:
    """Give the mask of a frame.

    Args:
        box: a mask as CVAT has it.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        bool [height, width].

    Raises:
        DataError: the box is not within the frame, or the runs do not fill it.
    """
    if min(box.left, box.top) < 0 or box.width < 1 or box.height < 1 or box.width * box.height > MAX_PIXELS:
        raise DataError(f"its box is {box.width}x{box.height} at ({box.left}, {box.top})")
    if box.left + box.width > width or box.top + box.height > height:
        raise DataError(
            f"its box, {box.width}x{box.height} at ({box.left}, {box.top}), does not lie within frames of "
            f"{width}x{height} (width x height)"
        )
    lengths = np.array(box.rle, dtype=np.int64)
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > MAX_PIXELS or lengths.sum() != box.width * box.height:
        raise DataError(f"its runs do not fill its box of {box.width}x{box.height} pixels")
    pixels = np.repeat(np.arange(lengths.size) % 2 == 1, lengths)
    mask = np.zeros((height, width), np.bool_)
    mask[box.top : box.top + box.height, box.left : box.left + box.width] = pixels.reshape(box.height, box.width)
    return mask


def outlined(mask: RunLengthMask, tolerance: float = TOLERANCE) -> list[Polygon]:
    """Give the parts of a mask as polygons, the largest first; of a mask of few pixels, one.

    Args:
        mask: a mask that is not empty.
        tolerance: in pixels, see `TOLERANCE`.

    Raises:
        DataError: the counts are bad.
    """
    left, top, width, height = map(int, mask.bbox)
    pixels = mask.decode()[top : top + height, left : left + width].astype(np.uint8)
    # Contours go through the middle of pixels. Of quarters of pixels they pass between the middles of those inside and
    # of those outside, so that drawing gives the same pixels.
    contours, _ = cv2.findContours(pixels.repeat(2, 0).repeat(2, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = sorted(contours, key=cv2.contourArea, reverse=True)
    kept = [part for part in parts if cv2.contourArea(part) >= 4 * _SMALLEST_PART] or parts[:1]
    return [_polygon(part, tolerance, left, top) for part in kept]


def _polygon(contour: NDArray[Any], tolerance: float, left: int, top: int) -> Polygon:
    simple = cv2.approxPolyDP(contour, 2 * tolerance, closed=True)
    corners = simple if len(simple) >= 3 else contour
    x, y = ((corners[:, 0] + 0.5) / 2 + (left, top)).T
    return list(zip(x.tolist(), y.tolist(), strict=True))


def drawn(polygons: Sequence[Polygon], height: int, width: int) -> NDArray[np.bool_]:
    """Draw polygons as COCO's own code does, which CVAT draws with; what lies outside of the frame is cut off.

    Args:
        polygons: of three corners or more.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        bool [height, width]: pixels in any of them.

    Raises:
        DataError: as for `draw_polygons`.
    """
    flat = [[value for corner in polygon for value in corner] for polygon in polygons]
    return draw_polygons(flat, height, width).decode()
