"""Files and folders that appear under their name only when whole."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from lmeec.errors import DiskFullError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer
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
        raise kind(_cannot_write(path, reason)) from error


def _cannot_write(path: Location, reason: str) -> str:
    return f"cannot write {path}: {reason}. Nothing unfinished was left under that name; mend the cause and run again"


@contextlib.contextmanager
def opened_to_write(file: Path, path: Location) -> Iterator[BinaryIO]:
    """Give a new file to write to, of which every failure to write, flush or close is an error that names `path`.

    Args:
        file: the file to make.
        path: what it is part of, or will become.

    Raises:
        DiskFullError: there is no space.
        OutputError: it cannot be made or written.
    """
    with naming_the_file(path):
        named = _NamedFile(file, path)
    opened = io.BufferedRandom(named)
    try:
        yield cast("BinaryIO", opened)
        opened.close()
    except Exception:
        if named.failure is not None:  # of which torch makes another error
            raise named.failure  # noqa: B904 - it has its cause
        raise
    finally:
        with contextlib.suppress(OutputError):  # a full disk fails here once more
            opened.close()


class _NamedFile(io.FileIO):
    """A new file whose failures name what it is for. Reading from it is for who wrote it."""

    def __init__(self, file: Path, path: Location) -> None:
        super().__init__(file, "x+")
        self._path = path
        self.failure: OutputError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        with self._named():
            return super().write(data)

    def close(self) -> None:
        with self._named():  # where network file systems tell of quotas
            super().close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            with naming_the_file(self._path):
                yield
        except OutputError as error:
            self.failure = self.failure or error
            raise


@contextlib.contextmanager
def written_whole(path: Location) -> Iterator[BinaryIO]:
    """Give a file to write to that becomes `path` when the block ends, in one step.

    A local file is made as by `made_whole`. For an object store it is gathered on the local disk and uploaded when
    whole: an object appears only when its upload is complete. What was written is removed if the block raises.

    Raises:
        DiskFullError: there is no space.
        OutputError: the folder cannot be made, or the file not be opened, written, flushed, renamed or uploaded.
    """
    if isinstance(path, Path):
        with made_whole(path) as aside, opened_to_write(aside, path) as file:
            yield file
        return
    with naming_the_file(path):
        gathered = tempfile.TemporaryDirectory(prefix="lmeec-", suffix=TEMPORARY_SUFFIX)
    with gathered as folder:
        local = Path(folder, "whole")
        with opened_to_write(local, path) as file:
            yield file
        _upload(local, path)


@contextlib.contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """Give a hidden name beside `path` to make a file or folder under, which becomes `path` when the block ends.

    It is flushed to disk first, and replaces what is there. It is removed if the block raises.

    Raises:
        DiskFullError: there is no space.
        OutputError: the folder above cannot be made, or what was made not be flushed or renamed; or a device or a pipe
            is there, which would be replaced.
    """
    with naming_the_file(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise OutputError(f"cannot write {path}: it is no file but a device or a pipe: name a file")
    aside = path.with_name(f".{path.name[:50]}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
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


def _upload(file: Path, path: UPath) -> None:
    with naming_the_file(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.fs.put_file(str(file), path.path)
        except OSError:
            raise
        except Exception as error:  # of the object store's own client, as when the network is away
            raise OutputError(_cannot_write(path, str(error))) from error


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, last through a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
