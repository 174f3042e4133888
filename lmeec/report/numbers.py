"""The numbers of a report, a few for each frame of the table."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from lmeec.analysis.bootstrap import RESAMPLES, SEED, frame_sums
from lmeec.analysis.frames import ABSENT, SIZE_BINS, UNANNOTATED, VISIBLE, FrameTable, Labels, load_frames
from lmeec.analysis.groups import Estimate, GroupScore, cells_of, estimates_of, score_groups
from lmeec.analysis.risk import RANKED, RiskCoverage, curves_of
from lmeec.tables.read import read_coverage, scan_results
from lmeec.video.instants import USUAL_RATE

if TYPE_CHECKING:
    from lmeec.files.locations import Location

_TIME_BINS = 8
_SIGN_BINS = 10
_MOST_LABELS = 20


@dataclass(frozen=True, slots=True)
class Point:
    """One mark of a chart.

    Attributes:
        label: what it is of.
        position: where it is along a number axis; its place in the order otherwise.
        value: with its interval.
        count: visible frames behind it.
    """

    label: str
    position: float
    value: Estimate
    count: int


Series = Mapping[str, Sequence[Point]]
"""Points by direction."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """What becomes of frames where a sign says so much, in bins of the sign.

    Attributes:
        said: float64 [bins], mean of the sign; NaN for an empty bin.
        found: float64 [bins], mean of what it should tell; NaN for an empty bin.
        frames: int64 [bins].
        error: mean distance of the two, weighted by frames (expected calibration error).
    """

    said: NDArray[np.float64]
    found: NDArray[np.float64]
    frames: NDArray[np.int64]
    error: float


@dataclass(frozen=True, slots=True)
class TrackScore:
    """A track and how good it is.

    Attributes:
        take_uid: its take.
        object: object name.
        query_cam: camera whose masks are given.
        target_cam: camera in which the object is segmented.
        direction: `ego2exo` or `exo2ego`.
        score: mean IoU over its visible frames; mean confidence where the table has no ground truth.
        frames: frames that count.
    """

    take_uid: str
    object: str
    query_cam: str
    target_cam: str
    direction: str
    score: float
    frames: int


@dataclass(frozen=True)
class Numbers:
    """All that the report shows of a table.

    Attributes:
        frames: predicted frames.
        missing: of frames with ground truth but without a prediction, how many for which reason, by direction.
        takes: takes.
        tracks: tracks.
        annotated: frames with ground truth.
        scores: metrics by direction; empty without ground truth.
        by_size: IoU by the share of the target view that the object covers.
        by_length: IoU by the length of the take.
        by_scenario: IoU by scenario.
        by_time: IoU along the take; positions are seconds.
        reliability: confidence against the share of annotated frames with the object visible, by direction.
        iou_told: cycle and predicted IoU against the IoU of visible frames, by sign and direction.
        ranking: tracks from best to worst.
        risk: IoU of the best masks by each sign, by direction; empty without ground truth.
    """

    frames: int
    missing: Mapping[str, Mapping[str, int]]
    takes: int
    tracks: int
    annotated: int
    scores: Sequence[GroupScore]
    by_size: Series
    by_length: Series
    by_scenario: Series
    by_time: Series
    reliability: Mapping[str, Reliability]
    iou_told: Mapping[str, Mapping[str, Reliability]]
    ranking: Sequence[TrackScore]
    risk: Mapping[str, Mapping[str, RiskCoverage]]


def collect(results: Location | str) -> Numbers:
    """Read a results table, in pieces, into the numbers of a report.

    Raises:
        OutputError: the table cannot be read.
    """
    frames = load_frames(results, ["scenario", "size", "length"], numbers=True)
    signs = _signs(results)
    told = {name: dict(_iou_told(frames, signs[name])) for name in ("cycle_iou", "predicted_iou")}
    annotated = frames.state != UNANNOTATED
    scored = bool(annotated.any())
    return Numbers(
        frames=int((frames.missing.codes < 0).sum()),
        missing=frames.lost_by_reason(),
        takes=len(frames.take.names),
        tracks=len(frames.track.names),
        annotated=int(annotated.sum()),
        scores=score_groups(frames) if scored else (),
        by_size=_series(frames, "size"),
        by_length=_series(frames, "length"),
        by_scenario=_series(frames, "scenario"),
        by_time=_by_time(frames, _frame_rates(results, frames.take.names)),
        reliability=dict(_reliabilities(frames, signs["confidence"])),
        iou_told={name: curves for name, curves in told.items() if curves},
        ranking=_ranking(frames, signs["confidence"], scored),
        risk=dict(_risks(frames, signs)),
    )


def size_words() -> dict[str, str]:
    """What the size bins mean, in percent of the target view.

    Example:
        >>> size_words()["tiny"]
        'under 0.10%'
    """
    ends = [f"{100 * end:.2f}%" for end in SIZE_BINS.values()]
    words = [f"under {ends[0]}", *(f"{low} to {high}" for low, high in itertools.pairwise(ends[:-1]))]
    return dict(zip(SIZE_BINS, [*words, f"{ends[-2]} or more"], strict=True))


def _series(frames: FrameTable, by: str) -> dict[str, list[Point]]:
    series: dict[str, list[Point]] = {}
    names = frames.by[by].names
    for group, value, count in _ious(frames, by):
        label = group[by]
        series.setdefault(group["direction"], []).append(Point(label, names.index(label), value, count))
    return _most_frequent(series)


def _most_frequent(series: dict[str, list[Point]]) -> dict[str, list[Point]]:
    """Keep the labels with most frames where there are more than a chart can name."""
    counts: dict[str, int] = {}
    for point in (point for points in series.values() for point in points):
        counts[point.label] = counts.get(point.label, 0) + point.count
    kept = set(sorted(counts, key=lambda label: -counts[label])[:_MOST_LABELS])
    return {name: [point for point in points if point.label in kept] for name, points in series.items()}


def _frame_rates(results: Location | str, takes: Sequence[str]) -> NDArray[np.float64]:
    """Frames a second that each take counts, as its run found them; the usual rate where the table does not tell."""
    rates = {
        uid: source.counted
        for (uid, _), coverage in read_coverage(results).items()
        for source in coverage.sources.values()
        if source is not None and source.kind != "frames"
    }
    return np.array([rates.get(uid, float(USUAL_RATE)) for uid in takes])


def _by_time(frames: FrameTable, frame_rates: NDArray[np.float64]) -> dict[str, list[Point]]:
    instants = frames.frame / frame_rates[frames.take.codes]
    visible = instants[frames.state == VISIBLE]
    if not visible.size:
        return {}
    # Bins of about equally many frames: long takes are few.
    edges = np.unique(np.quantile(visible, np.linspace(0, 1, _TIME_BINS + 1)[1:-1]))
    codes = np.searchsorted(edges, instants, side="right").astype(np.int32)
    sums = np.bincount(codes[frames.state == VISIBLE], visible, edges.size + 1)
    counts = np.bincount(codes[frames.state == VISIBLE], minlength=edges.size + 1)
    seconds = sums / np.maximum(counts, 1)
    labels = Labels(tuple(map(str, range(edges.size + 1))), codes)
    timed = replace(frames, by=frames.by | {"time": labels})
    series: dict[str, list[Point]] = {}
    for group, value, count in _ious(timed, "time"):
        position = float(seconds[int(group["time"])])
        series.setdefault(group["direction"], []).append(Point(f"{position:.0f} s", position, value, count))
    return series


def _ious(frames: FrameTable, by: str) -> Iterator[tuple[dict[str, str], Estimate, int]]:
    """IoU and number of visible frames of each group and direction that has some."""
    if not (frames.state == VISIBLE).any():
        return
    for cells in cells_of(frames, frame_sums(frames), ("direction", by)):
        iou = estimates_of(cells.sums, None, "frame", RESAMPLES, SEED)[0]
        if iou.value is not None:
            yield cells.group, iou, int(cells.sums[:, 0].sum())


def _signs(results: Location | str) -> dict[str, NDArray[np.float64]]:
    """Signs of quality of every row, float64 [rows] each; NaN where a row has none."""
    batches = [
        np.stack([np.asarray(pc.fill_null(batch[name].cast("float64"), np.nan)) for name in RANKED])
        for batch in scan_results(results, RANKED)
    ]
    signs = np.concatenate(batches, axis=1) if batches else np.zeros((len(RANKED), 0))
    return dict(zip(RANKED, signs, strict=True))


def _by_direction(frames: FrameTable, rows: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Those of some rows that have a prediction, in each direction that has some: without one there is no sign."""
    direction = frames.by["direction"]
    for code, name in enumerate(direction.names):
        of_it = rows & (frames.missing.codes < 0) & (direction.codes == code)
        if of_it.any():
            yield name, of_it


