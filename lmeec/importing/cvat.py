"""Masks that were corrected in CVAT, as a relations file: query masks and ground truth for every command."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from lzstring import LZString

from lmeec.data.cvat.document import TASKS, CvatTask, CvatTasks, LeftOut, read_shapes
from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.files.names import path_component_problem, show
from lmeec.files.whole import written_whole
from lmeec.masks import RunLengthMask
from lmeec.tables.merge import check_free

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.files.locations import Location

_LEVELS = 4  # of folders from `tasks.json` down to a document


@dataclass(frozen=True)
class CvatImport:
    """What became of corrected documents.

    Attributes:
        documents: how many were read.
        masks: masks in the file.
        absent: frames of objects that were exported and have no mask: the object is not there.
        left_out: what is not in the file, by what it is: shapes that are no masks, interpolated ones, and those at
            frames of the video that the take's cannot be told of.
    """

    documents: int
    masks: int
    absent: int
    left_out: Mapping[str, int]


def import_cvat(source: Path, out: Location, *, overwrite: bool = False) -> CvatImport:
    """Write a relations file of masks that CVAT's documents hold.

    Frames that were exported count as looked at; an object without a mask there is absent.

    Args:
        source: a folder that `export_cvat` made, in which documents were replaced by what CVAT exported, or one
            document in such a folder.
        out: JSON file to write.
        overwrite: replace an existing file.

    Raises:
        DataError: a document cannot be read, or two are of the same camera of a take.
        OutputError: the file exists or cannot be written.
    """
    check_free(out, overwrite=overwrite)
    folder, tasks = _tasks(source)
    counts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    takes: dict[str, dict[str, Any]] = {}
    seen: dict[tuple[str, str], str] = {}
    for task in tasks:
        first = seen.setdefault((task.take_uid, task.target_cam), task.file)
        if first != task.file:
            raise DataError(
                f"{folder}: {show(first)} and {show(task.file)} both have masks of camera {show(task.target_cam)} of "
                f"take {show(task.take_uid)}, from different query cameras: give the one to keep"
            )
        take = takes.setdefault(
            task.take_uid, {"scenario": task.scenario, "take_name": task.take_name, "object_masks": {}}
        )
        for name, masks in _masks(folder, task, left_out).items():
            annotation = {str(frame): _encoded(mask) for frame, mask in sorted(masks.items()) if mask.area}
            looked_at = sorted({frame for _, frame in task.frames} | masks.keys())
            take["object_masks"].setdefault(name, {})[task.target_cam] = {
                "annotation": annotation,
                "annotated_frames": looked_at,
                "annotation_fps": 1,
            }
            counts["masks"] += len(annotation)
            counts["absent"] += len(looked_at) - len(annotation)
    with written_whole(out) as file:
        file.write(msgspec.json.encode({"annotations": takes}))
    return CvatImport(len(tasks), counts["masks"], counts["absent"], dict(left_out))


def _tasks(source: Path) -> tuple[Path, list[CvatTask]]:
    """The folder of an export, and the documents of it that are meant."""
    if source.is_dir():
        folder = source
    else:
        folder = next((above for above in list(source.parents)[:_LEVELS] if (above / TASKS).is_file()), source.parent)
    if not (folder / TASKS).is_file():
        raise DataError(
            f"{source}: {'holds' if source.is_dir() else 'is beside'} no {TASKS}, which says of which take and camera "
            "documents of CVAT are: put them where they were exported to"
        )
    tasks = decode_file(folder / TASKS, CvatTasks, "export anew").tasks
    for task in tasks:
        _check(folder, task)
    if source.is_dir():
        return folder, [task for task in tasks if (folder / task.file).exists()]
    tasks = [task for task in tasks if (folder / task.file).resolve() == source.resolve()]
    if not tasks:
        raise DataError(f"{source}: {folder / TASKS} does not name it; give it the name that was exported")
    return folder, tasks


def _check(folder: Path, task: CvatTask) -> None:
    parts = Path(task.file).parts
    if not parts or any(path_component_problem(part) is not None for part in parts):
        raise DataError(f"{folder / TASKS}: names {show(task.file)}, which is no file below its folder; export anew")
    try:
        RunLengthMask.empty(task.height, task.width)
    except DataError as error:
        raise DataError(f"{folder / TASKS}: {show(task.file)}: {error}; export anew") from error


def _masks(folder: Path, task: CvatTask, left_out: Counter[str]) -> dict[str, dict[int, RunLengthMask]]:
    """The masks of each object by frame of the take."""
    frame_of = _FrameNumbers(task)
    parts: dict[str, dict[int, RunLengthMask]] = {}
    for shape in read_shapes(folder / task.file, task.height, task.width, frozenset(dict(task.frames))):
        if isinstance(shape, LeftOut):
            left_out[shape.kind] += 1
            continue
        frame = frame_of(shape.frame)
        if frame is None:
            left_out["shape at a frame that the take does not count"] += 1
            continue
        masks = parts.setdefault(shape.label, {})
        before = masks.get(frame)
        mask = shape.mask if before is None else np.logical_or(before.decode(), shape.mask)
        masks[frame] = RunLengthMask.encode(mask)
    return parts


class _FrameNumbers:
    """Frames of the take by those of the video; of one that was not exported where all others are equally far apart."""

    def __init__(self, task: CvatTask) -> None:
        self._known = dict(task.frames)
        distances = {frame - own for own, frame in task.frames}
        self._distance = distances.pop() if len(distances) == 1 else None

    def __call__(self, own: int) -> int | None:
        if own in self._known:
            return self._known[own]
        frame = None if self._distance is None else own + self._distance
        return frame if frame is not None and frame >= 0 else None


def _encoded(mask: RunLengthMask) -> dict[str, Any]:
    packed = LZString.compressToEncodedURIComponent(mask.counts)
    return {"width": mask.width, "height": mask.height, "encodedMask": packed}
