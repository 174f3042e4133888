"""Where results are kept: a local path, or an object store named by a URL such as `s3://bucket/results.parquet`."""

from __future__ import annotations

import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Output:
    """The results of a run: one file, or a folder with one file a take and direction.

    Attributes:
        path: the file or folder.
        partitioned: whether it is a folder.
    """

    path: Location
    partitioned: bool

    @classmethod
    def of(cls, where: Location | str | Output) -> Output:
        """A name that ends in a slash, and a folder that is there already, mean a folder.

        Example:
            >>> Output.of("night/").partitioned, Output.of("night.parquet").partitioned
            (True, False)
        """
        if isinstance(where, Output):
            return where
        if isinstance(where, str) and where.endswith("/"):
            return cls(location(where.rstrip("/")), partitioned=True)
        place = location(where)
        return cls(place, partitioned=place.is_dir())

    def absolute(self) -> Output:
        """The same, whatever folder a process is in."""
        return Output(self.path.absolute(), self.partitioned)

    @property
    def parts(self) -> Location:
        """The folder of the parts, `OUT.parts`."""
        return self.path.with_name(self.path.name + ".parts")

    @property
    def failures(self) -> Location:
        """The list of what is not in the results, `OUT.failures.json`."""
        return self.path.with_name(self.path.name + ".failures.json")

    def __str__(self) -> str:
        return f"{self.path}/" if self.partitioned else str(self.path)
