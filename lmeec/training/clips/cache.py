"""Decoded frames kept on disk: every needed frame of a camera, resized as the network reads it, in one file.

A file's name has a digest of all that its contents depend on, and it appears only when whole. So processes that make
the same file at once do no harm, and files of a video that has changed are never read. (A folder of
extracted frames has changed when frames came or went.)
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lmeec.errors import DataError
from lmeec.files.names import safe_name, show
from lmeec.files.remote.place import RemotePath
from lmeec.files.whole import written_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from lmeec.config import Pixels
    from lmeec.data.take import Camera, Take
    from lmeec.files.places import Place


class Reading(NamedTuple):
    """How frames become the network's square; see `Camera.open`."""

    pixels: Pixels
    resampling: Image.Resampling


class FrameCache:
    """Frames of takes, decoded once.

    Args:
        folder: where the files are; is made.
        size: side S that frames are resized to, by the reader that inference uses as well.
        reading: how that reader resizes them; see `Camera.open`.
    """

    def __init__(self, folder: Path, size: int, reading: Reading) -> None:
        self._folder, self._size, self._reading = folder, size, reading

    def fill(self, take: Take, camera: Camera, frames: Sequence[int]) -> bool:
        """Decode a camera's frames in one pass, unless they are there.

        Args:
            take: whose camera it is.
            camera: with a source.
            frames: ascending.

        Returns:
            Whether anything had to be decoded.

        Raises:
            DataError: a frame cannot be decoded.
            DiskFullError: there is no space for them.
        """
        path = self._path(take, camera, frames)
        shape = (len(frames), self._size, self._size, 3)
        if path.exists() and path.stat().st_size == int(np.prod(shape)):
            return False
        opened = camera.open(
            (self._size, self._size), threads=1, pixels=self._reading.pixels, resampling=self._reading.resampling
        )
        with opened as reader, written_whole(path) as file:
            for _, image in reader.read(frames):
                file.write(np.ascontiguousarray(image).data)
        source, video = path.name.rsplit(".", 3)[:2]
        for other in path.parent.glob(f"{source}.*.rgb"):
            if other.name.rsplit(".", 3)[1] != video:  # of the video as it was before
                other.unlink(missing_ok=True)
        return True

    def read(self, take: Take, camera: Camera, frames: Sequence[int], wanted: Sequence[int]) -> NDArray[np.uint8]:
        """Some of the frames that `fill` was called with.

        Args:
            take: as for `fill`.
            camera: as for `fill`.
            frames: as for `fill`.
            wanted: some of them.

        Returns:
            RGB, uint8 [len(wanted), S, S, 3].

        Raises:
            DataError: the file is gone or was cut short.
        """
        path = self._path(take, camera, frames)
        try:
            stored = np.memmap(path, np.uint8, "r", shape=(len(frames), self._size, self._size, 3))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: decoded frames are gone ({error}); run again, and they are decoded anew"
            ) from error
        return np.array(stored[np.searchsorted(frames, wanted)])

    def _path(self, take: Take, camera: Camera, frames: Sequence[int]) -> Path:
        if camera.source is None:
            raise DataError(f"camera {show(camera.name)}: {camera.problem}")
        source = f"{safe_name(camera.name, 'camera')}-{_digest(str(camera.source))}"
        video = _digest(*_state_of(camera.source), camera.frame_rate)
        contents = _digest(self._size, self._reading.pixels, int(self._reading.resampling), tuple(frames))
        name = f"{source}.{video}.{contents}.rgb"
        return self._folder / safe_name(take.uid, "take") / name


def _state_of(source: Place) -> tuple[object, ...]:
    """What is another for a file of other content."""
    if isinstance(source, RemotePath):
        entry = source.entry()
        return entry.size, entry.version
    about = source.stat()
    return about.st_size, about.st_mtime_ns


def _digest(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]
