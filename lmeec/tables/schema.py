"""Columns of the results table, and rows turned into Arrow record batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pyarrow as pa

from lmeec.config import Direction, GtState
from lmeec.errors import DataError
from lmeec.masks import RunLengthMask, evaluation_size, resize_nearest
from lmeec.metrics import FrameMetrics, frame_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCHEMA_VERSION = 2
"""Raised when columns are added, change their name, type or meaning, or go away. Version 1 is still read."""

ADDED_COLUMNS = ("target_frame", "missing", "cycle_iou", "cycle_score", "source_run")
"""What tables of version 1 lack; read as null."""

Missing = Literal["empty_query", "video", "camera", "failed"]
"""Why a frame has no prediction: its query mask has no foreground, a video ends before it or cannot be read, a camera
is not on disk, or the take failed. An imported file that has none does not say why: that is `failed` too."""


def _column(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": meaning})


SCHEMA = pa.schema(
    [
        _column("take_uid", pa.string(), "take, as the annotations name it"),
        _column("take_name", pa.string(), "take, as its folder is named"),
        _column("scenario", pa.string(), "activity of the take", nullable=True),
        _column("object", pa.string(), "object name"),
        _column("query_cam", pa.string(), "camera whose masks are given"),
        _column("target_cam", pa.string(), "camera in which the object is segmented"),
        _column("direction", pa.string(), "ego2exo or exo2ego"),
        _column("frame", pa.int32(), "frame number in the take's videos, from 0"),
        _column("step", pa.int32(), "step of the track, from 0; null without a prediction", nullable=True),
        _column("target_frame", pa.int32(), "frame number in the target's own video, if it has one", nullable=True),
        _column("missing", pa.string(), "null for a prediction; else why there is none", nullable=True),
        _column("height", pa.int32(), "rows of the masks"),
        _column("width", pa.int32(), "columns of the masks"),
        _column("mask_rle", pa.string(), "predicted mask, COCO compressed run lengths", nullable=True),
        _column("area", pa.int32(), "pixels of the predicted mask", nullable=True),
        _column(
            "bbox", pa.list_(pa.float32()), "box of the predicted mask: x, y, width, height in pixels", nullable=True
        ),
        _column("object_score", pa.float32(), "logit of the object being visible", nullable=True),
        _column("confidence", pa.float64(), "probability of being visible; over 0.5 means visible"),
        _column("predicted_iou", pa.float32(), "IoU as the model estimates it", nullable=True),
        _column(
            "cycle_iou",
            pa.float32(),
            "IoU of the query mask with what the prediction gives back in its view",
            nullable=True,
        ),
        _column("cycle_score", pa.float32(), "logit of the object being visible on the way back", nullable=True),
        _column("gt_state", pa.string(), "visible, absent (looked at, not there) or unannotated"),
        _column("gt_rle", pa.string(), "mask of the annotations where visible", nullable=True),
        _column("iou", pa.float64(), "intersection over union where visible", nullable=True),
        _column("location_error", pa.float64(), "distance of box centres over 480x480's diagonal", nullable=True),
        _column("contour_accuracy", pa.float64(), "F measure of the boundaries", nullable=True),
        _column("source_run", pa.string(), "run that a fused row was taken from", nullable=True),
    ]
)
"""One row a frame with a query mask. Plain strings and lists, so that pandas, DuckDB and Polars read it as it is.

