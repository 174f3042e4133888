"""Results as COCO files, for pycocotools and whatever else reads them.

A folder with `annotations.json`, the ground truth and the images, and `results.json`, the predictions, so that
`COCO("annotations.json").loadRes("results.json")` loads them and `COCOeval` compares them. The same target frame is
predicted from several query cameras, so an image is a frame of one pair of cameras.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import numpy as np

from lmeec.errors import DataError
from lmeec.files.folder import folder_written_whole
from lmeec.files.names import show
from lmeec.files.whole import opened_to_write
from lmeec.masks import RunLengthMask, bounding_box
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from lmeec.files.locations import Location

ANNOTATIONS = "annotations.json"
RESULTS = "results.json"

_COLUMNS = (
    "take_uid",
    "take_name",
    "object",
    "query_cam",
    "target_cam",
    "direction",
    "frame",
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
    """

    images: int
    annotations: int
    results: int
    empty: int


def export_coco(results: Sequence[Location | str], out: Path, *, overwrite: bool = False) -> CocoSummary:
    """Write results as a folder of COCO files.

    A category is an object's name. `score` is the confidence. Images and results also carry the names of take and
    cameras.

    Args:
        results: results tables.
        out: folder to make.
        overwrite: replace a folder of an earlier export.

    Raises:
        OutputError: a table cannot be read, or the folder exists or cannot be written.
        DataError: the counts of a ground truth mask are bad.
    """
    with (
        folder_written_whole(out, made_by=ANNOTATIONS, overwrite=overwrite) as folder,
        opened_to_write(folder / ANNOTATIONS, out / ANNOTATIONS) as dataset,
        opened_to_write(folder / RESULTS, out / RESULTS) as predictions,
        opened_to_write(folder / "spooled", out / ANNOTATIONS) as spooled,
    ):
        (folder / "spooled").unlink()  # open, it is there until it is closed
        writer = _Writer(_List(dataset), _List(spooled), _List(predictions))
        dataset.write(b'{"info":{"description":"ego-exo correspondence"},"images":[')
        predictions.write(b"[")
        for path in results:
            for _, _, rows in scan_takes(path, _COLUMNS):
                writer.write(rows)
        categories = [{"id": number, "name": name} for name, number in writer.categories.items()]
        dataset.write(b'],"categories":' + msgspec.json.encode(categories) + b',"annotations":[')
        spooled.seek(0)
        shutil.copyfileobj(spooled, dataset)
        dataset.write(b"]}\n")
        predictions.write(b"]\n")
    return CocoSummary(writer.images.count, writer.annotations.count, writer.results.count, writer.empty)


class _List:
    """The items of a JSON list, written as they come."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def append(self, item: dict[str, Any]) -> None:
        self._file.write((b",\n" if self.count else b"") + msgspec.json.encode(item))
        self.count += 1


class _Writer:
    def __init__(self, images: _List, annotations: _List, results: _List) -> None:
        self.images = images
        self.annotations = annotations
        self.results = results
        self.categories: dict[str, int] = {}
        self.empty = 0

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
            self.images.append(_image(row, numbers[key]))
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


def _image(row: dict[str, Any], number: int) -> dict[str, Any]:
    names = ("take_uid", "take_name", "query_cam", "target_cam", "direction", "frame")
    return {
        "id": number,
        "file_name": f"{row['take_name']}/{row['target_cam']}/{row['frame']}",
        "height": row["height"],
        "width": row["width"],
    } | {name: row[name] for name in names}
