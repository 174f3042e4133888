"""Files and folders that appear under their name only when whole."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from lmeec.errors import DiskFullError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upath import UPath

    from lmeec.files.locations import Location

TEMPORARY_SUFFIX = ".tmp"

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextlib.contextmanager
def naming_the_file(path: Location) -> Iterator[None]:
    """Turn failures to write into an `OutputError` that names `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        kind = DiskFullError if error.errno in _FULL else OutputError
        raise kind(
            f"cannot write {path}: {reason}. Nothing unfinished was left under that name; mend the cause and run again"
        ) from error


@contextlib.contextmanager
def written_whole(path: Location) -> Iterator[BinaryIO]:
    """Give a file to write to that becomes `path` when the block ends, in one step.

    A local file is made as by `made_whole`. For an object store it is gathered on the local disk and uploaded when
    whole: an object appears only when its upload is complete. What was written is removed if the block raises.

    Raises:
        DiskFullError: there is no space.
        OutputError: the folder cannot be made, or the file not be opened, flushed, renamed or uploaded.
    """
    if isinstance(path, Path):
        with made_whole(path) as aside:
            with naming_the_file(path):
                file = aside.open("xb")
            try:
                yield file
                with naming_the_file(path):
                    file.close()
            finally:
                with contextlib.suppress(OSError):  # a full disk fails here once more
                    file.close()
        return
    with naming_the_file(path), tempfile.NamedTemporaryFile(prefix="lmeec-", suffix=TEMPORARY_SUFFIX) as local:
        yield cast("BinaryIO", local)
        local.flush()
        _upload(local.name, path)


@contextlib.contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """Give a hidden name beside `path` to make a file or folder under, which becomes `path` when the block ends.

    It is flushed to disk first, and replaces what is there. It is removed if the block raises.

    Raises:
        DiskFullError: there is no space.
        OutputError: the folder above cannot be made, or what was made not be flushed or renamed.
    """
    aside = path.with_name(f".{path.name[:60]}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    with naming_the_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield aside
        with naming_the_file(path):
            _sync(aside)
            _put_in_place(aside, path)
            _sync(path.parent)
    except BaseException:
        _remove(aside)
        raise


def _put_in_place(aside: Path, path: Path) -> None:
    if not (aside.is_dir() and path.exists()):
        aside.replace(path)
        return
    old = aside.with_name(f"{aside.name}.old")  # a folder cannot be replaced by another in one step
    path.replace(old)
    aside.replace(path)
    _remove(old)


def _remove(made: Path) -> None:
    if made.is_dir() and not made.is_symlink():
        shutil.rmtree(made, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            made.unlink(missing_ok=True)


def create_exclusively(path: Location, content: bytes) -> bool:
    """Make a file if nobody has made it before; False if it is there already. Of many who try at once, one succeeds.

    Locally that is what opening for exclusive creation promises, also over NFS since version 3; who reads meanwhile
    may find the file empty. In an object store it is a conditional upload (`If-None-Match: *` on S3), and the object
    appears when whole.

    Raises:
        DiskFullError: there is no space.
        OutputError: it cannot be written, as where an object store knows no conditional uploads.
    """
    with naming_the_file(path):
        try:
            if isinstance(path, Path):
                _create_locally(path, content)
            else:
                path.fs.pipe_file(path.path, content, mode="create")
        except FileExistsError:
            # A retry after a lost answer meets what the first try wrote.
            return path.read_bytes() == content
    return True


def _create_locally(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    _sync(path.parent)


def _upload(file: str, path: UPath) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.fs.put_file(file, path.path)


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
