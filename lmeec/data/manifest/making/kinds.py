"""What masks a file or folder holds, told by looking into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from lmeec.data.manifest.numbering import number_in
from lmeec.data.manifest.png import is_indexed, png_files
from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.files.names import first_few
from lmeec.files.places import in_order, local_file, naming_unreadable
from lmeec.files.reading import understanding
from lmeec.tables.takes import scan_takes

if TYPE_CHECKING:
    from lmeec.files.places import Place

_ONLY_OBJECT = "object"
UNNAMED = f"what is not black is called {_ONLY_OBJECT!r}"
NAMED_BY_FOLDER = "objects are called as their folders are"
"""What is assumed of objects' names."""


class _Image(msgspec.Struct, gc=False):
    file_name: str = ""
    frame: int | None = None


class _Annotations(msgspec.Struct):
    annotations: msgspec.Raw = msgspec.Raw(b"")
    images: list[_Image] | None = None


def entries_of(path: Place, named: str, frames: int | None = None) -> tuple[list[dict[str, Any]], str]:
    """The entries of `masks` that a file or folder makes, and what is assumed for them, in words.

    Args:
        path: a COCO or relations file, a results table, a folder of PNG files, or one of such folders, an object each.
        named: how the manifest names it.
        frames: frames of the camera's video, which tell whether numbers begin with 1; None if that is not known.

    Raises:
        DataError: it holds no masks.
    """
    with naming_unreadable(path):
        if path.is_dir():
            return _pictures(path, named, frames)
        if not path.is_file():
            raise DataError(f"{path}: there is no such file or folder of masks")
    if path.suffix.lower() == ".parquet":
        return [_predicted(path, named)], "predictions, where the run held the object to be visible"
    found = decode_file(path, _Annotations)
    if found.images is not None:
        first, said = _first([_number(one, path) for one in found.images], frames)
        return [{"coco": named} | first], said
    if bytes(found.annotations).lstrip()[:1] == b"{":
        return [{"relations": named}], ""
    raise DataError(
        f"{path}: is neither COCO's JSON, which has `images`, nor a relations file of Ego-Exo4D: export masks as COCO"
    )


def is_masks_file(path: Place) -> bool:
    """Whether a JSON file may hold masks: one of another format is none of ours."""
    try:
        return bool(entries_of(path, path.name))
    except DataError:
        return False


def _predicted(path: Place, named: str) -> dict[str, Any]:
    """Predictions in the only camera of a table that has any."""
    keys = ("take_name", "target_cam", "query_cam")
    found: set[tuple[str, ...]] = set()
    with (
        understanding(path, DataError, "a results table", "give a table of `lmeec predict`"),
        local_file(path) as table,
    ):
        for _, _, rows in scan_takes(table, keys):
            found.update(zip(*(rows[key].to_pylist() for key in keys), strict=True))
    if len(found) != 1:
        shown = first_few(" / ".join(one) for one in sorted(found))
        raise DataError(
            f"{path}: has predictions of {len(found)} takes, target and query cameras ({shown or 'none'}): name those "
            "that are meant in a manifest, with `results`, `take`, `camera` and `query`"
        )
    take, camera, query = found.pop()
    return {"results": named, "take": take, "camera": camera, "query": query}


def _pictures(folder: Place, named: str, frames: int | None) -> tuple[list[dict[str, Any]], str]:
    if pictures := png_files(folder):
        first, said = _first([number_in(one.name, folder) for one in pictures], frames)
        if is_indexed(pictures):
            return [{"png": named} | first], "; ".join(filter(None, ["pixels are indices of objects", said]))
        return [{"png": named, "object": _ONLY_OBJECT} | first], "; ".join(filter(None, [UNNAMED, said]))
    entries, said = [], ""
    for below in in_order(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")):
        if pictures := png_files(below):
            first, said = _first([number_in(one.name, below) for one in pictures], frames)
            entries.append({"png": f"{named}/{below.name}", "object": below.name} | first)
    if not entries:
        raise DataError(f"{folder}: holds no PNG files, nor folders of them, which are named by object")
    return entries, "; ".join(filter(None, [NAMED_BY_FOLDER, said]))


def _number(image: _Image, path: Place) -> int:
    return image.frame if image.frame is not None else number_in(image.file_name, path)


def _first(numbers: list[int], frames: int | None) -> tuple[dict[str, int], str]:
    """Numbers count from 0 unless the last is one that the video does not have, and 0 is not there."""
    if numbers and frames is not None and min(numbers) > 0 and max(numbers) == frames:
        return {"first_frame": 1}, f"frames are counted from 1, as the last is called {frames}"
    return {}, ""
