"""Predictions paired with their ground truth, and the rows that come of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmeec.config import Direction, GtState
from lmeec.data.tracks import MaskTrack
from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.files.places import Place
from lmeec.importing.predictions import PredictedMask, Prediction
from lmeec.masks import RunLengthMask, resize_nearest
from lmeec.tables import ResultRow, rows_to_batch

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ImportedFrame:
    """A frame at which the query camera has a mask, with what the annotations say of the target view."""

    number: int
    step: int
    prediction: Prediction | None
    state: GtState


@dataclass(frozen=True)
class ImportTask:
    """Some frames of one object and pair of cameras; holds only their masks, to be sent to another process."""

    take: tuple[str, str, str | None]  # uid, name, scenario
    object: str
    query_cam: str
    target_cam: str
    direction: Direction
    size: tuple[int, int]
    frames: tuple[ImportedFrame, ...]
    truth: MaskTrack | None
    source: Place

    @property
    def key(self) -> tuple[str, Direction]:
        """Take and direction, which rows are gathered by."""
        return self.take[0], self.direction


def rows_of(task: ImportTask) -> pa.RecordBatch:
    """A row a frame, with the benchmark's metrics.

    Raises:
        DataError: a mask cannot be used; names the file, take, object and frame.
    """
    return rows_to_batch([_row(task, frame) for frame in task.frames])


def _row(task: ImportTask, frame: ImportedFrame) -> ResultRow:
    truth = task.truth.mask(frame.number) if task.truth is not None and frame.state == "visible" else None
    uid, name, scenario = task.take
    # Whoever made the file knows why a prediction is not in it.
    lacking: dict[str, Any] = {"missing": "failed", "size": task.size, "mask": None, "step": None}
    return ResultRow(
        take_uid=uid,
        take_name=name,
        scenario=scenario,
        object=task.object,
        query_cam=task.query_cam,
        target_cam=task.target_cam,
        direction=task.direction,
        frame=frame.number,
        object_score=None,
        predicted_iou=None,
        gt_state=frame.state,
        gt=truth and resize_nearest(truth, task.size),
        **lacking if frame.prediction is None else _predicted(task, frame, frame.prediction),
    )


def _predicted(task: ImportTask, frame: ImportedFrame, prediction: Prediction) -> dict[str, Any]:
    mask = prediction.pred_mask
    encoded = RunLengthMask.empty(*task.size) if mask is None else _resized(task, frame, mask)
    return {"mask": encoded, "step": frame.step, "confidence": prediction.visible_confidence}


def _resized(task: ImportTask, frame: ImportedFrame, mask: PredictedMask) -> RunLengthMask:
    try:
        return resize_nearest(RunLengthMask.from_counts(mask.counts, *mask.size), task.size)
    except DataError as error:
        raise DataError(
            f"{task.source}: take {show(task.take[0])}, object {show(task.object)}, "
            f"{show(f'{task.query_cam}_{task.target_cam}')}, frame {frame.number}: the mask cannot be used: {error}"
        ) from error


def task_counts(task: ImportTask, batch: pa.RecordBatch) -> Counter[str]:
    """What an `ImportSummary` counts of these rows."""
    masks = [frame.prediction.pred_mask for frame in task.frames if frame.prediction is not None]
    states = Counter(batch["gt_state"].to_pylist())
    return Counter(
        rows=batch.num_rows,
        visible=states["visible"],
        absent=states["absent"],
        missing=sum(frame.prediction is None for frame in task.frames),
        resized=sum(mask is not None and tuple(mask.size) != task.size for mask in masks),
    )
