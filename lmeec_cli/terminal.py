"""What the command says. Text may hold names out of files; here, in one place, none of them can steer a terminal."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lmeec.errors import OutputError
from lmeec.files.names import plain
from lmeec.files.secrets import without_secrets
from lmeec_cli.words import in_time

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
        said = plain(without_secrets(text) if err else text, keep=_LAYOUT)
        if err and stream.isatty():
            said = _wrapped(said)
        print(said, end="\n" if nl else "", file=stream, flush=True)


def _wrapped(text: str) -> str:
    """Lines that end between words; paths and other long words stay whole, to be copied."""
    width = shutil.get_terminal_size().columns
    lines = [
        textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ") or [""]
        if len(line) > width and line == line.strip()
        else [line]
        for line in text.split("\n")
    ]
    return "\n".join(part for parts in lines for part in parts)


class _Manner:
    quiet = False
    began = time.monotonic()


def begin(*, quiet: bool) -> None:
    """A command begins: from now on its time counts, and `tell` is heeded or not."""
    _Manner.quiet, _Manner.began = quiet, time.monotonic()


def is_quiet() -> bool:
    """Whether nothing is to be said but results, warnings and errors (`--quiet`)."""
    return _Manner.quiet


def tell(text: str) -> None:
    """Say on standard error how it goes; not with `--quiet`."""
    if not _Manner.quiet:
        echo(text, err=True)


def tell_end(said: str, then: str | None = None) -> None:
    """Say at a command's end what was written, how long it took, and what to do with it; not with `--quiet`.

    Args:
        said: what was written.
        then: the command to go on with, or what to open.
    """
    tell(f"{said} ({in_time(time.monotonic() - _Manner.began)})")
    if then is not None:
        tell(f"next: {then}")


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
