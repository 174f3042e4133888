"""What the command says. Text may hold names out of files; here, in one place, none of them can steer a terminal."""

from __future__ import annotations

import os
import sys

import typer

from lmeec.files.names import plain

_LAYOUT = "\n\t"


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write text, with control characters but newlines and tabs escaped, as JSON does it.

    Args:
        text: what to write.
        err: write to standard error.
        nl: end the line.
    """
    typer.echo(plain(text, keep=_LAYOUT), err=err, nl=nl)


def echo_in_a_signal(text: str) -> None:
    """Write a line to standard error from a signal's handler.

    Past Python's buffer: the signal may have come while a line was written to it, and it cannot be entered twice.
    """
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{plain(text, keep=_LAYOUT)}\n".encode())
