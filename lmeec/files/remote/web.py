"""Files on web servers, by ranges of HTTP (RFC 9110, section 14)."""

from __future__ import annotations

import contextlib
import errno
import re
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from fsspec.asyn import sync

from lmeec.files.remote.attempts import StatusError, changed, tried
from lmeec.files.remote.stores import Entry, OpenedFile, copy_in_ranges, no_ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp import ClientResponse
    from fsspec import AbstractFileSystem

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_PIECE = 2**20
_SAFE = "%/:=&?~#+!$,;'@()*[]"  # what stands in a URL that is one already


class WebServer:
    """A `Store` of one server's files, whose folders nobody can list.

    Args:
        files: fsspec's file system, whose connections are used.
    """

    def __init__(self, files: AbstractFileSystem) -> None:
        self._files: Any = files

    def entry(self, url: str, shown: str) -> Entry:
        """See `Store`. Asks for the first byte: a signed URL allows no other question."""

        def ask() -> Entry:
            entry: Entry = self._sync(self._entry, url)
            return entry

        return tried(ask, shown)

    def children(self, url: str, shown: str) -> dict[str, Entry]:
        """See `Store`."""
        raise OSError(
            errno.EOPNOTSUPP, "a web server does not tell what is in a folder; name a manifest of the takes", shown
        )

    def below(self, url: str, shown: str) -> Iterator[tuple[str, Entry]]:
        """See `Store`."""
        yield from self.children(url, shown).items()

    def open(self, url: str, shown: str, known: Entry) -> OpenedFile:
        """See `Store`. Nothing is asked: what is fetched shows whether it is of another version."""
        return _OpenedPage(self, url, shown, known)

    def fetch(self, url: str, start: int, stop: int, version: str, shown: str) -> bytes:
        """Read a range of a file of a known version."""

        def ask() -> bytes:
            data: bytes = self._sync(self._fetch, url, start, stop, version, shown)
            return data

        return tried(ask, shown)

    def copy(self, url: str, entry: Entry, file: BinaryIO, shown: str) -> None:
        """Write a file of a server without ranges to a local one, from the beginning after each failure."""

        def ask() -> None:
            file.seek(0)
            file.truncate()
            self._sync(self._copy, url, entry, file, shown)

        tried(ask, shown)

    def _sync(self, ask: Any, *given: Any) -> Any:
        return sync(self._files.loop, ask, *given)

    async def _entry(self, url: str) -> Entry:
        async with self._asked(url, 0, 1) as reply:
            version = _version(reply)
            if reply.status == 416:  # it has no first byte
                return Entry(is_folder=False, version=version)
            if reply.status == 206 and (found := _RANGE.fullmatch(reply.headers.get("Content-Range", ""))):
                return Entry(is_folder=False, size=int(found[3]), version=version)
            size = reply.headers.get("Content-Length", "")
            if not size.isdecimal() or reply.headers.get("Content-Encoding", "identity") != "identity":
                raise OSError(errno.EPROTO, "its server does not say how large it is")
            return Entry(is_folder=False, size=int(size), version=version, in_ranges=int(size) == 0)

    async def _fetch(self, url: str, start: int, stop: int, version: str, shown: str) -> bytes:
        async with self._asked(url, start, stop) as reply:
            if version and _version(reply) != version:
                raise changed(shown)
            if reply.status != 206 or not reply.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise no_ranges(shown)
            data = b"".join([piece async for piece in _pieces(reply, stop - start)])
            if len(data) != stop - start:
                raise ConnectionError(f"{len(data)} of {stop - start} bytes arrived")
            return data

    async def _copy(self, url: str, entry: Entry, file: BinaryIO, shown: str) -> None:
        async with self._asked(url) as reply:
            if entry.version and _version(reply) != entry.version:
                raise changed(shown)
            arrived = 0
            async for piece in _pieces(reply, entry.size):
                arrived += file.write(piece)
            if arrived != entry.size:
                raise ConnectionError(f"{arrived} of {entry.size} bytes arrived")

    @contextlib.asynccontextmanager
    async def _asked(self, url: str, start: int | None = None, stop: int = 0) -> AsyncIterator[ClientResponse]:
        from yarl import URL

        session = await self._files.set_session()
        headers = {"Accept-Encoding": "identity"}
        if start is not None:
            headers["Range"] = f"bytes={start}-{stop - 1}"
        reply = await session.get(URL(quote(url, safe=_SAFE), encoded=True), headers=headers)
        try:
            if reply.status >= 300 and not (reply.status == 416 and start == 0):
                raise StatusError(reply.status, str(reply.reason))
            yield reply
        finally:
            reply.close()  # and not what it would still send


async def _pieces(reply: ClientResponse, most: int) -> AsyncIterator[bytes]:
    """What arrives, up to a number of bytes."""
    left = most
    while left > 0 and (piece := await reply.content.read(min(left, _PIECE))):
        left -= len(piece)
        yield piece


def _version(reply: ClientResponse) -> str:
    return (reply.headers.get("ETag") or reply.headers.get("Last-Modified") or "").strip('"')


class _OpenedPage:
    """A file that is read as it was when it was opened, or not at all, if the server tells versions apart."""

    def __init__(self, server: WebServer, url: str, shown: str, entry: Entry) -> None:
        self._server, self._url, self._shown = server, url, shown
        self.entry = entry

    def fetch(self, start: int, stop: int) -> bytes:
        """See `OpenedFile`."""
        if not self.entry.in_ranges:
            raise no_ranges(self._shown)
        return self._server.fetch(self._url, start, stop, self.entry.version, self._shown)

    def copy_to(self, file: BinaryIO) -> None:
        """See `OpenedFile`."""
        if self.entry.in_ranges:
            copy_in_ranges(self, file)
        else:
            self._server.copy(self._url, self.entry, file, self._shown)
