"""Metrics of a frame: the benchmark's numbers, and what they mean computed pixel by pixel."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import balanced_accuracy_score

from lmeec.errors import DataError
from lmeec.masks import RunLengthMask
from lmeec.metrics import balanced_accuracy, contour_accuracy, frame_metrics, iou, location_error
from tests.support.places import ASSETS

REFERENCE = json.loads((ASSETS / "reference/metrics.json").read_text())["pairs"]


@pytest.mark.parametrize("number", range(len(REFERENCE)))
def test_frames_equal_the_benchmark(number):
    pair = REFERENCE[number]
    pred = RunLengthMask.from_counts(pair["pred"], *pair["size"])
    gt = RunLengthMask.from_counts(pair["gt"], *pair["size"])
    metrics = frame_metrics(pred, gt)
    for name, single in [
        ("iou", iou),
        ("location_error", location_error),
        ("contour_accuracy", contour_accuracy),
    ]:
        assert getattr(metrics, name) == pytest.approx(pair[name], rel=0, abs=1e-9)
        assert single(pred, gt) == getattr(metrics, name)


def boundary_points(mask):
    """(row, column) of every pixel unlike one of its neighbours right, below or lower right that exist."""
    height, width = mask.shape
    return [
        (row, column)
        for row in range(height)
        for column in range(width)
        if any(
            mask[row, column] != mask[below, right]
            for below, right in [(row, column + 1), (row + 1, column), (row + 1, column + 1)]
            if below < height and right < width
        )
    ]


def share_near(points, others, radius):
    near = [any(math.dist(point, other) <= radius for other in others) for point in points]
    return sum(near) / len(near)


def plain_contour_accuracy(pred, gt):
    radius = math.ceil(0.008 * math.hypot(*gt.shape))
    first, second = boundary_points(pred), boundary_points(gt)
    if not first or not second:
        return float(not first and not second)
    precision, recall = share_near(first, second, radius), share_near(second, first, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))


@st.composite
def small_pairs(draw):
    size = draw(sizes)
    shares = st.sampled_from([st.booleans(), st.just(False), st.just(True)])
    dense = [draw(arrays(bool, size, elements=draw(shares))) for _ in range(2)]
    for mask in dense:
        mask[: draw(st.integers(0, size[0]))] = draw(st.booleans())
    return dense


@given(small_pairs())
def test_small_masks_equal_a_plain_computation(pair):
    pred, gt = pair
    metrics = frame_metrics(RunLengthMask.encode(pred), RunLengthMask.encode(gt))
    assert metrics.iou == ((pred & gt).sum() / ((pred | gt).sum() + 1e-7) if (pred | gt).any() else 1)
    assert metrics.contour_accuracy == pytest.approx(plain_contour_accuracy(pred, gt))

    def centre(mask):
        rows, columns = np.nonzero(mask)
        if not rows.size:
            return mask.shape[0] // 2, mask.shape[1] // 2
        return (columns.min() + columns.max()) // 2, (rows.min() + rows.max()) // 2

    assert metrics.location_error == pytest.approx(math.dist(centre(pred), centre(gt)) / math.hypot(480, 480))


def square(top, left, side=10, size=(270, 480)):
    mask = np.zeros(size, dtype=bool)
    mask[top : top + side, left : left + side] = True
    return RunLengthMask.encode(mask)


@pytest.mark.parametrize(("distance", "matches"), [(5, True), (6, False)])
def test_contours_match_within_five_pixels_at_270x480(distance, matches):
    # A boundary lies on the last column of the left square (49), and on the one before the right square.
    assert (contour_accuracy(square(100, 40), square(100, 50 + distance)) > 0) is matches


def test_empty_masks():
    """No released vector has two empty masks or an empty one of an odd size; a second implementation checks them."""
    empty, some = RunLengthMask.encode(np.zeros((270, 480), bool)), square(0, 0)
    assert frame_metrics(empty, empty).iou == iou(empty, empty) == 1
    assert contour_accuracy(empty, empty) == 1
    assert contour_accuracy(empty, some) == contour_accuracy(some, empty) == 0
    assert location_error(empty, empty) == 0
    # Centred at (135, 240) in (x, y), although the image's middle is (240, 135).
    assert location_error(empty, square(240, 135, side=1)) == 0
    odd = (271, 481)
    assert location_error(RunLengthMask.empty(*odd), square(240, 135, side=1, size=odd)) == 0


def test_masks_of_other_sizes_are_refused():
    with pytest.raises(DataError, match="270x480 cannot be compared with ground truth of 480x480"):
        frame_metrics(square(0, 0), square(0, 0, size=(480, 480)))


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1).filter(lambda rows: len({v for v, _ in rows}) == 2)
)
def test_balanced_accuracy_equals_scikit_learn(rows):
    visible, predicted = (np.array(column) for column in zip(*rows, strict=True))
    assert balanced_accuracy(visible, predicted) == pytest.approx(balanced_accuracy_score(visible, predicted))


def test_balanced_accuracy_of_one_state_is_its_share():
    assert balanced_accuracy(np.array([True, True]), np.array([True, False])) == 0.5
    assert balanced_accuracy(np.array([False]), np.array([False])) == 1.0
    assert math.isnan(balanced_accuracy(np.array([], bool), np.array([], bool)))
    with pytest.raises(DataError):
        balanced_accuracy(np.array([True]), np.array([True, False]))
