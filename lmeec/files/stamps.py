"""How a file is told from another that takes its place, without reading it; for whole folders in few requests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lmeec.errors import OutputError
from lmeec.files.remote.stores import entry_of

if TYPE_CHECKING:
    from upath import UPath

    from lmeec.files.locations import Location


class Stamp(msgspec.Struct, frozen=True):
    """What a file system says of a file.

    Attributes:
        size: bytes.
        version: another for a file of other content: nanoseconds of its last change, or the store's ETag. Empty where a
            store does not tell; then nothing can be said of the file.
    """

    size: int
    version: str


def stamp_of(path: Location) -> Stamp:
    """The stamp of a file.

    Raises:
        OSError: it cannot be looked at.
    """
    if isinstance(path, Path):
        return _local(path.stat())
    entry = entry_of(path.fs.info(path.path, refresh=True))
    return Stamp(entry.size, entry.version)


def stamps_in(folder: Location) -> dict[str, Stamp]:
    """The stamps of files in a folder, by name, sorted; none where there is no such folder.

    Raises:
        OutputError: the folder cannot be read.
    """
    try:
        found = _local_stamps(folder) if isinstance(folder, Path) else _stamps_of_store(folder)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise OutputError(f"{folder} cannot be read: {error.strerror or error}") from error
    return dict(sorted(found.items()))


def _local_stamps(folder: Path) -> dict[str, Stamp]:
    stamps: dict[str, Stamp] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_file():
                    stamps[entry.name] = _local(entry.stat())
            except FileNotFoundError:  # removed just now
                continue
    return stamps


def _stamps_of_store(folder: UPath) -> dict[str, Stamp]:
    entries = {
        str(info["name"]).rpartition("/")[2]: entry_of(info)
        for info in folder.fs.ls(folder.path, detail=True, refresh=True)
    }
    return {name: Stamp(one.size, one.version) for name, one in entries.items() if name and not one.is_folder}


def _local(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, str(found.st_mtime_ns))
