"""Two runs on the frames that both have, side by side, with the paired difference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lmeec.analysis.bootstrap import RESAMPLES, SEED, SUMS, frame_sums
from lmeec.analysis.frames import FrameTable
from lmeec.analysis.groups import (
    Cells,
    Estimate,
    cells_of,
    check_ground_truth,
    estimates_of,
    groupings,
)
from lmeec.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from lmeec.config import Average


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of two runs.

    Attributes:
        first: of the first run.
        second: of the second run.
        difference: second less first, with the interval of the paired difference.
    """

    first: Estimate
    second: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """Two runs on one group of frames; counts are of the frames that both have.

    Attributes:
        group: label of each grouping, `direction` first.
        iou: over frames with the object visible, as the next two.
        location_error: distance of box centres; less is better.
        contour_accuracy: F measure of the boundaries.
        balanced_accuracy: of "visible", over all annotated frames; None by size.
        frames: frames.
        visible: of these, annotated with the object visible.
        absent: of these, annotated with the object not visible.
        tracks: objects with a pair of cameras.
        takes: takes.
        missing: frames with ground truth that one run or both have no prediction of; they count as empty masks.
    """

    group: dict[str, str]
    iou: Compared
    location_error: Compared
    contour_accuracy: Compared
    balanced_accuracy: Compared
    frames: int
    visible: int
    absent: int
    tracks: int
    takes: int
    missing: int = 0


@dataclass(frozen=True)
class CommonFrames:
    """The frames of two runs that can be compared, row for row.

    Attributes:
        first: of the first run.
        second: of the second run, with the first run's labels.
        only_first: frames that the second run lacks.
        only_second: frames that the first run lacks.
        other_truth: frames that both have, but with ground truth visible in one only; left out.
    """

    first: FrameTable
    second: FrameTable
    only_first: int
    only_second: int
    other_truth: int


def common_frames(first: FrameTable, second: FrameTable) -> CommonFrames:
    """Match two runs frame for frame, by take, object, cameras, direction and frame number.

    Args:
        first: frames read with `numbers=True`.
        second: the same.

    Raises:
        DataError: they have no frame in common.
    """
    known = {name: code for code, name in enumerate(first.track.names)}
    codes = np.array([known.get(name, -1) for name in second.track.names], dtype=np.int64)
    matched = np.flatnonzero(codes[second.track.codes] >= 0)
    keys = _keys(codes[second.track.codes[matched]], second.frame[matched])
    _, in_first, in_matched = np.intersect1d(_keys(first.track.codes, first.frame), keys, return_indices=True)
    if not in_first.size:
        raise DataError(
            f"{first.source} and {second.source} have no frame in common: compare runs over the same takes, objects "
            "and cameras"
        )
    in_second = matched[in_matched]
    same = first.state[in_first] == second.state[in_second]
    mine, theirs = first.at(in_first[same]), second.at(in_second[same])
    return CommonFrames(
        first=mine,
        second=replace(theirs, take=mine.take, track=mine.track, by=mine.by),
        only_first=len(first) - in_first.size,
        only_second=len(second) - in_second.size,
        other_truth=int((~same).sum()),
    )


def compare_groups(
    common: CommonFrames,
    by: Iterable[str] = (),
    *,
    average: Average = "frame",
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[GroupComparison]:
    """Compare two runs by group, as `lmeec.analysis.groups.score_groups` scores one.

    The difference's interval is of the same takes drawn for both runs, so that what makes takes hard for both does
    not widen it. An interval without zero says that the runs differ.

    Raises:
        DataError: no common frame has ground truth.
        ConfigError: a grouping is unknown.
    """
    check_ground_truth(common.first)
    sums = np.concatenate([frame_sums(common.first), frame_sums(common.second)])
    missing = common.first.lost() | common.second.lost()
    return [
        _compare(common.first, cells, missing, average, resamples, seed)
        for cells in cells_of(common.first, sums, groupings(by))
    ]


def _keys(track: NDArray[np.integer], frame: NDArray[np.int32]) -> NDArray[np.int64]:
    return track.astype(np.int64) << 32 | frame


def _compare(
    frames: FrameTable, cells: Cells, missing: NDArray[np.bool_], average: Average, resamples: int, seed: int
) -> GroupComparison:
    first, second = np.split(cells.sums, 2, axis=1)
    estimates = [
        estimates_of(sums, less, average, resamples, seed)
        for sums, less in ((first, None), (second, None), (second, first))
    ]
    iou, location_error, contour_accuracy, balanced_accuracy = map(Compared, *estimates)
    if "size" in cells.group:
        balanced_accuracy = Compared(Estimate(None), Estimate(None), Estimate(None))
    totals = first.sum(axis=0)
    return GroupComparison(
        cells.group,
        iou=iou,
        location_error=location_error,
        contour_accuracy=contour_accuracy,
        balanced_accuracy=balanced_accuracy,
        frames=cells.rows.size,
        visible=int(totals[SUMS.index("visible")]),
        absent=int(totals[SUMS.index("absent")]),
        tracks=np.unique(frames.track.codes[cells.rows]).size,
        takes=cells.takes.size,
        missing=int(missing[cells.rows].sum()),
    )
