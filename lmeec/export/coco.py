"""Results as COCO files, for pycocotools and whatever else reads them.

A folder with `annotations.json`, the ground truth and the images, and `results.json`, the predictions, so that
`COCO("annotations.json").loadRes("results.json")` loads them and `COCOeval` compares them. The same target frame is
predicted from several query cameras, so an image is a frame of one pair of cameras; the images of one frame have the
same file name.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import numpy as np

from lmeec.errors import ConfigError, DataError
from lmeec.export.frames import FrameNames, write_frames
from lmeec.files.folder import folder_written_whole
from lmeec.files.names import show
from lmeec.files.whole import opened_to_write
from lmeec.masks import RunLengthMask, bounding_box
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from lmeec.data.takes import TakeSet
    from lmeec.files.locations import Location

ANNOTATIONS = "annotations.json"
RESULTS = "results.json"
IMAGES = "images"

_COLUMNS = (
    "take_uid",
    "take_name",
    "object",
    "query_cam",
    "target_cam",
    "direction",
    "frame",
    "target_frame",
    "height",
    "width",
    "mask_rle",
    "area",
    "bbox",
    "confidence",
    "gt_state",
    "gt_rle",
)


@dataclass(frozen=True, slots=True)
class CocoSummary:
    """What an exported folder holds.

    Attributes:
        images: frames of a pair of cameras.
        annotations: ground truth masks.
        results: predicted masks.
        empty: empty or missing predictions, which COCO has no way to write and which are left out.
        pictures: frames that were written as files.
        unwritten: frames of which no file could be written, as the take has no such camera or frame.
    """

    images: int
    annotations: int
    results: int
    empty: int
    pictures: int = 0
    unwritten: int = 0


def export_coco(
    results: Sequence[Location | str],
    out: Path,
    *,
    takes: TakeSet | None = None,
    images: bool = False,
    overwrite: bool = False,
) -> CocoSummary:
    """Write results as a folder of COCO files.

    A category is an object's name. `score` is the confidence. Images carry the names of take and cameras, the number of
    the frame as the take counts (`frame`) and in the target's own video (`frame_index`), and where takes are given the
    `video`.

    Args:
        results: results tables.
        out: folder to make.
        takes: the takes that were predicted from; a frame that is a file is then called by its place below their
            folder.
        images: write the frames as JPEG files below `images`, at the size of the masks; needs the takes.
        overwrite: replace a folder of an earlier export.

    Raises:
        OutputError: a table cannot be read, or the folder exists or cannot be written.
        DataError: the counts of a ground truth mask are bad, or a frame cannot be decoded.
        ConfigError: images are to be written, and no takes are given.
    """
    if images and takes is None:
        raise ConfigError(
            "`images` are frames of the takes: give their folder with `takes`", settings=["images", "takes"]
        )
    with (
        folder_written_whole(out, made_by=ANNOTATIONS, overwrite=overwrite) as folder,
        opened_to_write(folder / ANNOTATIONS, out / ANNOTATIONS) as dataset,
        opened_to_write(folder / RESULTS, out / RESULTS) as predictions,
        opened_to_write(folder / "spooled", out / ANNOTATIONS) as spooled,
    ):
        (folder / "spooled").unlink()  # open, it is there until it is closed
        writer = _Writer(_List(dataset), _List(spooled), _List(predictions), FrameNames(takes))
        dataset.write(b'{"info":{"description":"ego-exo correspondence"},"images":[')
        predictions.write(b"[")
        for path in results:
            for _, _, rows in scan_takes(path, _COLUMNS):
                writer.write(rows)
                if images:
                    writer.write_pictures(folder / IMAGES, out / IMAGES)
        categories = [{"id": number, "name": name} for name, number in writer.categories.items()]
        dataset.write(b'],"categories":' + msgspec.json.encode(categories) + b',"annotations":[')
        spooled.seek(0)
        shutil.copyfileobj(spooled, dataset)
        dataset.write(b"]}\n")
        predictions.write(b"]\n")
    return CocoSummary(
        writer.images.count,
        writer.annotations.count,
        writer.results.count,
        writer.empty,
        writer.pictures,
        writer.unwritten,
    )


class _List:
    """The items of a JSON list, written as they come."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def append(self, item: dict[str, Any]) -> None:
        self._file.write((b",\n" if self.count else b"") + msgspec.json.encode(item))
        self.count += 1


