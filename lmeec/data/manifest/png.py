"""Masks as PNG files, one a frame: of one object in black and white, or of all by index, as DAVIS has them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from lmeec.data.manifest.coco import FoundMasks
from lmeec.data.manifest.numbering import number_in
from lmeec.data.tracks import EncodedMask
from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.files.places import in_order, local_file, naming_unreadable
from lmeec.files.reading import reading
from lmeec.masks import RunLengthMask
from lmeec.video.frames import check_frame_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from lmeec.data.manifest.numbering import Numbering
    from lmeec.files.places import Place

_LARGEST = 2**28  # bytes of one file
_VOID = 255  # what DAVIS leaves out of every object
_INDEXED = {"1", "L", "P", "I", "I;16", "I;16B"}
_SEPARATOR = ":"
_TELLING = 5  # pictures


def read_png(folder: Place, name: str | None, by_index: Mapping[int, str], numbering: Numbering) -> FoundMasks:
    """Look which objects the pictures of a folder show; the masks stay in their files.

    Args:
        folder: the folder.
        name: the object whose pixels are not black; None where pixels are indices.
        by_index: names of the objects by index; without any, they are called by their index.
        numbering: how frames are numbered.

    Raises:
        DataError: the folder or a picture cannot be read, two are the same frame, or an index has no name.
    """
    named = by_index.values() if name is None else [name]
    found = FoundMasks(set(), {one: {} for one in named})
    has_void = False
    for frame, file in _files(folder, numbering):
        if frame is None:
            found.between += 1
            continue
        found.looked_at.add(frame)
        pixels = _read(file, indexed=name is None)
        if name is not None:
            shown = {"": name} if pixels.any() else {}
        else:
            has_void |= bool((pixels == _VOID).any())
            shown = {str(index): _name_of(index, by_index, file) for index in _indices(pixels, by_index)}
        height, width = pixels.shape
        for index, one in shown.items():
            found.masks.setdefault(one, {})[frame] = EncodedMask(height, width, f"{index}{_SEPARATOR}{file.name}")
    if found.looked_at and not any(found.masks.values()) and (has_void or not named):
        raise DataError(
            f"{folder}: none of its {len(found.looked_at)} pictures has a pixel of an index; for black and white ones, "
            "name the object with `object`"
        )
    return found


class PngCounts:
    """Gives the counts of a mask in a folder of PNG files; can be pickled.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Place) -> None:
        self._folder = folder

    def __call__(self, text: str) -> str:
        """COCO counts of a mask as `read_png` keeps it.

        Raises:
            DataError: the picture cannot be read.
        """
        index, _, name = text.partition(_SEPARATOR)
        pixels = _read(self._folder / name, indexed=bool(index))
        return RunLengthMask.encode(pixels == int(index) if index else pixels != 0).counts


def png_files(folder: Place) -> list[Place]:
    """The PNG files of a folder, sorted by name.

    Raises:
        DataError: it cannot be read.
    """
    with naming_unreadable(folder):
        files = [path for path in folder.iterdir() if path.suffix.lower() == ".png"]
    return in_order(path for path in files if not path.name.startswith("."))  # what macOS puts beside


def is_indexed(pictures: Sequence[Place]) -> bool:
    """Whether pixels are indices of objects, and not black and white, by the first pictures.

    Raises:
        DataError: one cannot be read.
    """
    seen: set[int] = set()
    for file in pictures[:_TELLING]:
        with _opened(file) as image:
            if image.mode not in _INDEXED:
                return False
            if image.mode == "P":
                return True
            seen |= set(np.unique(np.asarray(image)).tolist())
    return not (seen <= {0, 1} or seen <= {0, 255})


def _files(folder: Place, numbering: Numbering) -> list[tuple[int | None, Place]]:
    """The pictures that are asked for, with the take's frame, or None for those that the take does not read."""
    files: dict[int, Place] = {}
    for file in png_files(folder):
        number = number_in(file.name, folder)
        if number in files:
            raise DataError(f"{folder}: {show(files[number].name)} and {show(file.name)} are both frame {number}")
        files[number] = file
    if not files:
        raise DataError(f"{folder}: holds no PNG files, which are named by frame number, as 00012.png")
    placed = []
    for number, file in sorted(files.items()):
        try:
            frame = numbering.frame(number)
        except DataError as error:
            raise DataError(f"{folder}: {show(file.name)}: {error}") from error
        if frame is None or numbering.is_asked_for(frame):
            placed.append((frame, file))
    return placed


@contextmanager
def _opened(file: Place) -> Iterator[Image.Image]:
    with (
        reading(file, DataError, "a PNG file", "write it anew", most=_LARGEST),
        local_file(file) as local,
        local.open("rb") as data,
    ):
        image = Image.open(data, formats=["PNG"])
        check_frame_size(file, image.height, image.width)
        yield image


def _read(file: Place, *, indexed: bool) -> NDArray[Any]:
    """Pixels [H, W]: indices, or not 0 where the object is."""
    with _opened(file) as image:
        if indexed and image.mode not in _INDEXED:
            raise DataError(
                f"{file}: is a colour picture, whose pixels are no indices; name the object that is not black in it "
                "with `object`, or write it as a picture with a palette"
            )
        pixels = np.asarray(image)
        if image.mode in ("LA", "RGBA"):
            pixels = pixels[..., :-1] * (pixels[..., -1:] > 0)
        return pixels.max(axis=2) if pixels.ndim == 3 else pixels


def _indices(pixels: NDArray[Any], by_index: Mapping[int, str]) -> list[int]:
    there = np.flatnonzero(np.bincount(pixels.ravel())) if pixels.dtype == np.uint8 else np.unique(pixels)
    return [int(index) for index in there if index > 0 and (index != _VOID or _VOID in by_index)]


def _name_of(index: int, by_index: Mapping[int, str], file: Place) -> str:
    if not by_index:
        return f"object {index}"
    if index not in by_index:
        raise DataError(
            f"{file}: has pixels of object {index}, which `objects` does not name; it names {list(by_index)}"
        )
    return by_index[index]
