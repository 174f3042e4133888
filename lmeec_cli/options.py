"""Options that several commands have, and values that they take."""

from __future__ import annotations

from typing import Any, Literal

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


def ray_address_option(panel: str | None = None, *, more: str = "") -> Any:
    """The option `--ray-address`, under a heading of the command's help and with what it means there besides."""
    return typer.Option(
        envvar="RAY_ADDRESS",
        help=f"Ray cluster to join: HOST:PORT, or auto on one of its machines.{more}",
        show_default="start one here",
        rich_help_panel=panel,
    )
