"""Masks whose edges are drawn again by the colours of the frame (GrabCut), at the frame's own resolution.

The network sees a frame squashed to a square and decides on a grid a quarter as fine, so that its masks tell where an
object is better than where it ends. Here a mask's surroundings are cut out of the frame, colours inside and outside of
it are modelled, and the edge is put where colours change. The part of which the network is surest stays in the mask,
and what is far from it stays out.

C. Rother, V. Kolmogorov, A. Blake: "GrabCut", SIGGRAPH 2004, as OpenCV has it. Nothing of it is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGER_SIDE = 960
"""Frames are looked at in their own shape with at most so many pixels a side: twice the size that masks are compared
at."""

_SIDE = 96
"""Pixels along the side of the square that is looked at."""

_MARGIN = 1.5
"""Side of the square, in sides of the mask's box."""

_LEAST = 0.06
"""Side of the smallest square, in longer sides of the frame."""

_SURE = 0.3
"""Share of the mask's pixels, those with the largest logits, that stay in it."""

_REACH = 6
"""How far from the mask the object may lie, in pixels of the square."""

_COLOURS = 5
"""Components of each colour model of GrabCut, which needs as many pixels."""

_ALIKE = 0.25
"""IoU with the network's mask below which the new one is not believed."""


class Window(NamedTuple):
    """A part of a frame: columns from `left` and rows from `top` on, up to but without `right` and `bottom`."""

    left: int
    top: int
    right: int
    bottom: int


def refined(logits: NDArray[np.float32], frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Draw the edge of one mask again.

    It depends on its arguments alone.

    Args:
        logits: of the network's mask, float32 [s, s], over the whole frame; positive is the object.
        frame: uint8 RGB [H, W, 3], in its own shape.
        size: height and width of the result.

    Returns:
        bool [height, width]; None where the network's mask is to be kept: it is empty, too small or too large to tell
        colours inside from colours outside, or these tell another story.
    """
    window = window_around(logits, *frame.shape[:2])
    if window is None:
        return None
    image, inside = _looked_at(logits, frame, window)
    seeds = _seeds(inside)
    if seeds is None:
        return None
    cv2.setRNGSeed(0)  # OpenCV's colour models begin with random means, drawn from a state of each thread
    models = np.zeros((2, 1, 65))
    cv2.grabCut(image, seeds, None, models[0], models[1], 1, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    found, before = (seeds == cv2.GC_FGD) | (seeds == cv2.GC_PR_FGD), inside > 0
    if np.count_nonzero(found & before) < _ALIKE * np.count_nonzero(found | before):
        return None
    return _pasted(found, window, frame.shape[:2], size)


def window_around(logits: NDArray[np.float32], height: int, width: int) -> Window | None:
    """The square around a mask that is looked at, as far as the frame reaches; None of an empty mask.

    Args:
        logits: of the mask, float32 [s, s], over the whole frame.
        height: of the frame, in pixels.
        width: of the frame, in pixels.
    """
    rows, columns = (np.flatnonzero((logits > 0).any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    cell_y, cell_x = height / logits.shape[0], width / logits.shape[1]
    top, bottom = rows[0] * cell_y, (rows[-1] + 1) * cell_y
    left, right = columns[0] * cell_x, (columns[-1] + 1) * cell_x
    side = max(_MARGIN * max(bottom - top, right - left), _LEAST * max(height, width))
    left, right = _span((left + right) / 2, side, width)
    top, bottom = _span((top + bottom) / 2, side, height)
    return Window(left, top, right, bottom)


def _span(centre: float, length: float, whole: int) -> tuple[int, int]:
    """First pixel of a span and the one after its last, within the frame and of one pixel at least."""
    first = min(max(round(centre - length / 2), 0), whole - 1)
    return first, max(min(round(centre + length / 2), whole), first + 1)


def _looked_at(
    logits: NDArray[np.float32], frame: NDArray[np.uint8], window: Window
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The part of the frame at the size at which it is looked at, and the logits at its pixels."""
    left, top, right, bottom = window
    scale = _SIDE / max(right - left, bottom - top)
    columns, rows = max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)
    part = frame[top:bottom, left:right]
    filtering = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    image = cv2.resize(np.ascontiguousarray(part), (columns, rows), interpolation=filtering)
    x = _places(columns, left, right, frame.shape[1], logits.shape[1])
    y = _places(rows, top, bottom, frame.shape[0], logits.shape[0])
    return np.asarray(image, np.uint8), _sampled(logits, x, y)


def _places(count: int, first: int, last: int, whole: int, cells: int) -> NDArray[np.float32]:
    """Where the centres of `count` pixels from `first` to `last` of `whole` lie on a grid of `cells` over the whole."""
    return (((np.arange(count) + 0.5) / count * (last - first) + first) / whole * cells - 0.5).astype(np.float32)


def _sampled(grid: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of a grid at columns x and rows y, by bilinear interpolation; those at its edge go on beyond it."""
    columns, rows = np.meshgrid(x, y)
    return np.asarray(cv2.remap(grid, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _seeds(logits: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """What GrabCut begins with; None where there would be too few colours of one kind for a model."""
    inside = logits > 0
    if min(np.count_nonzero(inside), np.count_nonzero(~inside)) < _COLOURS:
        return None
    seeds = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[logits > np.quantile(logits[inside], 1 - _SURE)] = cv2.GC_FGD
    away = cv2.distanceTransform((~inside).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    seeds[away > _REACH] = cv2.GC_BGD
    return seeds


def _pasted(
    found: NDArray[np.bool_], window: Window, frame: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """A mask of the part that was looked at, in the whole frame at another size."""
    (height, width), (rows, columns) = frame, size
    x = ((np.arange(columns) + 0.5) / columns * width - window.left) / (window.right - window.left)
    y = ((np.arange(rows) + 0.5) / rows * height - window.top) / (window.bottom - window.top)
    across, down = np.flatnonzero((x >= 0) & (x < 1)), np.flatnonzero((y >= 0) & (y < 1))
    whole = np.zeros(size, np.bool_)
    if len(across) and len(down):
        inside = _sampled(
            found.astype(np.float32),
            (x[across] * found.shape[1] - 0.5).astype(np.float32),
            (y[down] * found.shape[0] - 0.5).astype(np.float32),
        )
        whole[down[0] : down[-1] + 1, across[0] : across[-1] + 1] = inside > 0.5
    return whole
