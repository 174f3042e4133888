"""Results as CVAT has annotations of videos, to be corrected and read back by `lmeec.importing.cvat`.

A folder with an XML document for each pair of cameras of a take, which CVAT imports as "CVAT 1.1" into a task of the
target camera's video; `labels.json` beside each has the labels of such a task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from lmeec.data.cvat.document import TASKS, CvatTask, CvatTasks, attribute, polygon_points
from lmeec.data.cvat.shapes import BoxedMask, Polygon, boxed, drawn, outlined
from lmeec.errors import DataError
from lmeec.export.davis import safe_direction
from lmeec.files.folder import folder_written_whole
from lmeec.files.names import safe_name, show
from lmeec.files.whole import naming_the_file, opened_to_write
from lmeec.masks import RunLengthMask
from lmeec.metrics import iou
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lmeec.config import CvatShapes
    from lmeec.files.locations import Location

_NAMES = ("take_uid", "take_name", "scenario", "direction", "query_cam", "target_cam")
_COLUMNS = (*_NAMES, "object", "frame", "target_frame", "height", "width", "mask_rle", "area")


@dataclass(frozen=True, slots=True)
class CvatSummary:
    """What an exported folder holds.

    Attributes:
        documents: XML documents, one a pair of cameras of a take.
        masks: masks in them.
        empty: empty predictions: frames at which the object is not to be seen.
        missing: frames without a prediction, which are left out.
        repeated: predictions at a frame of the target's video that has one of an earlier frame of the take, as where
            the video has fewer frames a second; they are left out.
        mean_iou: of what polygons draw with their masks; None of masks.
        least_iou: likewise.
    """

    documents: int
    masks: int
    empty: int
    missing: int
    repeated: int
    mean_iou: float | None
    least_iou: float | None


_Objects = Mapping[str, Mapping[int, RunLengthMask | None]]
"""Object to its masks by the frame of the target's video; None where it is not to be seen."""


def export_cvat(
    results: Sequence[Location | str], out: Path, *, shapes: CvatShapes = "mask", overwrite: bool = False
) -> CvatSummary:
    """Write results as a folder of documents for CVAT.

    Frames have the numbers of the target's own video. Masks are at the size of the table's, which should be that of the
    video.

    Args:
        results: results tables.
        out: folder to make.
        shapes: `mask` writes run lengths, which lose nothing; `polygon` writes tracks of polygons.
        overwrite: replace a folder of an earlier export.

    Raises:
        OutputError: a table cannot be read, or the folder exists or cannot be written.
        DataError: the counts of a mask are bad, masks of a pair of cameras have several sizes, or two tables hold the
            same take and cameras.
    """
    writer = _Writer(out, shapes)
    with folder_written_whole(out, made_by=TASKS, overwrite=overwrite) as folder:
        for path in results:
            for _, _, rows in scan_takes(path, _COLUMNS):
                pairs: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
                for row in rows.to_pylist():
                    pairs.setdefault(tuple(row[name] for name in _NAMES), []).append(row)
                for names, some in pairs.items():
                    writer.write(folder, dict(zip(_NAMES, names, strict=True)), some)
        with opened_to_write(folder / TASKS, out / TASKS) as file:
            file.write(msgspec.json.format(msgspec.json.encode(CvatTasks(writer.tasks)), indent=2))
    counts, overlaps = writer.counts, writer.overlaps
    return CvatSummary(
        documents=len(writer.tasks),
        masks=counts["masks"],
        empty=counts["empty"],
        missing=counts["missing"],
        repeated=counts["repeated"],
        mean_iou=sum(overlaps) / len(overlaps) if overlaps else None,
        least_iou=min(overlaps, default=None),
    )


