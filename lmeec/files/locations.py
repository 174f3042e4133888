"""Where files are: a local path, or an object store named by a URL such as `s3://bucket/results.parquet`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lmeec.errors import OutputError
from lmeec.extras import how_to_install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upath import UPath

    Location: TypeAlias = Path | UPath

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


def location(where: Location | str) -> Location:
    """Return the place that a path or URL names; object stores go through fsspec.

    Raises:
        OutputError: the file system of the URL is unknown or not installed.

    Example:
        >>> location("out/results.parquet")
        PosixPath('out/results.parquet')
        >>> location("memory://bucket/results.parquet").name
        'results.parquet'
    """
    if not isinstance(where, str):
        return where
    if where.startswith("file://"):
        return Path(where.removeprefix("file://"))
    if not _URL.match(where):
        return Path(where)
    from upath import UPath

    scheme = where.partition("://")[0].lower()
    try:
        # Other processes add and remove files, so listings must not be remembered.
        place = UPath(where, use_listings_cache=False)
        _ = place.fs
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        hint = how_to_install(extra) if extra else "install the fsspec package for it"
        raise OutputError(f"{where}: the file system of {scheme}:// is not installed ({error}); {hint}") from error
    except ValueError as error:
        raise OutputError(f"{where}: {scheme}:// is not a known file system ({error})") from error
    return place


def is_local(place: Location) -> bool:
    """Whether it is a path of this machine, shared folders included."""
    return isinstance(place, Path)


def names_in(folder: Location) -> Iterator[str]:
    """Names in a folder, sorted; none where there is no such folder.

    Raises:
        OutputError: the folder cannot be read.
    """
    try:
        yield from sorted(child.name for child in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"{folder} cannot be read: {error.strerror or error}") from error
