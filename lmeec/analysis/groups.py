"""Metrics of groups of frames, with counts and 95% intervals over takes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from lmeec.analysis.bootstrap import (
    RESAMPLES,
    SEED,
    SUMS,
    drawn_metrics,
    draws,
    frame_sums,
    interval_of,
    metrics_of,
)
from lmeec.analysis.frames import FrameTable, check_groupings
from lmeec.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lmeec.config import Average


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric with its 95% interval over takes.

    Attributes:
        value: the metric; None where there is nothing to average.
        low: lower end of the interval; None with less than two takes that say something of it.
        high: upper end of the interval.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Metrics of one group of frames.

    Attributes:
        group: label of each grouping, `direction` first.
        iou: over frames with the object visible, as the next two.
        location_error: distance of box centres.
        contour_accuracy: F measure of the boundaries.
        balanced_accuracy: of "visible", over all annotated frames. None by size, as absent objects have none.
        frames: frames with a query mask.
        visible: of these, annotated with the object visible.
        absent: of these, annotated with the object not visible.
        tracks: objects with a pair of cameras.
        takes: takes.
        missing: frames without a prediction, of those with ground truth; they count as empty masks.
    """

    group: dict[str, str]
    iou: Estimate
    location_error: Estimate
    contour_accuracy: Estimate
    balanced_accuracy: Estimate
    frames: int
    visible: int
    absent: int
    tracks: int
    takes: int
    missing: int = 0


FEW_ABSENT = 5

Certainty = Literal["sound", "few", "none"]


def certainty_of_balanced_accuracy(visible: int, absent: int) -> Certainty:
    """Say what a balanced accuracy over so many frames is worth.

    Without frames of one kind it is the share of the other kind, which is the benchmark's value but balances nothing:
    a table for people shows none. Under `FEW_ABSENT` absent frames each of them moves it by 10 points and more.

    Args:
        visible: frames with the object visible.
        absent: frames with the object not visible.

    Example:
        >>> [certainty_of_balanced_accuracy(90, absent) for absent in (0, 4, 5)]
        ['none', 'few', 'sound']
    """
    if not visible or not absent:
        return "none"
    return "few" if absent < FEW_ABSENT else "sound"


@dataclass(frozen=True)
class Cells:
    """Frames summed by group and take.

    Attributes:
        group: label of each grouping.
        rows: indices of the group's frames.
        takes: codes of its takes.
        sums: float64 [takes, 7], as `lmeec.analysis.bootstrap.SUMS` has them.
    """

    group: dict[str, str]
    rows: NDArray[np.int64]
    takes: NDArray[np.int64]
    sums: NDArray[np.float64]


