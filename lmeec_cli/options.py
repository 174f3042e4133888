"""Values that options of several commands take."""

from __future__ import annotations

from typing import Literal

import typer


def auto_or_number(given: str, option: str) -> int | Literal["auto"]:
    """Read the value of an option that is `auto` or a number.

    Raises:
        typer.BadParameter: it is neither.
    """
    if given == "auto":
        return "auto"
    try:
        return int(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is neither auto nor a number", param_hint=option) from None
