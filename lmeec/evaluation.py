"""The benchmark's four metrics of a whole results table, by direction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmeec.errors import DataError
from lmeec.metrics import balanced_accuracy
from lmeec.tables.read import scan_results
from lmeec.tables.schema import SCHEMA

_TRACK = ("take_uid", "object", "query_cam", "target_cam")
_METRICS = ("iou", "location_error", "contour_accuracy")
_COLUMNS = (*_TRACK, "direction", "confidence", "gt_state", *_METRICS)


@dataclass(frozen=True, slots=True)
class DirectionScore:
    """Metrics of one direction: means over frames, pooled over its takes.

    Attributes:
        iou: mean over visible frames; None without such frames, as the next two.
        location_error: mean over visible frames.
        contour_accuracy: mean over visible frames.
        balanced_accuracy: of confidence > 0.5 against the ground truth, over all annotated frames; None
            without such frames.
        frames: predicted frames.
        visible: of these, annotated with the object visible.
        absent: of these, annotated with the object not visible.
        tracks: pairs of an object and cameras.
        takes: takes.
    """

    iou: float | None
    location_error: float | None
    contour_accuracy: float | None
    balanced_accuracy: float | None
    frames: int
    visible: int
    absent: int
    tracks: int
    takes: int


def evaluate(results: pa.Table | Path | str) -> dict[str, DirectionScore]:
    """Compute the four metrics by direction.

    Args:
        results: a table with the columns of `lmeec.tables.SCHEMA` (other columns are ignored), or the path of a
            file that `lmeec predict` wrote, which is read in pieces.

    Returns:
        The scores by direction, in alphabetical order.

    Raises:
        OutputError: the file is missing, damaged or not a results table.
        DataError: a column is missing, or no frame has ground truth.

    Example:
        >>> import pyarrow as pa
        >>> frame = {"take_uid": "t", "object": "cup_0", "query_cam": "aria01", "target_cam": "cam01"}
        >>> frame |= {"direction": "ego2exo", "confidence": 0.9, "gt_state": "visible"}
        >>> frame |= {"iou": 0.5, "location_error": 0.01, "contour_accuracy": 0.7}
        >>> evaluate(pa.Table.from_pylist([frame]))["ego2exo"].iou
        0.5
    """
    tallies: dict[str, _Tally] = defaultdict(_Tally)
    for batch in _batches(results):
        for direction in pc.unique(batch["direction"]).to_pylist():
            tallies[direction].add(batch.filter(pc.equal(batch["direction"], direction)))
    source = "the table" if isinstance(results, pa.Table) else str(results)
    if not any(tally.annotated for tally in tallies.values()):
        raise DataError(
            f"{source} has no frame with ground truth to score: predict takes whose annotations hold masks of the "
            "target view too (the benchmark's test split holds query masks only)"
        )
    return {direction: tallies[direction].score() for direction in sorted(tallies)}


def _batches(results: pa.Table | Path | str) -> Iterable[pa.RecordBatch]:
    if not isinstance(results, pa.Table):
        return scan_results(results, _COLUMNS)
    missing = [name for name in _COLUMNS if name not in results.column_names]
    if missing:
        raise DataError(f"the table lacks the columns {', '.join(missing)}, which the metrics are computed from")
    schema = pa.schema([SCHEMA.field(name) for name in _COLUMNS])
    try:
        return results.select(_COLUMNS).cast(schema).to_batches()
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"the table's columns are not those of a results table: {error}") from error


@dataclass(slots=True)
class _Tally:
    """What is kept of the rows of one direction: a few numbers a row, no masks."""

    frames: int = 0
    annotated: int = 0
    tracks: set[tuple[str, ...]] = field(default_factory=set)
    visible: list[np.ndarray] = field(default_factory=list)
    predicted: list[np.ndarray] = field(default_factory=list)
    metrics: list[np.ndarray] = field(default_factory=list)

    def add(self, rows: pa.RecordBatch) -> None:
        self.frames += rows.num_rows
        self.tracks.update(_distinct(rows.select(_TRACK)))
        annotated = rows.filter(pc.is_in(rows["gt_state"], pa.array(["visible", "absent"])))
        self.annotated += annotated.num_rows
        visible = pc.equal(annotated["gt_state"], "visible")
        self.visible.append(np.asarray(visible))
        self.predicted.append(np.asarray(pc.greater(annotated["confidence"], 0.5)))
        seen = annotated.filter(visible)
        if any(seen[name].null_count for name in _METRICS):
            raise DataError("the table has frames with visible ground truth but without metrics: predict again")
        self.metrics.append(np.stack([np.asarray(seen[name]) for name in _METRICS]))

    def score(self) -> DirectionScore:
        visible, predicted = np.concatenate(self.visible), np.concatenate(self.predicted)
        metrics = np.concatenate(self.metrics, axis=1)
        iou, location_error, contour_accuracy = metrics.mean(axis=1).tolist() if metrics.size else (None, None, None)
        return DirectionScore(
            iou=iou,
            location_error=location_error,
            contour_accuracy=contour_accuracy,
            balanced_accuracy=balanced_accuracy(visible, predicted) if self.annotated else None,
            frames=self.frames,
            visible=int(visible.sum()),
            absent=int((~visible).sum()),
            tracks=len(self.tracks),
            takes=len({take for take, *_ in self.tracks}),
        )


def _distinct(rows: pa.RecordBatch) -> Iterator[tuple[str, ...]]:
    distinct = pa.Table.from_batches([rows]).group_by(rows.schema.names).aggregate([])
    return zip(*(column.to_pylist() for column in distinct.itercolumns()), strict=True)
