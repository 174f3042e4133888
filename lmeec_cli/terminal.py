"""What the command says. Text may hold names out of files; here, in one place, none of them can steer a terminal."""

from __future__ import annotations

import typer

from lmeec.data.names import plain

_LAYOUT = "\n\t"


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Write text, with control characters but newlines and tabs escaped, as JSON does it.

    Args:
        text: what to write.
        err: write to standard error.
        nl: end the line.
    """
    typer.echo(plain(text, keep=_LAYOUT), err=err, nl=nl)
