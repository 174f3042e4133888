"""A file or folder named by a URL, for reading, with the part of `pathlib.Path` that reading needs."""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import io
import posixpath
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast
from urllib.parse import quote, unquote

from lmeec.errors import DataError
from lmeec.files.remote.attempts import changed
from lmeec.files.remote.protocols import store_of
from lmeec.files.remote.ranges import RangeReader
from lmeec.files.remote.stores import Entry
from lmeec.files.secrets import HIDDEN, USER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmeec.files.remote.cache import FileCache, Lease
    from lmeec.files.remote.stores import OpenedFile, Store

_WEB = ("http", "https")
_USER = re.compile(USER)
_USER_SAFE = ":@%!$&'()*+,;=~"
_LONGEST_SUFFIX = 12
_WORTH_KEEPING = 2**25  # bytes; a file that is kept takes a handle


class RemotePath:
    """A place in an object store or on a web server. Can be pickled, and is then asked for anew.

    What the store said of it stays with it, as a listing does with all that is reached from where it was made;
    `renewed` looks anew. Its text is for people: who asks, and with which signature, is left out of it.

    Args:
        url: The place.
        cache: Where whole files are kept; None reads the parts that are needed.

    Raises:
        DataError: The URL names no place, or holds credentials where the environment should.

    Example:
        >>> place = RemotePath("https://ann:pw@host/takes/bike%205/gp01.mp4?X-Amz-Signature=0a1b")
        >>> print(place, place.name, place.parent / "gp 02.mp4")
        https://***@host/takes/bike%205/gp01.mp4?*** gp01.mp4 https://***@host/takes/bike%205/gp%2002.mp4
    """

    def __init__(self, url: str, cache: FileCache | None = None) -> None:
        protocol, _, rest = url.partition("://")
        self.protocol = protocol.lower()
        self.cache = cache
        self._query = ""
        if self.protocol in _WEB:
            rest = rest.partition("#")[0]
            rest, _, self._query = rest.partition("?")
        user = found[0] if (found := _USER.match(rest)) else ""
        host, _, path = rest[len(user) :].partition("/")
        if user and self.protocol not in _WEB:
            raise DataError(
                f"{self.protocol}://{HIDDEN}@{host}: holds credentials; give them by the environment instead, for S3 "
                "as AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if not host:
            raise DataError(f"{self.protocol}://: names no place; write it as {self.protocol}://PLACE/FOLDER")
        self._user = quote(user, safe=_USER_SAFE)
        self._base = f"{host}/{path}".rstrip("/")
        self._listing: _Listing | None = None
        self._entry: Entry | None = None
        self._copy: Any = None

    @property
    def url(self) -> str:
        """All of it, credentials included: for whoever connects, and nobody else."""
        return f"{self.protocol}://{self._user}{self._base}{'?' if self._query else ''}{self._query}"

    def __str__(self) -> str:
        user, query = HIDDEN + "@" if self._user else "", f"?{HIDDEN}" if self._query else ""
        return f"{self.protocol}://{user}{self._base}{query}"

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.url, self.cache, self._entry)

    @property
    def name(self) -> str:
        """The last part, empty for a whole store."""
        last = self._base.rpartition("/")[2] if "/" in self._base else ""
        return unquote(last) if self.protocol in _WEB else last

    @property
    def suffix(self) -> str:
        """What the name ends in."""
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in; a whole store is in itself."""
        return self._at(self._base.rpartition("/")[0] or self._base)

    @property
    def parts(self) -> tuple[str, ...]:
        """Host or bucket, folders and name."""
        return tuple(self._base.split("/"))

    def __truediv__(self, below: object) -> RemotePath:
        relative = str(below).lstrip("/")
        if self.protocol in _WEB:
            relative = quote(relative)
        host, _, path = self._base.partition("/")
        path = posixpath.normpath(posixpath.join("/", path, relative))
        return self._at(f"{host}{path}".rstrip("/"))

    def relative_to(self, folder: RemotePath) -> PurePosixPath:
        """The way from a folder that it is in."""
        return PurePosixPath(self._base).relative_to(folder._base)

    def absolute(self) -> Self:
        """It is."""
        return self

    def renewed(self) -> RemotePath:
        """The same place, of which nothing is known yet."""
        return _unpickled(self.url, self.cache, None)

    def entry(self) -> Entry:
        """What is there.

        Raises:
            OSError: Nothing, or the store does not say (`lmeec.files.remote.attempts.tried`).
        """
        if self._entry is None:
            listed = None if self._listing is None else self._listing.entry(self)
            self._entry = listed or self._store.entry(self.url, str(self))
        return self._entry

    def exists(self) -> bool:
        """Whether there is something.

        Raises:
            OSError: The store does not say.
        """
        try:
            self.entry()
        except FileNotFoundError:
            return False
        return True

    def is_file(self) -> bool:
        """Whether it is a file; raises as `exists`."""
        return self.exists() and not self.entry().is_folder

    def is_dir(self) -> bool:
        """Whether it is a folder; raises as `exists`."""
        return self.exists() and self.entry().is_folder

    def iterdir(self) -> Iterator[RemotePath]:
        """What is in the folder, listed once for all that is reached from here.

        Raises:
            FileNotFoundError: There is nothing.
            OSError: It cannot be listed.
        """
        listing = self._have_listing()
        for name in listing.children(self):
            yield self / name

    def list_below(self) -> None:
        """List all that is below the folder, in as few requests as the store has pages."""
        self._have_listing().fill(self)

    @property
    def is_known(self) -> bool:
        """Whether it is known what is there, so that `entry` does not ask."""
        return self._entry is not None

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """Files and folders in the folder whose names match; none where there is no folder."""
        with contextlib.suppress(FileNotFoundError):
            yield from (child for child in self.iterdir() if fnmatch.fnmatchcase(child.name, pattern))

    def open(self, mode: str = "rb", buffering: int = -1) -> BinaryIO:
        """Open the file for reading bytes, by ranges unless whole files are kept.

        Raises:
            OSError: It cannot be read.
        """
        if mode != "rb":
            raise ValueError(f"mode is {mode!r}, but places of URLs are read as 'rb' alone")
        local = self._copied()
        if local is not None:
            return local.open("rb")
        if (lease := self.lease()) is not None:
            with lease:
                return lease.path.open("rb")
        return cast("BinaryIO", io.BufferedReader(self.ranges()))

    def read_bytes(self) -> bytes:
        """All of it, fetched at once."""
        local = self._copied()
        if local is not None:
            return local.read_bytes()
        if (lease := self.lease()) is not None:
            with lease:
                return lease.path.read_bytes()
        gathered = io.BytesIO()
        self._opened().copy_to(gathered)
        return gathered.getvalue()

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of it, as text."""
        return self.read_bytes().decode(encoding)

    def ranges(self) -> RangeReader:
        """Open the file to read parts of it; raises as `open`."""
        opened = self._opened()
        if not opened.entry.in_ranges:
            opened.fetch(0, 1)
        return RangeReader(opened)

    def lease(self) -> Lease | None:
        """The whole file in the cache, fetched if need be; None without a cache, or where it has no room for it.

        Raises:
            DataError: The cache cannot be used.
            OSError: The file cannot be read.
        """
        if self.cache is None:
            return None
        entry = self.entry()
        if entry.is_folder:
            raise IsADirectoryError(errno.EISDIR, "is a folder, where a file is expected", str(self))
        # A signature changes with every answer of who gives it, the file does not.
        where = f"{self.protocol}://{self._base}" if entry.version else self.url
        suffix = self.suffix if len(self.suffix) <= _LONGEST_SUFFIX and self.suffix.isascii() else ""
        return self.cache.lease(
            f"{where}\0{entry.version}\0{entry.size}", entry.size, suffix, lambda file: self._opened().copy_to(file)
        )

    @contextlib.contextmanager
    def local(self) -> Iterator[Path]:
        """Have the whole file on this machine for the block: in the cache, or in a temporary one.

        A large one is kept as long as this place, as it may be asked for again.

        Raises:
            DataError: The cache cannot be used.
            OSError: The file cannot be read, or not be kept.
        """
        if (lease := self.lease()) is not None:
            with lease:
                yield lease.path
            return
        copy = self._copy
        if copy is None:
            copy = tempfile.NamedTemporaryFile(prefix="lmeec-", suffix=self.suffix)  # noqa: SIM115 - may go with this
            self._opened().copy_to(cast("BinaryIO", copy))
            copy.flush()
            if self.entry().size >= _WORTH_KEEPING:
                self._copy = copy
        yield Path(copy.name)

    def _copied(self) -> Path | None:
        return None if self._copy is None else Path(self._copy.name)

    def _opened(self) -> OpenedFile:
        """Begin to read the file that `entry` told of, and no other that took its place."""
        known = self.entry()
        if known.is_folder:
            raise IsADirectoryError(errno.EISDIR, "is a folder, where a file is expected", str(self))
        opened = self._store.open(self.url, str(self), known)
        if (opened.entry.version, opened.entry.size) != (known.version, known.size):
            raise changed(self)
        return opened

    @property
    def _store(self) -> Store:
        return store_of(self.protocol)

    def _have_listing(self) -> _Listing:
        if self._listing is None:
            self._listing = _Listing(self._store)
        return self._listing

    def _at(self, base: str) -> RemotePath:
        place = object.__new__(RemotePath)
        place.protocol, place.cache = self.protocol, self.cache
        place._user, place._base, place._query = self._user, base, ""
        place._listing, place._entry, place._copy = self._listing, None, None
        return place


