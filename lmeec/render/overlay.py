"""Masks drawn over frames, told apart by colour and by pattern.

Colours are of Okabe and Ito's palette, which people with any colour vision tell apart (https://jfly.uni-koeln.de/color/).
What a mask is shows without colour too: query masks are hatched, predictions filled with a solid edge, ground truth is
a dashed outline.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BLACK = (0, 0, 0)
WHITE = (255, 255, 255)
ORANGE = (230, 159, 0)
SKY_BLUE = (86, 180, 233)

QUERY = SKY_BLUE
PREDICTION = ORANGE
GROUND_TRUTH = WHITE

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def draw_query(image: Image, mask: Mask, width: int | None = None) -> None:
    """Hatch a query mask, in place.

    Args:
        image: uint8 RGB [height, width, 3].
        mask: bool [h, w] of any size; it is resized to the image.
        width: of lines, in pixels; None chooses one that is seen at the image's size.
    """
    mask = _fitted(mask, image)
    width = width or line_width(image)
    rows, columns = np.indices(mask.shape)
    stripes = (rows + columns) // (2 * width) % 3 == 0
    _blend(image, mask, QUERY, 0.25)
    _blend(image, mask & stripes, QUERY, 0.75)
    contours = _contours(mask)
    cv2.polylines(image, contours, True, BLACK, width + 2, cv2.LINE_AA)
    cv2.polylines(image, contours, True, QUERY, width, cv2.LINE_AA)


def draw_prediction(image: Image, mask: Mask, width: int | None = None) -> None:
    """Fill a predicted mask, in place; arguments as for `draw_query`."""
    mask = _fitted(mask, image)
    _blend(image, mask, PREDICTION, 0.5)
    cv2.polylines(image, _contours(mask), True, PREDICTION, width or line_width(image), cv2.LINE_AA)


def draw_ground_truth(image: Image, mask: Mask, width: int | None = None) -> None:
    """Draw a ground truth mask as a dashed outline, in place; arguments as for `draw_query`."""
    mask = _fitted(mask, image)
    width = width or _thin(image, mask)
    for contour in _contours(mask):
        # Dark between the dashes, and not around them: an outline of three lines covers a small object.
        cv2.polylines(image, [contour], True, BLACK, width, cv2.LINE_AA)
        for dash in _dashes(contour[:, 0], min(6.0 * width, max(3.0, len(contour) / 8))):
            cv2.polylines(image, [dash], False, GROUND_TRUTH, width, cv2.LINE_AA)


def line_width(image: Image) -> int:
    """Width of lines in pixels that are seen at the image's size."""
    shorter: int = min(image.shape[:2])
    return max(1, round(shorter / 200))


def _thin(image: Image, mask: Mask) -> int:
    """Width of an outline that leaves most of a small object to be seen."""
    side = float(np.sqrt(np.count_nonzero(mask)))
    return int(np.clip(side / 25, 1, line_width(image)))


def _fitted(mask: Mask, image: Image) -> Mask:
    height, width = image.shape[:2]
    if mask.shape == (height, width):
        return mask
    # Smooth edges when a small mask is enlarged; nearest neighbour would show its pixels as stairs.
    resized = cv2.resize(np.asarray(mask, dtype=np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized >= 0.5)


def _blend(image: Image, where: Mask, colour: tuple[int, int, int], weight: float) -> None:
    image[where] = (image[where] * (1 - weight) + np.array(colour) * weight + 0.5).astype(np.uint8)


def _contours(mask: Mask) -> list[NDArray[np.int32]]:
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(contour, dtype=np.int32) for contour in found]


def _dashes(points: NDArray[np.int32], length: float) -> list[NDArray[np.int32]]:
    """Cut a closed contour into pieces of about `length` pixels and return every other one."""
    closed = np.concatenate([points, points[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    pieces = max(2, 2 * round(along[-1] / (2 * length)))
    cuts = np.searchsorted(along, np.linspace(0, along[-1], pieces + 1))
    return [closed[start : end + 1, None] for start, end in zip(cuts[:-1:2], cuts[1::2], strict=True)]