def score_groups(
    frames: FrameTable,
    by: Iterable[str] = (),
    *,
    average: Average = "frame",
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[GroupScore]:
    """Compute the metrics of every group of frames.

    Args:
        frames: read with (at least) these groupings.
        by: groupings, crossed with each other. Directions are never pooled: `direction` is always one of them.
        average: over frames pooled over takes, or over takes.
        resamples: draws of takes for the intervals; 0 for none.
        seed: of the draws.

    Returns:
        Groups that have frames, in the order of their labels. By size, frames whose ground truth is not visible are in
        no group.

    Raises:
        DataError: no frame has ground truth.
        ConfigError: a grouping is unknown.

    Example:
        >>> from lmeec.analysis.frames import load_frames
        >>> for one in score_groups(load_frames("results.parquet", ["scenario"]), ["scenario"]):
        ...     print(one.group["direction"], one.group["scenario"], one.iou)
        ego2exo Playing Estimate(value=0.6..., low=0.5..., high=0.6...)
        exo2ego Playing Estimate(value=0.7..., low=0.7..., high=0.8...)
    """
    check_ground_truth(frames)
    return [
        _score(frames, cells, average, resamples, seed) for cells in cells_of(frames, frame_sums(frames), groupings(by))
    ]


def groupings(by: Iterable[str]) -> tuple[str, ...]:
    """The groupings with `direction` first, each once.

    Raises:
        ConfigError: one is unknown.
    """
    return check_groupings(("direction", *by))


def check_ground_truth(frames: FrameTable) -> None:
    """Refuse a table that cannot be scored.

    Raises:
        DataError: no frame has ground truth.
    """
    if not frame_sums(frames)[[SUMS.index("visible"), SUMS.index("absent")]].any():
        raise DataError(
            f"{frames.source} has no frame with ground truth to score: predict takes whose annotations hold masks of "
            "the target view too (the benchmark's test split holds query masks only)"
        )


def cells_of(frames: FrameTable, sums: NDArray[np.float64], by: Sequence[str]) -> Iterator[Cells]:
    """Sum frames by group and take.

    Args:
        frames: the frames.
        sums: float64 [quantities, frames].
        by: groupings.
    """
    group = np.zeros(len(frames), dtype=np.int64)
    keep = np.ones(len(frames), dtype=bool)
    for name in by:
        labels = frames.by[name]
        group = group * len(labels.names) + labels.codes
        keep &= labels.codes >= 0
    rows = np.flatnonzero(keep)
    cells, cell_of_row = np.unique(group[rows] * len(frames.take.names) + frames.take.codes[rows], return_inverse=True)
    columns = [np.bincount(cell_of_row, one[rows], cells.size) for one in sums]
    summed = np.stack(columns, axis=1).astype(np.float64, copy=False)
    group_of_cell = cells // max(len(frames.take.names), 1)
    order = rows[np.argsort(cell_of_row, kind="stable")]
    row_ends = np.cumsum(np.bincount(cell_of_row, minlength=cells.size))
    for first, end in _runs(group_of_cell):
        of_group = order[row_ends[first - 1] if first else 0 : row_ends[end - 1]]
        yield Cells(
            group={name: frames.by[name].names[frames.by[name].codes[of_group[0]]] for name in by},
            rows=of_group,
            takes=cells[first:end] % len(frames.take.names),
            sums=summed[first:end],
        )


def _runs(values: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    starts = np.flatnonzero(np.diff(values, prepend=-1))
    yield from itertools.pairwise([*starts.tolist(), values.size])


def _score(frames: FrameTable, cells: Cells, average: Average, resamples: int, seed: int) -> GroupScore:
    iou, location_error, contour_accuracy, balanced_accuracy = estimates_of(cells.sums, None, average, resamples, seed)
    totals = cells.sums.sum(axis=0)
    return GroupScore(
        cells.group,
        iou=iou,
        location_error=location_error,
        contour_accuracy=contour_accuracy,
        balanced_accuracy=Estimate(None) if "size" in cells.group else balanced_accuracy,
        frames=cells.rows.size,
        visible=int(totals[SUMS.index("visible")]),
        absent=int(totals[SUMS.index("absent")]),
        tracks=np.unique(frames.track.codes[cells.rows]).size,
        takes=cells.takes.size,
        missing=int(frames.lost()[cells.rows].sum()),
    )


def estimates_of(
    sums: NDArray[np.float64], less: NDArray[np.float64] | None, average: Average, resamples: int, seed: int
) -> list[Estimate]:
    """Compute the four metrics with their intervals.

    Args:
        sums: float64 [takes, 7].
        less: the same of another run on the same frames; the metrics are then the differences to it.
        average: over frames or over takes.
        resamples: draws of takes for the intervals; 0 for none.
        seed: of the draws.
    """
    runs = [sums] if less is None else [sums, less]
    seen, absent = sums[:, SUMS.index("visible")] > 0, sums[:, SUMS.index("absent")] > 0
    annotated = seen | absent
    values = _difference([metrics_of(run, average) for run in runs])
    intervals = np.full((2, values.size), np.nan)
    if annotated.sum() > 1 and resamples:
        times = draws(int(annotated.sum()), resamples, seed)
        intervals = interval_of(_difference([drawn_metrics(run[annotated], times, average) for run in runs]))
    if seen.sum() < 2:
        intervals[:, :-1] = np.nan
    return [
        Estimate(number(value), number(low), number(high)) for value, low, high in zip(values, *intervals, strict=True)
    ]


def _difference(runs: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return runs[0] if len(runs) == 1 else runs[0] - runs[1]


def number(value: float) -> float | None:
    """The same as a plain number, None for NaN."""
    return None if math.isnan(value) else float(value)
