"""Names that come from data files: which may become part of a path, and how to show them."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 250  # bytes; file systems take 255 for a file with its ending


def path_component_problem(name: str) -> str | None:
    """Say why a name from a data file cannot name one file or folder; None if it can.

    Spaces and any script are fine; whatever could lead out of the folder that the name is looked up in is not.
    """
    if not name.strip():
        return "the name is empty"
    if name in (".", ".."):
        return "the name is a relative path"
    if "/" in name or "\\" in name:
        return "the name holds a slash"
    if "\0" in name:
        return "the name holds a NUL character"
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "the name is not valid Unicode"
    if len(encoded) > _LONGEST:
        return f"the name is longer than {_LONGEST} bytes"
    return None


def show(name: str) -> str:
    """Quote a name for a message, with control characters escaped so that a terminal cannot be steered."""
    return repr(name)


def first_few(names: Iterable[str], limit: int = 3) -> str:
    """List the first names for a message: `'a', 'b', 'c' and 12 more`."""
    names = list(names)
    shown = ", ".join(show(name) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
