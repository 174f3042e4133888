"""The benchmark's metrics of one frame (IoU, location error, contour accuracy) and balanced accuracy.

The values equal the Ego-Exo4D relations benchmark's own code to 1e-9, with its peculiarities, each noted
where it stands. Masks are compared at the evaluation size (`lmeec.masks.evaluation_size`); resize the ground
truth with `lmeec.masks.resize_nearest` first. Areas and boxes are computed on run lengths, contours on crops
around the masks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lmeec.errors import DataError
from lmeec.masks import RunLengthMask, bounding_box

_IOU_EPSILON = 1e-7
_LOCATION_DIAGONAL = math.hypot(480, 480)
_CONTOUR_TOLERANCE = 0.008  # of the diagonal

METRICS = ("iou", "location_error", "contour_accuracy")
"""Names of `FrameMetrics`, in its order."""

Box = tuple[int, int, int, int]  # left, top, right, bottom, all inclusive


@dataclass(frozen=True, slots=True)
class FrameMetrics:
    """The three metrics of one frame whose ground truth is visible.

    Attributes:
        iou: intersection over union, 0 to 1, higher is better.
        location_error: distance of the boxes' centres over the diagonal of 480x480, lower is better.
        contour_accuracy: F measure of the boundaries, 0 to 1, higher is better.
    """

    iou: float
    location_error: float
    contour_accuracy: float


def frame_metrics(pred: RunLengthMask, gt: RunLengthMask) -> FrameMetrics:
    """Compute the three metrics of a frame, reading each mask once.

    Args:
        pred: predicted mask.
        gt: ground truth of the same size.

    Raises:
        DataError: the sizes differ, or counts are bad.

    Example:
        >>> mask = np.zeros((480, 480), dtype=bool)
        >>> mask[100:200, 100:200] = True
        >>> moved = RunLengthMask.encode(np.roll(mask, 50, axis=1))
        >>> metrics = frame_metrics(moved, RunLengthMask.encode(mask))
        >>> round(metrics.iou, 3), round(metrics.location_error, 3), round(metrics.contour_accuracy, 3)
        (0.333, 0.074, 0.315)
    """
    first, second = _read_pair(pred, gt)
    return FrameMetrics(_iou(first, second), _location_error(first, second), _contour_accuracy(first, second))


def iou(pred: RunLengthMask, gt: RunLengthMask) -> float:
    """Intersection over union; 1e-7 is added to the union, so that equal masks stay just below 1.

    Two empty masks have 1.

    Raises:
        DataError: the sizes differ, or counts are bad.
    """
    return _iou(*_read_pair(pred, gt))


def location_error(pred: RunLengthMask, gt: RunLengthMask) -> float:
    """Distance between the centres of the masks' bounding boxes, over the diagonal of 480x480.

    Three peculiarities of the benchmark: the diagonal is that of 480x480 whatever the size of the masks; a
    centre is rounded down to whole pixels, that of an empty mask too, and it lies at (height // 2, width // 2) read
    as (x, y), which swaps the axes of a mask that is not square.

    Raises:
        DataError: the sizes differ, or counts are bad.
    """
    return _location_error(*_read_pair(pred, gt))


def contour_accuracy(pred: RunLengthMask, gt: RunLengthMask) -> float:
    """F measure of the masks' boundaries (F of DAVIS, Perazzi et al., CVPR 2016).

    A boundary pixel is matched if the other boundary comes within ceil(0.008 * diagonal) pixels of it (6 at
    480x480, 5 at 270x480). A boundary pixel differs from its neighbour to the right, below, or to the lower
    right, so that boundaries lie half a pixel up and left, and the image's own border is no boundary: a mask
    that covers the whole image has none. One boundary missing gives 0, both missing give 1.

    Raises:
        DataError: the sizes differ, or counts are bad.
    """
    return _contour_accuracy(*_read_pair(pred, gt))


def balanced_accuracy(visible: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """Mean of the share of visible frames predicted visible and of absent frames predicted absent.

    Where the ground truth knows only one of the two states, it is the share of that one.

    Args:
        visible: bool [frames], ground truth.
        predicted: bool [frames], prediction.

    Returns:
        0 to 1; NaN without frames.

    Raises:
        DataError: the lengths differ.

    Example:
        >>> balanced_accuracy(np.array([True, True, True, False]), np.array([True, True, False, False]))
        0.8333333333333333
    """
    visible, predicted = np.asarray(visible, dtype=bool), np.asarray(predicted, dtype=bool)
    if visible.shape != predicted.shape or visible.ndim != 1:
        raise DataError(
            f"ground truth of shape {visible.shape} does not go with predictions of shape {predicted.shape}"
        )
    shares = [
        float(np.mean(predicted[visible == state] == state)) for state in (True, False) if (visible == state).any()
    ]
    return sum(shares) / len(shares) if shares else math.nan


@dataclass(frozen=True, slots=True)
class _Spans:
    """A mask as the column-major positions where foreground starts and stops, with its box."""

    height: int
    width: int
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    box: Box | None

    @property
    def area(self) -> int:
        return int((self.stops - self.starts).sum())


def _read(mask: RunLengthMask) -> _Spans:
    toggles = mask.toggles()
    box = bounding_box(toggles, mask.height, mask.width)
    if toggles.size % 2:
        toggles = np.append(toggles, mask.height * mask.width)
    return _Spans(mask.height, mask.width, toggles[0::2], toggles[1::2], box)


def _read_pair(pred: RunLengthMask, gt: RunLengthMask) -> tuple[_Spans, _Spans]:
    if (pred.height, pred.width) != (gt.height, gt.width):
        raise DataError(
            f"a predicted mask of {pred.height}x{pred.width} cannot be compared with ground truth of "
            f"{gt.height}x{gt.width} (height x width): resize one with resize_nearest first"
        )
    return _read(pred), _read(gt)


def _iou(pred: _Spans, gt: _Spans) -> float:
    shared = _intersection(pred, gt)
    union = pred.area + gt.area - shared
    return shared / (union + _IOU_EPSILON) if union else 1.0


def _intersection(first: _Spans, second: _Spans) -> int:
    covered = np.concatenate(([0], np.cumsum(first.stops - first.starts)))

    def foreground_before(position: NDArray[np.int64]) -> NDArray[np.int64]:
        runs = np.searchsorted(first.starts, position)  # runs that start before it; the last may reach beyond
        beyond = np.append(0, first.stops)[runs] - position
        return covered[runs] - np.maximum(beyond, 0)

    return int((foreground_before(second.stops) - foreground_before(second.starts)).sum())


def _location_error(pred: _Spans, gt: _Spans) -> float:
    (x, y), (gt_x, gt_y) = _centre(pred), _centre(gt)
    return math.hypot(x - gt_x, y - gt_y) / _LOCATION_DIAGONAL


def _centre(mask: _Spans) -> tuple[int, int]:
    if mask.box is None:
        return mask.height // 2, mask.width // 2
    left, top, right, bottom = mask.box
    return (left + right) // 2, (top + bottom) // 2


def _contour_accuracy(pred: _Spans, gt: _Spans) -> float:
    pred_boundary, gt_boundary = _boundary(pred), _boundary(gt)
    if pred_boundary is None or gt_boundary is None:
        return float(pred_boundary is gt_boundary)
    radius = math.ceil(_CONTOUR_TOLERANCE * math.hypot(gt.height, gt.width))
    pred_matched, gt_matched = _count_matches(pred_boundary, gt_boundary, radius)
    precision = pred_matched / pred_boundary.length
    recall = gt_matched / gt_boundary.length
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True, slots=True)
class _Boundary:
    """Boundary pixels of a mask: 0/1 in a crop of the image, and how many."""

    pixels: NDArray[np.uint8]
    box: Box
    length: int


def _boundary(mask: _Spans) -> _Boundary | None:
    if mask.box is None:
        return None
    left, top, right, bottom = mask.box
    # With a margin of one pixel the crop's border behaves as the image's does: nothing changes across it.
    left, top = max(left - 1, 0), max(top - 1, 0)
    right, bottom = min(right + 1, mask.width - 1), min(bottom + 1, mask.height - 1)
    inside = _crop(mask, (left, top, right, bottom))
    pixels = np.zeros_like(inside)
    across = inside[:, :-1] ^ inside[:, 1:]
    down = inside[:-1] ^ inside[1:]
    pixels[:, :-1] = across
    pixels[:-1] |= down
    pixels[:-1, :-1] |= inside[:-1, :-1] ^ inside[1:, 1:]
    length = int(np.count_nonzero(pixels))
    return _Boundary(pixels, (left, top, right, bottom), length) if length else None


def _crop(mask: _Spans, box: Box) -> NDArray[np.uint8]:
    """Decode the part of a mask within a box to 0/1."""
    left, top, right, bottom = box
    first = left * mask.height
    size = (right + 1 - left) * mask.height
    edges = np.zeros(2 * mask.starts.size + 2, dtype=np.int64)
    edges[1:-1:2] = mask.starts
    edges[2:-1:2] = mask.stops
    edges[1:-1] = np.clip(edges[1:-1] - first, 0, size)
    edges[-1] = size
    values = np.zeros(edges.size - 1, dtype=np.uint8)
    values[1::2] = 1
    columns = np.repeat(values, np.diff(edges)).reshape(right + 1 - left, mask.height)
    return np.ascontiguousarray(columns[:, top : bottom + 1].T)


def _count_matches(first: _Boundary, second: _Boundary, radius: int) -> tuple[int, int]:
    """Pixels of each boundary within `radius` of the other."""
    left, top = (max(first.box[side], second.box[side]) for side in (0, 1))
    right, bottom = (min(first.box[side], second.box[side]) for side in (2, 3))
    if left - right > radius or top - bottom > radius:
        return 0, 0
    # Only pixels near both boxes can match, and what they match with is near both boxes too.
    region = (left - radius, top - radius, right + radius, bottom + radius)
    here, there = _paste(first, region), _paste(second, region)
    return int(np.count_nonzero(here & _dilate(there, radius))), int(np.count_nonzero(there & _dilate(here, radius)))


def _paste(boundary: _Boundary, region: Box) -> NDArray[np.uint8]:
    left, top = (max(boundary.box[side], region[side]) for side in (0, 1))
    right, bottom = (min(boundary.box[side], region[side]) for side in (2, 3))
    result = np.zeros((region[3] - region[1] + 1, region[2] - region[0] + 1), dtype=np.uint8)
    result[top - region[1] : bottom - region[1] + 1, left - region[0] : right - region[0] + 1] = boundary.pixels[
        top - boundary.box[1] : bottom - boundary.box[1] + 1,
        left - boundary.box[0] : right - boundary.box[0] + 1,
    ]
    return result


def _dilate(pixels: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.dilate(pixels, _disk(radius)), dtype=np.uint8)


@cache
def _disk(radius: int) -> NDArray[np.uint8]:
    offset = np.arange(-radius, radius + 1)
    return (offset[:, None] ** 2 + offset**2 <= radius**2).astype(np.uint8)