def _unpickled(url: str, cache: FileCache | None, entry: Entry | None) -> RemotePath:
    place = RemotePath(url, cache)
    place._entry = entry
    return place


class _Listing:
    """What folders hold, of those that were listed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folders: dict[str, dict[str, Entry]] = {}
        self._whole: list[str] = []

    def children(self, folder: RemotePath) -> dict[str, Entry]:
        """Names and entries of a folder.

        Raises:
            FileNotFoundError: There is none.
        """
        key = folder._base
        if key not in self._folders and not self._is_known(key):
            self._folders[key] = self._store.children(folder.url, str(folder))
        if not self._folders.get(key):
            raise FileNotFoundError(errno.ENOENT, "there is no such folder, or nothing in it", str(folder))
        return self._folders[key]

    def entry(self, place: RemotePath) -> Entry | None:
        """What was listed of a place; None if nobody has listed it.

        Raises:
            FileNotFoundError: It was looked for and is not there.
        """
        if self._folders.get(place._base):
            return Entry(is_folder=True)
        folder, _, name = place._base.rpartition("/")
        if folder not in self._folders and not self._is_known(place._base):
            return None
        entry = self._folders.get(folder, {}).get(name)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "there is no such file", str(place))
        return entry

    def fill(self, root: RemotePath) -> None:
        """List all below a folder, unless that is known."""
        if self._is_known(root._base):
            return
        folders: dict[str, dict[str, Entry]] = {root._base: {}}
        for path, entry in self._store.below(root.url, str(root)):
            *above, name = path.split("/")
            if any(part in ("", ".", "..") for part in (*above, name)):  # what marks a folder, or is no name of ours
                continue
            folder = root._base
            for part in above:
                folders[folder].setdefault(part, Entry(is_folder=True))
                folder = f"{folder}/{part}"
                folders.setdefault(folder, {})
            folders[folder][name] = entry
        self._folders |= folders
        self._whole.append(root._base)

    def _is_known(self, base: str) -> bool:
        return any(base == whole or base.startswith(f"{whole}/") for whole in self._whole)
