"""Whole files of stores, kept on this machine's disk for all of its processes, the least recently used out first.

A file is known by a digest of where it is and of the version that its store tells, so that a file that was changed is
another one. It appears under its name only when whole. Whoever reads one holds a shared lock of it (flock), which the
system takes back from a process that dies; what is locked is not removed. fsspec's `filecache` has no limit of size and
is not made for several processes; diskcache has a limit, but keeps values pickled in a database, lets several processes
fetch the same file at once, and removes what is in use.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from lmeec.errors import ConfigError, DataError
from lmeec.files.whole import TEMPORARY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_KEPT = "lmeec-cache-"
"""What names of files in the folder begin with; others are left alone."""

_LOCK, _CLAIM = ".lock", ".claim"
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_FULL = (errno.ENOSPC, errno.EDQUOT)


def size_in_bytes(text: str) -> int:
    """A size with a unit.

    Raises:
        ConfigError: It is none.

    Example:
        >>> size_in_bytes("50GB"), size_in_bytes("1.5 MiB")
        (50000000000, 1572864)
    """
    number = text.strip().rstrip("KMGTiBkmgtb ")
    unit = text.strip()[len(number) :].strip().upper()
    with contextlib.suppress(ValueError, OverflowError, KeyError):
        size = int(float(number) * _UNITS[unit])
        if size > 0:
            return size
    raise ConfigError(f"`cache_size` is {text!r}, but must be a size such as 50GB or 500MB", settings=["cache_size"])


@dataclass(frozen=True)
class FileCache:
    """A folder for whole files. Can be pickled.

    Attributes:
        folder: Of this machine; is made where it is missing.
        size: Bytes that all files may take.
    """

    folder: Path
    size: int = 50 * 10**9

    def lease(self, name: str, size: int, suffix: str, fill: Callable[[BinaryIO], None]) -> Lease | None:
        """Give a file of the cache, which stays until the lease is closed; fetched first if it is not there.

        Of several processes that want the same file, one fetches it.

        Args:
            name: Where the file is and its version, as text of any length.
            size: Bytes of it.
            suffix: What its name on disk is to end in.
            fill: Fetches it into a new file.

        Returns:
            None if there is no room for it: it is larger than the cache, or what is there is in use, or the disk full.

        Raises:
            DataError: The folder cannot be used.
            OSError: It cannot be fetched.
        """
        if size > self.size:
            return None
        with self._usable():
            self.folder.mkdir(parents=True, exist_ok=True)
        kept = self.folder / f"{_KEPT}{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:32]}{suffix}"
        if lease := self._held(kept, size):
            return lease
        with self._locked(Path(f"{kept}{_CLAIM}")):
            if lease := self._held(kept, size):  # another process has fetched it meanwhile
                return lease
            return self._fetch(kept, size, fill)

    def _held(self, kept: Path, size: int) -> Lease | None:
        """A file that is there, locked and marked as used now."""
        with self._usable():
            try:
                handle = os.open(kept, os.O_RDONLY)
            except FileNotFoundError:
                return None
            lease = Lease(kept, handle)
            fcntl.flock(handle, fcntl.LOCK_SH)
            found = os.fstat(handle)
            if found.st_nlink == 0 or found.st_size != size:  # removed just now, or cut by somebody
                lease.close()
                return None
            os.utime(handle)
            return lease

    def _fetch(self, kept: Path, size: int, fill: Callable[[BinaryIO], None]) -> Lease | None:
        aside = kept.with_name(f"{kept.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
        with self._usable(), self._locked(self.folder / f"{_KEPT}all{_LOCK}"):
            if not self._make_room(size):
                return None
            handle = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(handle, fcntl.LOCK_SH)
            os.ftruncate(handle, size)  # counts from now on
        lease = Lease(kept, handle)
        try:
            with os.fdopen(os.dup(handle), "r+b") as file:
                fill(file)
            with self._usable():
                aside.replace(kept)
        except BaseException as error:
            lease.close()
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in _FULL:
                return None
            raise
        return lease

    def _make_room(self, size: int) -> bool:
        """Remove files that nobody reads, the least recently used first, until there is room; says whether there is."""
        files = sorted(self._files(), key=lambda one: one[0])
        taken = sum(bytes_ for _, bytes_, _ in files)
        # What a process that died was fetching is of no use, however new.
        for _, bytes_, path in sorted(files, key=lambda one: one[2].suffix != TEMPORARY_SUFFIX):
            if path.suffix != TEMPORARY_SUFFIX and taken + size <= self.size:
                break
            if _removed(path):
                taken -= bytes_
        return taken + size <= self.size

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """When each file was used, its bytes and its path."""
        with os.scandir(self.folder) as found:
            for one in found:
                if one.name.startswith(_KEPT) and not one.name.endswith((_LOCK, _CLAIM)):
                    with contextlib.suppress(FileNotFoundError):
                        stat = one.stat(follow_symlinks=False)
                        yield stat.st_mtime_ns, stat.st_size, Path(one.path)

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Be the only process in the block, of those on this machine that name the same file."""
        while True:
            with self._usable():
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if os.fstat(handle).st_nlink == 0:  # whoever had it has removed it
                    continue
                try:
                    yield
                finally:
                    if path.name.endswith(_CLAIM):
                        path.unlink(missing_ok=True)
                return
            finally:
                os.close(handle)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise DataError(
                f"{self.folder}: cannot be used to keep files: {error.strerror or error}; name another `cache`",
                settings=["cache"],
            ) from error


class Lease:
    """A file of the cache that stays while this is open; a context manager.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle: int | None = handle

    def close(self) -> None:
        """Let the file be removed where its room is needed."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _removed(path: Path) -> bool:
    """Remove a file unless somebody reads it; says whether it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return not path.exists()
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:  # it is being read
        return False
    finally:
        os.close(handle)
    return True