Where a frame has no prediction, `missing` says why; its metrics are then those of an empty mask, so that plain means
over rows are the benchmark's numbers.
"""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One frame of one track, predicted or not; area, box, confidence and metrics follow from it.

    Attributes:
        take_uid: take, as the annotations name it.
        take_name: take, as its folder is named.
        scenario: activity of the take, if known.
        object: object name.
        query_cam: camera whose masks are given.
        target_cam: camera in which the object is segmented.
        direction: `ego2exo` or `exo2ego`.
        frame: frame number in the take's videos.
        step: step of the track; None without a prediction.
        mask: predicted mask, at the evaluation size or that of the target's frames; None without a prediction.
        object_score: logit of the object being visible; None from methods that have none.
        predicted_iou: IoU as the model estimates it; None from methods that have none.
        gt_state: what the annotations say of this frame.
        gt: mask of the annotations at the same size; given where `gt_state` is `visible`. Where it is
            `unannotated`, a mask outside the annotated frames, which the paper's protocol alone counts.
        confidence: given exactly where a prediction has no object score, of which it is the sigmoid otherwise.
        target_frame: the target video's own frame number; differs from `frame` at another frame rate. None where there
            is no such frame.
        missing: why there is no prediction; None where there is one.
        size: height and width that the mask would have; given exactly where there is no prediction.
        cycle_iou: IoU of the query mask with the mask that comes back, where the prediction was the query for the query
            view; 0 where the prediction is empty, None where nobody asked.
        cycle_score: logit of the object being visible on that way back; None also where the prediction is empty.

    Raises:
        DataError: an unknown direction, state or reason, ground truth that does not go with its state or with the size
            of the prediction, neither or both of object score and confidence, or a row that is predicted and missing.
    """

    take_uid: str
    take_name: str
    scenario: str | None
    object: str
    query_cam: str
    target_cam: str
    direction: Direction
    frame: int
    step: int | None
    mask: RunLengthMask | None
    object_score: float | None
    predicted_iou: float | None
    gt_state: GtState = "unannotated"
    gt: RunLengthMask | None = None
    confidence: float | None = None
    target_frame: int | None = None
    missing: Missing | None = None
    size: tuple[int, int] | None = None
    cycle_iou: float | None = None
    cycle_score: float | None = None

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise DataError(f"direction {self.direction!r} is not one of {', '.join(get_args(Direction))}")
        if self.gt_state not in get_args(GtState):
            raise DataError(f"gt_state {self.gt_state!r} is not one of {', '.join(get_args(GtState))}")
        if self.gt is None and self.gt_state == "visible":
            raise DataError("gt_state 'visible' goes with a ground truth mask")
        if self.gt is not None and self.gt_state == "absent":
            raise DataError("a ground truth mask does not go with gt_state 'absent'")
        if self.missing is None:
            self._check_prediction()
        else:
            self._check_missing()
        if self.gt is not None and (self.gt.height, self.gt.width) != self.mask_size:
            raise DataError(
                f"ground truth of {self.gt.height}x{self.gt.width} does not go with a row of "
                f"{'x'.join(map(str, self.mask_size))} (height x width); resize it with resize_nearest"
            )

    def _check_prediction(self) -> None:
        if self.mask is None or self.step is None or self.size is not None:
            raise DataError("a prediction has a mask, which gives its size, and a step; else say why it is missing")
        if (self.object_score is None) == (self.confidence is None):
            raise DataError("a prediction has either an object score or a confidence")
        if self.cycle_iou is not None and not 0 <= self.cycle_iou <= 1:
            raise DataError(f"cycle_iou {self.cycle_iou} is not in [0, 1]")

    def _check_missing(self) -> None:
        if self.missing not in get_args(Missing):
            raise DataError(f"missing {self.missing!r} is not one of {', '.join(get_args(Missing))}")
        predicted = (
            *(self.mask, self.step, self.object_score, self.predicted_iou, self.confidence),
            *(self.cycle_iou, self.cycle_score),
        )
        if self.size is None or any(value is not None for value in predicted):
            raise DataError("a row without a prediction has a size, and neither mask, step, scores nor confidence")

    @property
    def mask_size(self) -> tuple[int, int]:
        """Height and width of the masks."""
        if self.size is not None:
            return self.size
        if self.mask is None:
            raise ValueError("a row has a mask or a size")
        return self.mask.height, self.mask.width

    def metrics(self) -> FrameMetrics | None:
        """The metrics where the ground truth is visible, of masks resized to the evaluation size if they have another.

        A missing prediction counts as an empty mask.

        Raises:
            DataError: the counts of a mask are bad.
        """
        if self.gt is None or self.gt_state != "visible":
            return None
        size = evaluation_size(*self.mask_size)
        predicted = RunLengthMask.empty(*size) if self.mask is None else resize_nearest(self.mask, size)
        return frame_metrics(predicted, resize_nearest(self.gt, size))


def rows_to_batch(rows: Sequence[ResultRow]) -> pa.RecordBatch:
    """Build a record batch of `SCHEMA`, computing area, box, confidence and the metrics.

    Raises:
        DataError: the counts of a mask are bad.
    """
    object_scores = np.array([row.object_score for row in rows], dtype=np.float32)  # NaN for None
    given = np.array([row.confidence or 0.0 for row in rows], dtype=np.float64)  # 0 where nothing is predicted
    without_score = np.array([row.object_score is None for row in rows], dtype=bool)
    metrics = [row.metrics() for row in rows]
    columns: dict[str, Any] = {
        name: [getattr(row, name) for row in rows]
        for name in (
            "take_uid",
            "take_name",
            "scenario",
            "object",
            "query_cam",
            "target_cam",
            "direction",
            "frame",
            "step",
            "target_frame",
            "missing",
            "predicted_iou",
            "cycle_iou",
            "cycle_score",
            "gt_state",
        )
    } | {
        "height": [row.mask_size[0] for row in rows],
        "width": [row.mask_size[1] for row in rows],
        "mask_rle": [row.mask and row.mask.counts for row in rows],
        "area": [row.mask and row.mask.area for row in rows],
        "bbox": [row.mask and row.mask.bbox for row in rows],
        "object_score": pa.array(object_scores, mask=without_score),
        "confidence": np.where(without_score, given, _sigmoid(object_scores)),
        "gt_rle": [row.gt and row.gt.counts for row in rows],
        "iou": [frame and frame.iou for frame in metrics],
        "location_error": [frame and frame.location_error for frame in metrics],
        "contour_accuracy": [frame and frame.contour_accuracy for frame in metrics],
    }
    nulls = [None] * len(rows)  # columns that later steps fill
    return pa.record_batch([pa.array(columns.get(field.name, nulls), field.type) for field in SCHEMA], schema=SCHEMA)


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    # In double precision, and exactly 0.5 at 0, so that confidence > 0.5 wherever the logit is positive.
    decay = np.exp(-np.abs(logits.astype(np.float64)))
    return np.where(logits >= 0, 1.0, decay) / (1.0 + decay)
