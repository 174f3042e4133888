"""Files of lines that grow, and keep what was written whatever becomes of the process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lmeec.files.whole import naming_the_file, written_whole

if TYPE_CHECKING:
    from io import BufferedWriter

    from lmeec.files.locations import Location

_SEGMENT = 2**20
"""Bytes of an object of a store, which is uploaded anew whenever it has grown."""


class GrowingFile:
    """A new file that lines are added to.

    A local line is with the system when `write` returns, and outlives the process. Objects cannot grow: in a store,
    lines wait until `flush`, and go into numbered objects of about a megabyte.

    Args:
        folder: where it is; made when missing.
        stem: its name, without what is added in a store.
        suffix: the end of its name.

    Raises:
        DiskFullError: there is no space.
        OutputError: it cannot be made.
    """

    def __init__(self, folder: Location, stem: str, suffix: str) -> None:
        self._folder, self._stem, self._suffix = folder, stem, suffix
        self._path = folder / f"{stem}{suffix}"
        self._file: BufferedWriter | None = None
        self._changing, self._uploading = threading.Lock(), threading.Lock()
        self._waiting = bytearray()
        self._uploaded = 0
        self._segment = 1
        if isinstance(self._path, Path):
            with naming_the_file(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("xb")

    def write(self, line: bytes) -> None:
        """Add a line, given without its end.

        Raises:
            DiskFullError: there is no space.
            OutputError: it cannot be written.
        """
        if self._file is None:
            with self._changing:
                self._waiting += line + b"\n"
            return
        with naming_the_file(self._path):
            self._file.write(line + b"\n")
            self._file.flush()

    def flush(self) -> None:
        """Upload what waits, to a store; any thread may.

        Raises:
            OutputError: it cannot be written; it waits on.
        """
        if self._file is not None:
            return
        with self._uploading:
            with self._changing:
                content = bytes(self._waiting)
            if len(content) == self._uploaded:
                return
            with written_whole(self._folder / f"{self._stem}.{self._segment:04d}{self._suffix}") as file:
                file.write(content)
            self._uploaded = len(content)
            if len(content) >= _SEGMENT:
                with self._changing:
                    del self._waiting[: len(content)]
                self._uploaded = 0
                self._segment += 1

    def close(self) -> None:
        """Let go of a local file.

        Raises:
            DiskFullError, OutputError: what failed before fails again.
        """
        if self._file is not None:
            with naming_the_file(self._path):
                self._file.close()
