"""What the command says. Text may hold names out of files; here, in one place, none of them can steer a terminal."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lmeec.errors import OutputError
from lmeec.files.names import plain
from lmeec.files.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAYOUT = "\n\t"


class StandardOutputError(OutputError):
    """Standard output cannot be written; the cause says why."""


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write text, with control characters but newlines and tabs escaped, as JSON does it.

    What goes to standard error, which ends in logs, has been through `without_secrets`.

    Args:
        text: what to write.
        err: write to standard error.
        nl: end the line.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # as where a program is started without
        said = without_secrets(text) if err else text
        print(plain(said, keep=_LAYOUT), end="\n" if nl else "", file=stream, flush=True)


def echo_in_a_signal(text: str) -> None:
    """Write a line to standard error from a signal's handler.

    Past Python's buffer: the signal may have come while a line was written to it, and it cannot be entered twice.
    """
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{plain(text, keep=_LAYOUT)}\n".encode())


def name_standard_output() -> None:
    """Let failures to write to standard output be errors that name it, whoever writes.

    Letters that its encoding lacks are escaped. If the command was started without standard output (`>&-`), what is
    written there fails too, and does not end up in a file that is opened in its place.
    """
    if sys.stdout is not sys.__stdout__:  # of a program that calls the command
        return
    if sys.stdout is None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 1)
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    by_line = sys.stdout is not None and sys.stdout.line_buffering
    file = io.FileIO(1, "w", closefd=False)
    sys.stdout = _StandardOutput(io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=by_line)


def without_standard_output() -> None:
    """Write what is yet to come nowhere, as Python flushes at its end."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open to the end


class _StandardOutput(io.TextIOWrapper):
    def write(self, text: str) -> int:
        with _naming_standard_output():
            return super().write(text)

    def flush(self) -> None:
        with _naming_standard_output():
            super().flush()


@contextmanager
def _naming_standard_output() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StandardOutputError(f"cannot write to standard output: {error.strerror or error}") from error
