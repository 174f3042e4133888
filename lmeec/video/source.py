"""The file of a video as FFmpeg reads it: by its path, or by ranges of one that is elsewhere."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import av

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer

    from lmeec.files.places import Place
    from lmeec.files.remote.cache import Lease
    from lmeec.files.remote.ranges import RangeReader


class VideoSource:
    """A video's file, opened as often as need be until it is closed.

    Args:
        path: The file. Of a URL with a cache, the whole file is fetched to there, and stays as long as this is open.

    Attributes:
        path: The file, as it is called.
        size: Its bytes.

    Raises:
        DataError: The cache cannot be used.
        OSError: The file cannot be read.
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        self._lease: Lease | None = None
        self._ranges: RangeReader | None = None
        self._local: Path | None = path if isinstance(path, Path) else None
        if not isinstance(path, Path):
            self._lease = path.lease()
            if self._lease is not None:
                self._local = self._lease.path
            else:
                self._ranges = path.ranges()
        self.size = self._local.stat().st_size if self._local is not None else self._sought(io.SEEK_END)

    def open(self, options: dict[str, str] | None = None, hwaccel: HWAccel | None = None) -> InputContainer:
        """Open the file with FFmpeg.

        Args:
            options: Of FFmpeg.
            hwaccel: A decoder of a GPU.

        Raises:
            av.FFmpegError, ValueError: FFmpeg cannot read it.
            OSError: The file cannot be read.
        """
        if self._ranges is None:
            return av.open(str(self._local), "r", options=options, hwaccel=hwaccel)
        self._sought(io.SEEK_SET)
        try:
            return av.open(_StaysOpen(self._ranges), "r", options=options, hwaccel=hwaccel)
        except Exception:
            self.check()
            raise

    @contextlib.contextmanager
    def bytes(self) -> Iterator[BinaryIO]:
        """Have the file for reading bytes in the block."""
        if self._local is not None:
            with self._local.open("rb") as file:
                yield file
        else:
            self._sought(io.SEEK_SET)
            assert self._ranges is not None
            yield cast("BinaryIO", _Reads(self._ranges))

    def expect(self, start: int, stop: int) -> None:
        """Say which bytes will be read next, so that one request brings them."""
        if self._ranges is not None:
            self._ranges.expect(start, stop)

    def check(self) -> None:
        """Raise what a read failed with: FFmpeg takes it for the end of the file.

        Raises:
            OSError: A read failed.
        """
        if self._ranges is not None and self._ranges.failure is not None:
            raise self._ranges.failure

    def close(self) -> None:
        """Let go of the file."""
        if self._lease is not None:
            self._lease.close()

    def _sought(self, whence: int) -> int:
        assert self._ranges is not None
        return self._ranges.seek(0, whence)


class _StaysOpen:
    """What FFmpeg reads and may close, without the file being closed."""

    def __init__(self, file: RangeReader) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell
        self.seekable, self.readable = file.seekable, file.readable
        self.name = ""  # FFmpeg would guess the format by it


class _Reads:
    """A file whose reads give all that is asked for, up to its end."""

    def __init__(self, file: RangeReader) -> None:
        self._file = file
        self.seek = file.seek

    def read(self, length: int) -> bytes:
        """Read so many bytes, fewer at the end only."""
        pieces, left = [], length
        while left > 0 and (piece := self._file.read(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