class _Writer:
    def __init__(self, images: _List, annotations: _List, results: _List, names: FrameNames) -> None:
        self.images = images
        self.annotations = annotations
        self.results = results
        self.categories: dict[str, int] = {}
        self.empty = 0
        self.pictures = 0
        self.unwritten = 0
        self._names = names
        self._written: set[str] = set()
        self._waiting: dict[tuple[str, str, tuple[int, int]], dict[int, str]] = {}

    def write(self, rows: pa.Table) -> None:
        """Add the rows of one take and direction."""
        numbers: dict[tuple[str, str, int], int] = {}
        for batch in rows.to_batches():
            for row in batch.to_pylist():
                self._write_row(row, numbers)

    def _write_row(self, row: dict[str, Any], numbers: dict[tuple[str, str, int], int]) -> None:
        key = (row["query_cam"], row["target_cam"], row["frame"])
        if key not in numbers:
            numbers[key] = self.images.count + 1
            self.images.append(self._image(row, numbers[key]))
        size = [row["height"], row["width"]]
        mask = {
            "image_id": numbers[key],
            "category_id": self.categories.setdefault(row["object"], len(self.categories) + 1),
        }
        if row["gt_state"] == "visible":
            area, box = _area_and_box(row)
            self.annotations.append(
                mask
                | {
                    "id": self.annotations.count + 1,
                    "segmentation": {"size": size, "counts": row["gt_rle"]},
                    "area": area,
                    "bbox": box,
                    "iscrowd": 0,
                }
            )
        if not row["area"]:  # null without a prediction
            self.empty += 1
            return
        self.results.append(
            mask
            | {
                "segmentation": {"size": size, "counts": row["mask_rle"]},
                "area": row["area"],
                "bbox": row["bbox"],
                "score": row["confidence"],
            }
        )

    def _image(self, row: dict[str, Any], number: int) -> dict[str, Any]:
        own = row["frame"] if row["target_frame"] is None else row["target_frame"]
        name = self._names.name(row["take_uid"], row["take_name"], row["target_cam"], own)
        size = (row["height"], row["width"])
        self._waiting.setdefault((row["take_uid"], row["target_cam"], size), {})[row["frame"]] = name.file_name
        return (
            {"id": number, "file_name": name.file_name, "height": row["height"], "width": row["width"]}
            | {one: row[one] for one in ("take_uid", "take_name", "query_cam", "target_cam", "direction", "frame")}
            | {"frame_index": row["target_frame"]}
            | ({} if name.video is None else {"video": name.video})
        )

    def write_pictures(self, folder: Path, out: Path) -> None:
        """Write the frames of the images that were added since the last time."""
        for (uid, camera, size), files in self._waiting.items():
            new = {frame: file for frame, file in files.items() if file not in self._written}
            self._written.update(new.values())
            known = self._names.camera(uid, camera)
            done = 0 if known is None or known.source is None else write_frames(known, new, size, folder, out)
            self.pictures += done
            self.unwritten += len(new) - done
        self._waiting.clear()


def _area_and_box(row: dict[str, Any]) -> tuple[int, list[int]]:
    """Foreground pixels and (x, y, width, height) of the ground truth, from run lengths parsed once for both."""
    mask = RunLengthMask(row["height"], row["width"], row["gt_rle"])
    try:
        toggles = mask.toggles()
    except DataError as error:
        raise DataError(
            f"take {show(row['take_uid'])}, object {show(row['object'])}, camera {show(row['target_cam'])}, frame "
            f"{row['frame']}: the ground truth cannot be used: {error}"
        ) from error
    ends = np.append(toggles, [mask.height * mask.width] * (toggles.size % 2))
    left, top, right, bottom = bounding_box(toggles, mask.height, mask.width) or (0, 0, -1, -1)
    return int((ends[1::2] - ends[0::2]).sum()), [left, top, right - left + 1, bottom - top + 1]