def _reliabilities(frames: FrameTable, confidence: NDArray[np.float64]) -> Iterator[tuple[str, Reliability]]:
    for name, rows in _by_direction(frames, np.isin(frames.state, (VISIBLE, ABSENT))):
        yield name, _reliability(confidence[rows], frames.state[rows] == VISIBLE)


def _iou_told(frames: FrameTable, sign: NDArray[np.float64]) -> Iterator[tuple[str, Reliability]]:
    for name, rows in _by_direction(frames, (frames.state == VISIBLE) & ~np.isnan(sign)):
        yield name, _reliability(sign[rows], frames.metrics[0, rows])


def _reliability(said: NDArray[np.float64], truth: NDArray[Any]) -> Reliability:
    bins = np.clip((said * _SIGN_BINS).astype(np.int64), 0, _SIGN_BINS - 1)
    count = np.bincount(bins, minlength=_SIGN_BINS)
    mean, found = (_ratio(np.bincount(bins, values, _SIGN_BINS), count) for values in (said, truth))
    return Reliability(mean, found, count, float(np.nansum(np.abs(mean - found) * count) / count.sum()))


def _risks(
    frames: FrameTable, signs: Mapping[str, NDArray[np.float64]]
) -> Iterator[tuple[str, dict[str, RiskCoverage]]]:
    """Curves over visible frames with a prediction."""
    for name, rows in _by_direction(frames, frames.state == VISIBLE):
        yield name, curves_of({sign: values[rows] for sign, values in signs.items()}, frames.metrics[0, rows])


def _ranking(frames: FrameTable, confidence: NDArray[np.float64], scored: bool) -> list[TrackScore]:
    values = frames.metrics[0] if scored else confidence
    rows = ~np.isnan(values)
    if not scored:
        rows &= frames.missing.codes < 0  # no prediction, no confidence
    tracks = len(frames.track.names)
    count = np.bincount(frames.track.codes[rows], minlength=tracks)
    mean = _ratio(np.bincount(frames.track.codes[rows], values[rows], tracks), count)
    order = [track for track in np.argsort(-np.nan_to_num(mean), kind="stable") if count[track]]
    ranking = []
    for track in order:
        take, name, query, target, direction = json.loads(frames.track.names[track])
        ranking.append(TrackScore(take, name, query, target, direction, float(mean[track]), int(count[track])))
    return ranking


def _ratio(value: NDArray[Any], count: NDArray[np.int64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(value, count, out=np.full(value.shape, np.nan), where=count > 0)
    return ratio
