"""The processed layout: frames as JPEG files at one frame a second, one annotation file a take.

As the ego-exo4d-relation benchmark writes it: `<root>/<take_uid>/<camera>/<frame>.jpg` and
`<root>/<take_uid>/annotation.json`, which holds ``{"masks": {object: {camera: {frame: {"size": [height, width],
"counts": COCO counts}}}}, "subsample_idx": [frame, ...]}``.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from PIL import Image

from lmeec.data.relations import FrameNumber
from lmeec.data.tracks import EncodedMask, MaskTrack, as_written
from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.files.reading import reading, understanding
from lmeec.video.decoding import Wanted
from lmeec.video.frames import ClosedAfterUse, Detailed, ReadingCounts, check_frame_size
from lmeec.video.pixels import BICUBIC, reduced, resize_picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from lmeec.files.places import Place

ANNOTATION_FILE = "annotation.json"
_MEND = "extract or download it again"

_LARGEST_FILE = 2**27  # bytes of a frame that is elsewhere; those of 4K have one or two million
_FRAME_FILE = re.compile(r"([0-9]{1,9})\.jpe?g", re.IGNORECASE)


class _Mask(msgspec.Struct, gc=False):
    size: tuple[int, int]
    counts: str


class _Document(msgspec.Struct):
    masks: dict[str, dict[str, dict[FrameNumber, _Mask | None]]]


def read_tracks(folder: Place) -> dict[tuple[str, str], MaskTrack]:
    """Read a take's mask tracks, keyed (object, camera); their masks stay encoded.

    The file does not say which frames annotators looked at: `subsample_idx` is every 30th frame of the take.

    Args:
        folder: The take's folder.

    Raises:
        DataError: The annotation file cannot be read, is broken JSON (with line and column) or not of this format.
    """
    path = folder / ANNOTATION_FILE
    document = decode_file(path, _Document)
    tracks: dict[tuple[str, str], MaskTrack] = {}
    for name, cameras in document.masks.items():
        for camera, masks in cameras.items():
            encoded = {
                frame: EncodedMask(*mask.size, mask.counts) for frame, mask in sorted(masks.items()) if mask is not None
            }
            tracks[name, camera] = MaskTrack(
                object=name,
                camera=camera,
                annotated_frames=None,
                encoded=encoded,
                take=folder.name,
                source=path,
                read_counts=as_written,
                null_frames=frozenset(masks.keys() - encoded.keys()),
            )
    return tracks


def digest(folder: Place) -> str:
    """SHA-256 of a take's annotation file, in hexadecimal.

    Raises:
        DataError: The file cannot be read.
    """
    path = folder / ANNOTATION_FILE
    with reading(path, DataError, "an annotation file", "download it again"):
        return hashlib.sha256(path.read_bytes()).hexdigest()


class FrameFolder(ClosedAfterUse):
    """Frames of one camera in a folder of JPEG files that are named by frame number; a `FrameReader`.

    Args:
        folder: The folder.
        size: Height and width that frames are resized to, as the released code does it; None keeps their own.
        resampling: See `lmeec.video.pixels.resize_picture`.

    Attributes:
        folder: The folder.
        height: Rows of the first frame in pixels; all others must have as many.
        width: Columns of the first frame in pixels.
        num_frames: One past the highest frame number. Frames in between may not be there: see `has_frame`.
        notice: None; frames have the numbers that their files are named by.
        counts: What reading has taken so far.

    Raises:
        DataError: The folder holds no frames, or the first is no JPEG file or of an absurd size.
    """

    def __init__(
        self, folder: Place, size: tuple[int, int] | None = None, resampling: Image.Resampling = BICUBIC
    ) -> None:
        self.folder = folder
        self.notice: str | None = None
        self.counts = ReadingCounts()
        self._size, self._resampling = size, resampling
        self._files = _frame_files(folder)
        if not self._files:
            raise DataError(f"{folder}: holds no frames; files named by frame number, as 0.jpg, are looked for")
        self._frames = sorted(self._files)
        self.num_frames = self._frames[-1] + 1
        with _open_image(self._files[self._frames[0]]) as image:
            self.width, self.height = image.size

    def has_frame(self, index: int) -> bool:
        """Say whether there is a file for a frame."""
        return index in self._files

    def file_frame(self, index: int) -> int:
        """Give the number that a frame's file is named by: its own."""
        return index

    def decodes_from(self, index: int) -> int:
        """Give the frame's number: each is decoded on its own."""
        return index

    def read(self, indices: Iterable[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Decode frames as the iterator is advanced.

        Args:
            indices: Frame numbers, ascending.

        Yields:
            Frame number and image, uint8 RGB [height, width, 3].

        Raises:
            DataError: There is no such frame, or its file is broken or of another size; the message names it.
            ValueError: The numbers are negative or not ascending.
        """
        for index, frame in self._frames_of(indices):
            yield index, self._resized(frame)

    def read_detailed(self, indices: Iterable[int], longer_side: int) -> Iterator[tuple[int, Detailed]]:
        """Decode frames as the iterator is advanced; see `FrameReader.read_detailed`."""
        for index, frame in self._frames_of(indices):
            yield index, Detailed(self._resized(frame), reduced(np.array(frame), longer_side))

    def _frames_of(self, indices: Iterable[int]) -> Iterator[tuple[int, Image.Image]]:
        wanted = Wanted(indices)
        while (index := wanted.next()) is not None:
            if index not in self._files:
                raise DataError(f"{self.folder}: there is no frame {index}; {self._neighbours(index)}")
            yield index, self._decode(self._files[index])

    def close(self) -> None:
        """Do nothing: files are open only while they are decoded."""

    def _decode(self, path: Place) -> Image.Image:
        with understanding(path, DataError, "a JPEG file", _MEND), _open_image(path) as image:
            if image.size != (self.width, self.height):
                raise DataError(
                    f"{path}: has {image.height}x{image.width} pixels (height x width), other frames of the "
                    f"camera {self.height}x{self.width}"
                )
            decoded = image.convert("RGB")
            self.counts.frames_decoded += 1
            self.counts.bytes_read += path.stat().st_size if isinstance(path, Path) else path.entry().size
            return decoded

    def _resized(self, frame: Image.Image) -> NDArray[np.uint8]:
        return np.array(frame) if self._size is None else resize_picture(frame, self._size, self._resampling)

    def _neighbours(self, index: int) -> str:
        place = bisect_left(self._frames, index)
        near = [str(frame) for frame in self._frames[max(place - 1, 0) : place + 1]]
        return f"the nearest are {' and '.join(near)}"


def camera_folders(folder: Place) -> list[str]:
    """Names of the folders of a take that hold frames, or that cannot be read, sorted."""
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and _may_hold_frames(entry))


def _may_hold_frames(folder: Place) -> bool:
    try:
        return bool(_frame_files(folder))
    except DataError:  # said when its frames are asked for
        return True


def _frame_files(folder: Place) -> dict[int, Place]:
    try:
        return {int(found[1]): path for path in folder.iterdir() if (found := _FRAME_FILE.fullmatch(path.name))}
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error


def _open_image(path: Place) -> Image.Image:
    content = path if isinstance(path, Path) else _fetched(path)
    with reading(path, DataError, "a JPEG file", _MEND):
        image = Image.open(content, formats=["JPEG"])
    check_frame_size(path, image.height, image.width)
    return image


def _fetched(path: Place) -> BytesIO:
    with reading(path, DataError, "a JPEG file", _MEND, most=_LARGEST_FILE):
        return BytesIO(path.read_bytes())
