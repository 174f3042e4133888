"""Columns of the clips table."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1
"""Raised when a column changes its name, type or meaning, or goes away."""


def _column(name: str, kind: pa.DataType, meaning: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": meaning})


_BOX = pa.list_(pa.float32())

OBJECT = pa.struct(
    [
        _column("name", pa.string(), "object, as in the results"),
        _column("ego_box", _BOX, "x, y, width, height as fractions of the ego frame", nullable=True),
        _column("exo_box", _BOX, "x, y, width, height as fractions of the exo frame", nullable=True),
        _column("ego_frame", pa.int32(), "frame of the ego prediction", nullable=True),
        _column("exo_frame", pa.int32(), "frame of the exo prediction", nullable=True),
        _column("confidence", pa.float64(), "mean over the views' predictions", nullable=True),
    ]
)
"""An object that a sentence mentions. A box is null where the object is not predicted, or predicted not to be seen."""

SCHEMA = pa.schema(
    [
        _column("take_uid", pa.string(), "take, as the annotations name it"),
        _column("take_name", pa.string(), "take, as takes.json names it"),
        _column("scenario", pa.string(), "activity of the take", nullable=True),
        _column("annotator", pa.string(), "who wrote the sentence", nullable=True),
        _column("clip_id", pa.string(), "the description: take uid, number of the annotation, number in it"),
        _column("text", pa.string(), "the sentence"),
        _column("subject", pa.string(), "C is the wearer of the ego camera, O another person", nullable=True),
        _column("timestamp", pa.float64(), "seconds from the beginning of the take"),
        _column("start", pa.float64(), "beginning of the clip in seconds"),
        _column("end", pa.float64(), "end of the clip in seconds"),
        _column("start_frame", pa.int32(), "first frame of the clip, in both videos"),
        _column("end_frame", pa.int32(), "one past the last frame of the clip"),
        _column("frame_rate", pa.float64(), "frames a second that frame numbers count"),
        _column("ego_cam", pa.string(), "ego camera"),
        _column("exo_cam", pa.string(), "exo camera"),
        _column("is_best_exo", pa.bool_(), "the annotator's best exo camera; null where none is named", nullable=True),
        _column("ego_visible", pa.bool_(), "the ego camera shows it; null where unknown", nullable=True),
        _column("unsure", pa.bool_(), "the annotator was unsure; null where unknown", nullable=True),
        _column("ego_video", pa.string(), "video file of the ego camera"),
        _column("exo_video", pa.string(), "video file of the exo camera"),
        _column("ego_clip", pa.string(), "the ego clip's file in the folder that clips are cut to"),
        _column("exo_clip", pa.string(), "the exo clip's file in the folder that clips are cut to"),
        _column("objects", pa.list_(OBJECT), "objects that the sentence mentions; null without results", nullable=True),
        _column("mean_confidence", pa.float64(), "mean confidence of these objects", nullable=True),
    ]
)
"""One row a description and exo camera."""
