"""Writes the trace of a run while it goes, and joins it at the end; `lmeec.tables.trace` says what is in it."""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import TYPE_CHECKING

import msgspec

from lmeec.files.growing import GrowingFile
from lmeec.runs.beside import ToldOnce
from lmeec.tables.trace import LINES_END, LINES_START, Session, line_files, read_trace, write_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.tables import Output, RunMetadata
    from lmeec.tables.trace import Line


class TraceFile:
    """The lines of one session. That something cannot be written is told once, and does not stop the run.

    Args:
        out: the output of the run.
        notice: is told, in words, of what is lost.

    Attributes:
        session: tells it apart from others.
    """

    def __init__(self, out: Output, notice: Callable[[str], None]) -> None:
        self.session = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"
        self._out = out
        self._file: GrowingFile | None = None
        self._about: Session | None = None
        self._telling = ToldOnce(notice, "the trace of this run is not whole")

    def begin(self, began: float, workers: int) -> None:
        """The session begins to hand out jobs, at a time in seconds since 1970."""
        self._about = Session(
            session=self.session, host=socket.gethostname(), pid=os.getpid(), began=began, workers=workers
        )
        with self._telling():
            self._file = GrowingFile(self._out.parts, f"{LINES_START}{self.session}", LINES_END)
        self.write(self._about)

    def end(self, ended: float) -> None:
        """All jobs that were begun are settled."""
        if self._about is not None:
            self.write(msgspec.structs.replace(self._about, ended=ended))

    def write(self, line: Line) -> None:
        """Add a line."""
        if self._file is not None:
            with self._telling():
                self._file.write(msgspec.json.encode(line))

    def flush(self) -> None:
        """See that what was written outlives this process, where the output is in a store.

        Raises:
            OutputError: it cannot be written; it waits for the next time.
        """
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        with self._telling():
            self.flush()
            if self._file is not None:
                self._file.close()

    def join(self, run: RunMetadata) -> None:
        """Join the lines of this session and of earlier ones to `OUT.trace.parquet`, with what was joined before."""
        self.close()
        with self._telling():
            trace = read_trace(self._out, run).settled(running=False)
            if trace.sessions:
                write_trace(self._out, trace, run)
            _remove_lines(self._out)


def discard_trace(out: Output) -> None:
    """Remove all of the trace of an output.

    Raises:
        OSError: a file cannot be removed.
    """
    _remove_lines(out)
    out.trace.unlink(missing_ok=True)


def _remove_lines(out: Output) -> None:
    for path in line_files(out.parts):
        path.unlink(missing_ok=True)
