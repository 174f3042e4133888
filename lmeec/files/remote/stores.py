"""What a store of files is asked, whether its protocol has folders (object stores) or not (web servers)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from lmeec.errors import DataError
from lmeec.extras import how_to_install
from lmeec.files.remote.attempts import tried

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fsspec import AbstractFileSystem

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "http", "https": "http", "hf": "hf"}
"""Protocol to the extra of lmeec that installs its file system."""

_VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "md5Hash",
    "blob_id",
    "sha256",
    "LastModified",
    "mtime",
    "updated",
    "created",
)
"""What file systems of fsspec call that which changes with a file, the surest first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a store says of a file or folder.

    Attributes:
        is_folder: Whether it is a folder.
        size: Bytes of a file.
        version: What is another for a file of other content: its ETag, or when it was changed; empty if the store does
            not say.
        in_ranges: Whether parts of the file can be read.
    """

    is_folder: bool
    size: int = 0
    version: str = ""
    in_ranges: bool = True


class OpenedFile(Protocol):
    """A file of a store that is being read.

    Attributes:
        entry: What the store says of it, now.
    """

    entry: Entry

    def fetch(self, start: int, stop: int) -> bytes:
        """Read a range; raises `OSError` as `lmeec.files.remote.attempts.tried` does."""
        ...

    def copy_to(self, file: BinaryIO) -> None:
        """Write all of it to a new local file."""
        ...


class Store(Protocol):
    """Files by URL. Everything raises `OSError` as `lmeec.files.remote.attempts.tried` does."""

    def entry(self, url: str, shown: str) -> Entry:
        """Say what is there."""
        ...

    def children(self, url: str, shown: str) -> dict[str, Entry]:
        """List a folder; empty where there is none."""
        ...

    def below(self, url: str, shown: str) -> Iterator[tuple[str, Entry]]:
        """List all files below a folder, with their paths from there."""
        ...

    def open(self, url: str, shown: str, known: Entry) -> OpenedFile:
        """Begin to read a file of which `entry` told."""
        ...


def file_system(protocol: str, options: Mapping[str, Any]) -> AbstractFileSystem:
    """A file system of fsspec; one for all that ask with the same options in a process.

    Raises:
        DataError: The protocol is unknown, or its file system not installed.
    """
    import fsspec

    try:
        return fsspec.filesystem(protocol, **options)
    except ImportError as error:
        raise not_installed(protocol, error) from error
    except ValueError as error:
        raise DataError(f"{protocol}:// is not a known file system ({error})") from error


def not_installed(protocol: str, error: ImportError) -> DataError:
    """The error of a file system that is an extra, or none of lmeec's."""
    extra = EXTRAS.get(protocol)
    hint = how_to_install(extra) if extra else "install the fsspec package for it"
    return DataError(f"the file system of {protocol}:// is not installed ({error}); {hint}")


class ObjectStore:
    """A store that fsspec has a file system for."""

    def __init__(self, files: AbstractFileSystem) -> None:
        self._files = files

    def entry(self, url: str, shown: str) -> Entry:
        """See `Store`."""
        return tried(lambda: entry_of(self._files.info(url)), shown)

    def children(self, url: str, shown: str) -> dict[str, Entry]:
        """See `Store`."""
        path = self._path(url)
        try:
            found = tried(lambda: self._files.ls(url, detail=True, refresh=True), shown)
        except FileNotFoundError:
            return {}
        entries = {self._below(path, info["name"]): entry_of(info) for info in found}
        return {name: entry for name, entry in entries.items() if "/" not in name and name not in ("", ".", "..")}

    def below(self, url: str, shown: str) -> Iterator[tuple[str, Entry]]:
        """See `Store`."""
        path = self._path(url)
        try:
            found = tried(lambda: self._files.find(url, detail=True), shown)
        except FileNotFoundError:
            return
        for name, info in cast("dict[str, dict[str, Any]]", found).items():
            yield self._below(path, name), entry_of(info)

    def open(self, url: str, shown: str, known: Entry) -> OpenedFile:
        """See `Store`."""
        return _OpenedObject(tried(lambda: self._files.open(url, "rb", cache_type="none"), shown), shown)

    def _path(self, url: str) -> str:
        return str(self._files._strip_protocol(url)).rstrip("/")

    @staticmethod
    def _below(path: str, name: str) -> str:
        return name.strip("/")[len(path.strip("/")) :].lstrip("/")


def entry_of(info: Mapping[str, Any]) -> Entry:
    """What a file system of fsspec says of a file, in its own words."""
    if info.get("type") == "directory":
        return Entry(is_folder=True)
    version = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
    return Entry(is_folder=False, size=int(info.get("size") or 0), version=version.strip('"'))


class _OpenedObject:
    """A file of fsspec that is read as it was when it was opened, or not at all."""

    def __init__(self, file: Any, shown: str) -> None:
        self._file, self._shown = file, shown
        self.entry = entry_of(file.details)

    def fetch(self, start: int, stop: int) -> bytes:
        """See `OpenedFile`."""

        def ask() -> bytes:
            self._file.seek(start)
            data: bytes = self._file.read(stop - start)
            if len(data) != stop - start:
                raise ConnectionError(f"{len(data)} of {stop - start} bytes arrived")
            return data

        return tried(ask, self._shown)

    def copy_to(self, file: BinaryIO) -> None:
        """See `OpenedFile`."""
        copy_in_ranges(self, file)


_PIECE = 16 * 2**20


def copy_in_ranges(opened: OpenedFile, file: BinaryIO) -> None:
    """Copy a file in pieces, so that a connection that is cut costs one of them."""
    for start in range(0, opened.entry.size, _PIECE):
        file.write(opened.fetch(start, min(start + _PIECE, opened.entry.size)))


def no_ranges(shown: str) -> OSError:
    """The error of a server that gives files as a whole alone."""
    return OSError(
        errno.EOPNOTSUPP,
        "its server gives whole files alone, and not the parts of one that are needed; keep whole files with `cache`",
        shown,
    )
