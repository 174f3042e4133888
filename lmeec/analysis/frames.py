"""The frames of a results table as a few numbers each: what metrics by group and comparisons are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lmeec.analysis.areas import mask_areas
from lmeec.analysis.protocols import PAPER_COLUMNS, as_paper_counts, check_protocol
from lmeec.analysis.risk import RANKED, SIGN_BINS, remedy_for, sign_bins
from lmeec.errors import ConfigError, DataError
from lmeec.files.reading import understanding
from lmeec.metrics import METRICS
from lmeec.tables.read import scan_results, with_all_columns
from lmeec.tables.schema import ADDED_COLUMNS, SCHEMA, Missing
from lmeec.tables.takes import by_take

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lmeec.analysis.calibration import Calibration
    from lmeec.config import FuseBy, ScoreProtocol

Grouping = Literal[
    "direction", "scenario", "object", "size", "length", "camera", "cycle_iou", "predicted_iou", "confidence"
]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

_Number = TypeVar("_Number", bound=np.generic)

SIZE_BINS = {"tiny": 0.001, "small": 32 * 32 / (640 * 480), "medium": 96 * 96 / (640 * 480), "large": 1.0}
"""Upper ends of the size bins, as shares of the target view that the visible mask covers.

COCO's small and medium end at 32 x 32 and 96 x 96 pixels, in images of about 640 x 480; tiny is what the released
model's rule takes for not visible.
"""

LENGTH_BINS = {"under 200": 199, "200 to 600": 600, "over 600": 2**31}
"""Most frames of a take in each bin: different frames in the table, of which annotations have one a second."""

VISIBLE, ABSENT, UNANNOTATED = 0, 1, 2
_STATES = pa.array(["visible", "absent"])
_REASONS = get_args(Missing)

_TRACK = ("take_uid", "object", "query_cam", "target_cam", "direction")
_BASE = (*_TRACK, "missing", "confidence", "gt_state", *METRICS)
_EXTRA: dict[str, tuple[str, ...]] = {
    "scenario": ("scenario",),
    "size": ("gt_rle", "height", "width"),
    "length": ("frame",),
    **{name: (name,) for name in RANKED},
}


@dataclass(frozen=True)
class Labels:
    """One label a frame.

    Attributes:
        names: the labels there are, in the order to show them.
        codes: int32 [frames], index of each frame's label; -1 without one.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int32]

    def at(self, rows: NDArray[np.int64]) -> Labels:
        """The labels of some frames."""
        return Labels(self.names, self.codes[rows])


@dataclass(frozen=True)
class FrameTable:
    """The frames of a results table; all arrays are of its length.

    Attributes:
        source: name of the table, for messages.
        take: uid of the take.
        track: take, object, query camera, target camera and direction, as a JSON list.
        by: labels of each grouping that was asked for; those of `direction`, `object` and `camera` always.
        frame: int32 frame numbers; zeros unless asked for.
        missing: why a frame has no prediction; code -1 where it has one.
        state: int8, `VISIBLE`, `ABSENT` or `UNANNOTATED`.
        predicted: bool, whether the run calls the object visible.
        metrics: float64 [3, frames], in the order of `METRICS`; NaN where the object is not visible.
    """

    source: str
    take: Labels
    track: Labels
    by: dict[str, Labels]
    frame: NDArray[np.int32]
    missing: Labels
    state: NDArray[np.int8]
    predicted: NDArray[np.bool_]
    metrics: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.state)

    def at(self, rows: NDArray[np.int64]) -> FrameTable:
        """Some of the frames."""
        return FrameTable(
            source=self.source,
            take=self.take.at(rows),
            track=self.track.at(rows),
            by={name: labels.at(rows) for name, labels in self.by.items()},
            frame=self.frame[rows],
            missing=self.missing.at(rows),
            state=self.state[rows],
            predicted=self.predicted[rows],
            metrics=self.metrics[:, rows],
        )

    def predictions(self) -> FrameTable:
        """The frames that have a prediction."""
        return self.at(np.flatnonzero(self.missing.codes < 0))

    @property
    def has_truth(self) -> NDArray[np.bool_]:
        """Which frames have ground truth."""
        return np.asarray(self.state != UNANNOTATED, dtype=np.bool_)

    def lost(self) -> NDArray[np.bool_]:
        """Which frames have ground truth and no prediction: they count as an empty mask that is predicted absent."""
        return np.asarray((self.missing.codes >= 0) & self.has_truth, dtype=np.bool_)

    def lost_by_reason(self) -> dict[str, dict[str, int]]:
        """How many of those there are, by direction and reason."""
        directions, lost = self.by["direction"], self.lost()
        counts: dict[str, dict[str, int]] = {}
        for code, direction in enumerate(directions.names):
            reasons = np.bincount(self.missing.codes[lost & (directions.codes == code)], minlength=len(_REASONS))
            counts[direction] = {name: int(count) for name, count in zip(_REASONS, reasons, strict=True) if count}
        return counts


