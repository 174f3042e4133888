"""Files that appear under their name only when whole."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lmeec.errors import OutputError

TEMPORARY_SUFFIX = ".tmp"


@contextlib.contextmanager
def naming_the_file(path: Path) -> Iterator[None]:
    """Turn failures to write into an `OutputError` that names `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {path}: {reason}. Nothing unfinished was left under that name; mend the cause and run again"
        ) from error


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to that becomes `path` when the block ends, on disk and in one step.

    The file is written beside `path` under a hidden name. It is removed if the block raises.

    Raises:
        OutputError: the folder cannot be made, or the file not be opened, flushed or renamed.
    """
    aside = path.with_name(f".{path.name[:60]}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    with naming_the_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = aside.open("xb")
    try:
        yield file
        with naming_the_file(path):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            aside.replace(path)
            _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):  # a full disk fails here once more
            file.close()
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