class _Writer:
    def __init__(self, out: Path, shapes: CvatShapes) -> None:
        self._out = out
        self._shapes = shapes
        self.tasks: list[CvatTask] = []
        self.counts: Counter[str] = Counter()
        self.overlaps: list[float] = []

    def write(self, folder: Path, names: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the document of a pair of cameras."""
        sizes = {(row["height"], row["width"]) for row in rows}
        where = f"take {show(names['take_uid'])}, cameras {show(names['query_cam'])} and {show(names['target_cam'])}"
        if len(sizes) > 1:
            raise DataError(f"{where}: masks have several sizes ({sorted(sizes)}), where a video has one")
        place = _place(names)
        if any(task.file == str(place) for task in self.tasks):
            raise DataError(f"{where}: the results hold them twice: give results of different runs one by one")
        ((height, width),) = sizes
        there = [row for row in rows if row["target_frame"] is not None]
        self.counts["missing"] += len(rows) - len(there)
        frames = sorted({(row["target_frame"], row["frame"]) for row in there})
        self.tasks.append(CvatTask(str(place), **names, height=height, width=width, frames=frames))
        objects: dict[str, dict[int, RunLengthMask | None]] = {}
        for row in there:
            masks = objects.setdefault(row["object"], {})
            if row["target_frame"] in masks:
                self.counts["repeated"] += 1
                continue
            masks[row["target_frame"]] = RunLengthMask(height, width, row["mask_rle"]) if row["area"] else None
            self.counts["masks" if row["area"] else "empty"] += 1
        with naming_the_file(self._out / place):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
        labels = [{"name": name, "type": self._shapes, "attributes": []} for name in objects]
        with opened_to_write(folder / place.with_suffix(".labels.json"), self._out / place) as file:
            file.write(msgspec.json.format(msgspec.json.encode(labels), indent=2))
        with opened_to_write(folder / place, self._out / place) as file:
            self._document(file, self.tasks[-1], objects, where)

    def _document(self, file: BinaryIO, task: CvatTask, objects: _Objects, where: str) -> None:
        name = f"{task.take_name} {task.target_cam} from {task.query_cam}"
        last = max((own for own, _ in task.frames), default=0)
        file.write(_head(name, last + 1, objects, task, self._shapes).encode())
        number = 0
        for label, masks in objects.items():
            for shapes in self._tracks(masks, last, f"{where}, object {show(label)}"):
                file.write(f'  <track id="{number}" label={attribute(label)} source="auto">\n'.encode())
                file.writelines(f"    {shape}\n".encode() for shape in shapes)
                file.write(b"  </track>\n")
                number += 1
        file.write(b"</annotations>\n")

    def _tracks(self, masks: Mapping[int, RunLengthMask | None], last: int, where: str) -> Iterator[Iterable[str]]:
        seen = [(number, mask) for number, mask in sorted(masks.items(), key=itemgetter(0)) if mask is not None]
        try:
            if self._shapes == "mask":
                yield from (_mask_track(number, mask, last) for number, mask in seen)
            else:
                yield from _polygon_tracks([(number, self._outlined(mask)) for number, mask in seen], last)
        except DataError as error:
            raise DataError(f"{where}: a mask cannot be used: {error}") from error

    def _outlined(self, mask: RunLengthMask) -> list[Polygon]:
        polygons = outlined(mask)
        # As they are written, to two decimals.
        again = [[(round(x, 2), round(y, 2)) for x, y in polygon] for polygon in polygons]
        self.overlaps.append(iou(RunLengthMask.encode(drawn(again, mask.height, mask.width)), mask))
        return polygons


def _place(names: Mapping[str, Any]) -> Path:
    query, target = (safe_name(names[name], name) for name in ("query_cam", "target_cam"))
    return Path(safe_name(names["take_uid"], "take"), safe_direction(names["direction"]), query, f"{target}.xml")


def _head(name: str, size: int, objects: Iterable[str], task: CvatTask, shapes: str) -> str:
    labels = "".join(
        f"        <label><name>{_text(label)}</name><type>{shapes}</type><attributes></attributes></label>\n"
        for label in objects
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
        f"      <name>{_text(name)}</name>\n      <size>{size}</size>\n      <mode>interpolation</mode>\n"
        f"      <overlap>0</overlap>\n      <labels>\n{labels}      </labels>\n"
        f"      <original_size><width>{task.width}</width><height>{task.height}</height></original_size>\n"
        "    </task>\n  </meta>\n"
    )


def _text(value: str) -> str:
    """Text between tags."""
    return attribute(value)[1:-1]


def _mask_track(frame: int, mask: RunLengthMask, last: int) -> Iterator[str]:
    """One mask, and the frame after at which it is no longer there, as CVAT writes them.

    After the last frame there may be none, and CVAT refuses frames that a video lacks.
    """
    box = boxed(mask)
    yield _mask(frame, 0, box)
    if frame < last:
        yield _mask(frame + 1, 1, BoxedMask([1], box.left, box.top, 1, 1))


def _mask(frame: int, outside: int, box: BoxedMask) -> str:
    return (
        f'<mask frame="{frame}" keyframe="1" outside="{outside}" occluded="0" rle="{", ".join(map(str, box.rle))}" '
        f'left="{box.left}" top="{box.top}" width="{box.width}" height="{box.height}" z_order="0"></mask>'
    )


def _polygon_tracks(frames: Sequence[tuple[int, list[Polygon]]], last: int) -> Iterator[Iterable[str]]:
    """A track for the largest part of each frame, one for the second, and so on."""
    for part in range(max((len(polygons) for _, polygons in frames), default=0)):
        of_part = [(frame, polygons[part]) for frame, polygons in frames if len(polygons) > part]
        yield list(_polygon_track(of_part, last))


def _polygon_track(frames: Sequence[tuple[int, Polygon]], last: int) -> Iterator[str]:
    for place, (frame, polygon) in enumerate(frames):
        yield _polygon(frame, 0, polygon)
        following = frames[place + 1][0] if place + 1 < len(frames) else None
        if frame < last and following != frame + 1:
            yield _polygon(frame + 1, 1, polygon)  # else it would be interpolated up to the next


def _polygon(frame: int, outside: int, polygon: Polygon) -> str:
    return (
        f'<polygon frame="{frame}" keyframe="1" outside="{outside}" occluded="0" '
        f'points="{polygon_points(polygon)}" z_order="0"></polygon>'
    )