def load_frames(
    results: pa.Table | Path | str,
    by: Iterable[str] = (),
    *,
    protocol: ScoreProtocol = "benchmark",
    calibration: Calibration | None = None,
    numbers: bool = False,
) -> FrameTable:
    """Read what scores are made of, in pieces: a million frames take about 100 MB.

    Args:
        results: a table with the columns of `lmeec.tables.SCHEMA` (those that are not needed may lack), or where
            `lmeec predict` wrote one.
        by: groupings to read labels for, besides direction, object and camera.
        protocol: which frames count, and as what (`lmeec.analysis.protocols`).
        calibration: decides what counts as visible, in place of confidence > 0.5.
        numbers: whether to read frame numbers.

    Raises:
        OutputError: the file is missing, damaged or not a results table.
        DataError: a column is missing or of another type, visible frames have no metrics, or the masks are of another
            size than the protocol compares, or no row has the sign that is to be grouped by.
        ConfigError: a grouping or the protocol is unknown, or a calibration is given for the paper's protocol, which
            decides by area.
    """
    by = check_groupings(by)
    check_protocol(results, protocol)
    if protocol == "paper" and calibration is not None:
        raise ConfigError("the paper's protocol decides by area what counts as visible, not by a calibration")
    source = "the table" if isinstance(results, pa.Table) else str(results)
    wanted = [*_BASE, *(column for name in by for column in _EXTRA.get(name, ()))]
    wanted += ["frame"] if numbers else []
    wanted += calibration.columns if calibration else []
    wanted += PAPER_COLUMNS if protocol == "paper" else []
    columns = [name for name in SCHEMA.names if name in wanted]
    reader = _Reader(columns, calibration, [name for name in RANKED if name in by])
    batches = _batches(results, columns)
    if calibration is not None and calibration.needs_takes:
        batches = (whole for _, _, rows in by_take(batches) for whole in rows.combine_chunks().to_batches())
    while True:
        # What is wrong with the values of a table, which others may have written, is said with the table's name.
        batch = next(batches, None)
        if batch is None:
            break
        with understanding(source, DataError, "a results table", "predict again"):
            reader.add(as_paper_counts(batch) if protocol == "paper" else batch)
    with understanding(source, DataError, "a results table", "predict again"):
        frames = reader.finish(source, by)
    for name in RANKED:
        if name in by and len(frames) and (frames.by[name].codes == len(SIGN_BINS) - 1).all():
            raise DataError(
                f"{source} has no value in the column {name} to group by: {remedy_for(name)}", settings=["by", "cycle"]
            )
    return frames


def check_groupings(by: Iterable[str]) -> tuple[Grouping, ...]:
    """Check names of groupings.

    Raises:
        ConfigError: one is unknown.
    """
    by = tuple(dict.fromkeys(by))
    for name in by:
        if name not in GROUPINGS:
            raise ConfigError(f"cannot group by {name!r}: choose from {', '.join(GROUPINGS)}")
    return tuple(name for name in GROUPINGS if name in by)


def _batches(results: pa.Table | Path | str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if not isinstance(results, pa.Table):
        yield from scan_results(results, columns)
        return
    lacking = [name for name in columns if name not in {*results.column_names, *ADDED_COLUMNS}]
    if lacking:
        raise DataError(f"the table lacks the columns {', '.join(lacking)}, which the metrics are computed from")
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    stored = [name for name in columns if name in results.column_names]
    try:
        for batch in results.select(stored).to_batches():
            yield with_all_columns(batch, schema)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"the table's columns are not those of a results table: {error}") from error


