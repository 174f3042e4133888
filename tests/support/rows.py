"""Rows and files of small results tables, for the tests of whatever reads or writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmeec.masks import RunLengthMask
from lmeec.tables import PartWriter, ResultRow, RunMetadata, list_parts, merge_parts, parts_directory

if TYPE_CHECKING:
    from pathlib import Path

RUN = RunMetadata(
    model="nano",
    checkpoints={"ego2exo": "1f", "exo2ego": "2e"},
    memory={"policy": "drop", "size": 6},
    predict={"video": "auto"},
    annotation_digest="a0",
)


def square(top: int, left: int, side: int = 20) -> RunLengthMask:
    mask = np.zeros((270, 480), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return RunLengthMask.encode(mask)


def row(frame: int = 0, **changes) -> ResultRow:
    values = {
        "take_uid": "take-1",
        "take_name": "cooking 1",
        "scenario": "Cooking",
        "object": "cup_0",
        "query_cam": "aria01",
        "target_cam": "cam01",
        "direction": "ego2exo",
        "frame": frame,
        "step": frame // 30,
        "mask": square(10, 30),
        "object_score": 2.5,
        "predicted_iou": 0.75,
    }
    return ResultRow(**values | changes)


MISSING = {
    "missing": "video",
    "size": (270, 480),
    "mask": None,
    "step": None,
    "object_score": None,
    "predicted_iou": None,
}


def missing_row(frame: int = 0, **changes) -> ResultRow:
    """A frame without a prediction."""
    return row(frame, **MISSING | changes)


def write_part(directory: Path, rows: list[ResultRow], run: RunMetadata = RUN) -> Path:
    with PartWriter(directory, run, rows[0].take_uid, rows[0].direction) as part:
        part.write(rows)
    return part.path


def write_results(out: Path, rows: list[ResultRow], run: RunMetadata = RUN) -> Path:
    for key in {(one.take_uid, one.direction) for one in rows}:
        write_part(parts_directory(out), [one for one in rows if (one.take_uid, one.direction) == key], run)
    merge_parts(list_parts(parts_directory(out)), out)
    return out
