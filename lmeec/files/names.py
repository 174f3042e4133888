"""Names that come from data files: which may become part of a path, and how to show them."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from lmeec.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lmeec.files.locations import Location

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_PARQUET = frozenset(
    {".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx", ".arrow", ".feather", ".html", ".md", ".npz", ".pt", ".mp4"}
)
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


def safe_name(name: str, otherwise: str, length: int = 40) -> str:
    """Make a name for a file or folder of any name from a data file.

    It shows what it can of the name and is told apart by a digest, also where the file system ignores case.

    Args:
        name: Any text.
        otherwise: What to show when nothing of the name can be.
        length: Most characters of the name to show.

    Example:
        >>> safe_name("../Küche 1", "take")
        'K-che-1.5de3d08f0f02'
    """
    return f"{_safe(name, otherwise, length)}.{_digest(name)}"


def plain_names(names: Mapping[str, str], otherwise: str, length: int = 60) -> dict[str, str]:
    """Make names for files or folders that are told apart among each other, also where case is ignored.

    Args:
        names: Any texts, by what they are the names of.
        otherwise: What to show when nothing of a name can be.
        length: Most characters of a name to show.

    Returns:
        By the same keys: the name in safe characters, with a digest of the key only where two would be the same.

    Example:
        >>> plain_names({"a": "pink pan_0", "b": "../x", "c": "cup 1", "d": "Cup-1"}, "object")
        {'a': 'pink-pan_0', 'b': 'x', 'c': 'cup-1.2e7d2c03a950', 'd': 'Cup-1.18ac3e7343f0'}
    """
    shown = {key: _safe(name, otherwise, length) for key, name in names.items()}
    counts = Counter(name.casefold() for name in shown.values())
    return {key: name if counts[name.casefold()] == 1 else f"{name}.{_digest(key)}" for key, name in shown.items()}


def _safe(name: str, otherwise: str, length: int) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:length] or otherwise


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def check_parquet_name(path: Location) -> None:
    """Refuse, before any work, a table with a name that says that it is something else than Parquet.

    Raises:
        OutputError: it has another format's ending.
    """
    if path.suffix.lower() in _NO_PARQUET:
        raise OutputError(
            f"{path}: the table is written as Parquet, and this name says {path.suffix}; give `out` a name such as "
            f"{path.stem}.parquet",
            settings=["out"],
        )


def show(name: str) -> str:
    r"""Quote a name for a message, with control characters escaped so that a terminal cannot be steered.

    Example:
        >>> print(show("cup \x1b[31m"))
        'cup \x1b[31m'
    """
    return repr(name)


def plain(text: str, keep: str = "") -> str:
    r"""Text with control characters, and others that cannot be seen, escaped as JSON does it; without quotes.

    Names that are not quoted by `show` come before the user through here. JSON stays valid, and says the same.

    Args:
        text: a name, or text with names in it.
        keep: characters to leave as they are, as newlines between lines of a text.

    Example:
        >>> print(plain("cup \x1b[31m"), plain("Küche"))
        cup \u001b[31m Küche
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else json.dumps(one)[1:-1] for one in text)


def first_few(names: Iterable[str], limit: int = 3) -> str:
    """List the first names for a message: `'a', 'b', 'c' and 12 more`."""
    names = list(names)
    shown = ", ".join(show(name) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def and_nearest(unknown: Iterable[str], known: Iterable[str]) -> str:
    """List unknown names for a message, each with the known one that is most like it, by letters without case.

    Args:
        unknown: Names that were asked for.
        known: Those that there are; uids among them are not proposed.

    Example:
        >>> print(and_nearest(["grey jar"], ["grey jar_0", "mug_1"]))
        'grey jar' (the nearest name is 'grey jar_0')
    """
    by_letters = {name.casefold(): name for name in sorted(known, reverse=True) if not _UID.fullmatch(name)}
    unknown = list(unknown)
    shown = []
    for name in unknown[:3]:
        near = difflib.get_close_matches(name.casefold(), by_letters, n=1)
        shown.append(f"{show(name)} (the nearest name is {show(by_letters[near[0]])})" if near else show(name))
    return ", ".join(shown) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