class _Encoder:
    """Codes of the values of a column, the same over all batches."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._codes: list[NDArray[np.int32]] = []

    def add(self, column: pa.Array) -> None:
        encoded = pc.fill_null(column, "unknown").dictionary_encode()
        known = [self._known.setdefault(name, len(self._known)) for name in encoded.dictionary.to_pylist()]
        self._codes.append(np.array(known, dtype=np.int32)[np.asarray(encoded.indices)])

    def finish(self) -> Labels:
        names = sorted(self._known)
        rank = np.zeros(len(names), dtype=np.int32)
        for place, name in enumerate(names):
            rank[self._known[name]] = place
        return Labels(tuple(names), rank[_joined(self._codes, np.int32)])


class _Reader:
    """Gathers batches; keeps a few numbers of each row, no masks."""

    def __init__(self, columns: Sequence[str], calibration: Calibration | None, signs: Sequence[FuseBy]) -> None:
        self._columns = columns
        self._calibration = calibration
        names = [*_TRACK, *(["scenario"] if "scenario" in columns else [])]
        self._labels = {name: _Encoder() for name in names}
        self._frame: list[NDArray[np.int32]] = []
        self._missing: list[NDArray[np.int32]] = []
        self._state: list[NDArray[np.int8]] = []
        self._predicted: list[NDArray[np.bool_]] = []
        self._metrics: list[NDArray[np.float64]] = []
        self._size: list[NDArray[np.int32]] = []
        self._bins: dict[FuseBy, list[NDArray[np.int32]]] = {name: [] for name in signs}

    def add(self, batch: pa.RecordBatch) -> None:
        for name, encoder in self._labels.items():
            encoder.add(batch[name])
        state = pc.fill_null(pc.index_in(batch["gt_state"], _STATES), UNANNOTATED)
        self._state.append(np.asarray(state).astype(np.int8))
        reasons = pc.fill_null(pc.index_in(batch["missing"], pa.array(_REASONS)), -1)
        self._missing.append(np.asarray(reasons).astype(np.int32))
        visible = self._state[-1] == VISIBLE
        metrics = np.stack([np.asarray(pc.fill_null(batch[name], np.nan)) for name in METRICS])
        if np.isnan(metrics[:, visible]).any():
            raise DataError("the table has frames with visible ground truth but without metrics: predict again")
        self._metrics.append(np.where(visible, metrics, np.nan))
        confidence = np.asarray(batch["confidence"])
        if self._calibration is not None:
            confidence = self._calibration.confidence(batch)
        self._predicted.append(confidence > 0.5)
        for sign, bins in self._bins.items():
            values = confidence if sign == "confidence" else np.asarray(pc.fill_null(batch[sign], np.nan))
            bins.append(sign_bins(np.where(self._missing[-1] < 0, values, np.nan)))
        if "frame" in self._columns:
            if batch["frame"].null_count or (batch.num_rows and pc.min(batch["frame"]).as_py() < 0):
                raise DataError("the table has rows without a frame number from 0 on: predict again")
            self._frame.append(np.asarray(batch["frame"]))
        if "gt_rle" in self._columns:
            self._size.append(_size_codes(batch, visible))

    def finish(self, source: str, by: Sequence[Grouping]) -> FrameTable:
        labels = {name: encoder.finish() for name, encoder in self._labels.items()}
        take = labels["take_uid"]
        frame = _joined(self._frame, np.int32)
        groupings: dict[str, Labels] = {
            name: labels[name] for name in ("direction", "scenario", "object") if name in labels
        }
        groupings["camera"] = labels["target_cam"]
        if "size" in by:
            groupings["size"] = Labels(tuple(SIZE_BINS), _joined(self._size, np.int32))
        if "length" in by:
            groupings["length"] = _lengths(take, frame)
        for sign, bins in self._bins.items():
            groupings[sign] = Labels(SIGN_BINS, _joined(bins, np.int32))
        return FrameTable(
            source=source,
            take=take,
            track=_tracks([labels[name] for name in _TRACK]),
            by=groupings,
            frame=frame if frame.size else np.zeros(take.codes.size, dtype=np.int32),
            missing=Labels(_REASONS, _joined(self._missing, np.int32)),
            state=_joined(self._state, np.int8),
            predicted=_joined(self._predicted, np.bool_),
            metrics=np.concatenate(self._metrics, axis=1) if self._metrics else np.zeros((len(METRICS), 0)),
        )


def _joined(pieces: list[NDArray[_Number]], kind: type[_Number]) -> NDArray[_Number]:
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=kind)


def _size_codes(batch: pa.RecordBatch, visible: NDArray[np.bool_]) -> NDArray[np.int32]:
    rows = batch.filter(pa.array(visible))
    if rows["gt_rle"].null_count:
        raise DataError("the table has frames with visible ground truth but without its mask: predict again")
    pixels = np.asarray(rows["height"]).astype(np.int64) * np.asarray(rows["width"])
    codes = np.full(batch.num_rows, -1, dtype=np.int32)
    # A bin holds its lower end, and the last one also a mask that covers everything.
    ends = [end for end in SIZE_BINS.values() if end < 1]
    codes[visible] = np.searchsorted(ends, mask_areas(rows["gt_rle"]) / pixels, side="right")
    return codes


def _lengths(take: Labels, frame: NDArray[np.int32]) -> Labels:
    pairs = np.unique(take.codes.astype(np.int64) << 32 | frame)
    frames = np.bincount(pairs >> 32, minlength=len(take.names))
    codes = np.searchsorted(list(LENGTH_BINS.values()), frames).astype(np.int32)
    return Labels(tuple(LENGTH_BINS), codes[take.codes])


def _tracks(labels: Sequence[Labels]) -> Labels:
    codes = np.zeros(labels[0].codes.size, dtype=np.int64)
    for one in labels:
        _, codes = np.unique(codes * max(len(one.names), 1) + one.codes, return_inverse=True)
    _, first = np.unique(codes, return_index=True)
    names = tuple(json.dumps([one.names[one.codes[row]] for one in labels]) for row in first)
    return Labels(names, codes.astype(np.int32))
