"""Where input is: a local path, or a place in an object store or on a web server that a URL names.

What is read comes from a `Place`; what is written goes to a `Location` (`lmeec.files.locations`), and is read there.
"""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lmeec.errors import DataError
from lmeec.files.remote.place import RemotePath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmeec.files.remote.cache import FileCache

Place: TypeAlias = Path | RemotePath

_SIDE_BY_SIDE = 32
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def place(where: Place | str, cache: FileCache | None = None) -> Place:
    """Return the place that a path or URL names.

    Args:
        where: A path, or a URL of `s3`, `gs`, `hf`, `https` or whatever else fsspec reads.
        cache: Where whole files are kept that are read from URLs.

    Raises:
        DataError: The URL names no place, or holds credentials where the environment should.

    Example:
        >>> place("egoexo4d/takes"), place("s3://bucket/egoexo4d") / "takes"
        (PosixPath('egoexo4d/takes'), RemotePath('s3://bucket/egoexo4d/takes'))
    """
    if not isinstance(where, str):
        return where
    if where.startswith("file://"):
        return Path(where.removeprefix("file://"))
    return RemotePath(where, cache) if is_url(where) else Path(where)


def is_url(where: str) -> bool:
    """Whether text is a URL and no path.

    Example:
        >>> is_url("s3://bucket/takes"), is_url("takes")
        (True, False)
    """
    return _URL.match(where) is not None


def in_order(places: Iterable[Place]) -> list[Place]:
    """Places of one folder, sorted by name."""
    return sorted(places, key=lambda one: one.name)


def is_folder(where: Place) -> bool:
    """Whether it is a folder; one of a store is listed, which tells whether that is allowed.

    Raises:
        OSError: The store does not say, or has no folders.
    """
    if isinstance(where, Path):
        return where.is_dir()
    try:
        return any(True for _ in where.iterdir())
    except FileNotFoundError:
        return False


def look_up(places: Iterable[Place]) -> None:
    """Ask stores what is at many places, side by side; who uses one that cannot be told of will meet the error."""
    unknown = [one for one in places if isinstance(one, RemotePath) and not one.is_known]
    if not unknown:
        return

    def ask(one: RemotePath) -> None:
        with contextlib.suppress(OSError):
            one.entry()

    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        list(pool.map(ask, unknown))


@contextlib.contextmanager
def naming_unreadable(where: Place) -> Iterator[None]:
    """Turn failures of the system or the store in the block into an error that names a place.

    Raises:
        DataError: It cannot be read.
    """
    try:
        yield
    except OSError as error:
        within = error.filename if isinstance(where, Path) else None  # the very folder that cannot be read
        raise DataError(f"{within or where}: cannot be read: {error.strerror or error}") from error


@contextlib.contextmanager
def local_file(where: Place) -> Iterator[Path]:
    """Have a file on this machine for the block: itself, or a copy of one that is elsewhere.

    Raises:
        DataError: The cache cannot be used.
        OSError: The file cannot be read.
    """
    if isinstance(where, Path):
        yield where
    else:
        with where.local() as path:
            yield path
