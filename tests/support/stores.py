"""Servers of files that count what they send, and fail as networks do."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SAID = {"500": b"InternalError", "403": b"AccessDenied"}
_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


@dataclass
class Traffic:
    """What a server was asked for, and sent.

    Attributes:
        requests: Method, path with query, and range of each request.
        sent: Bytes of answers' bodies.
        faults: What to do to requests: is given method and path, and names a status, "stall", "cut", "slow" or None.
    """

    requests: list[tuple[str, str, str]] = field(default_factory=list)
    sent: int = 0
    faults: Callable[[str, str], str | None] = lambda _method, _path: None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clear(self) -> None:
        self.requests.clear()
        self.sent = 0

    def of(self, method: str, name: str = "") -> list[tuple[str, str, str]]:
        return [one for one in self.requests if one[0] == method and name in one[1]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    traffic: Traffic
    stalled_s = 5.0
    latency_s = 0.0

    def log_message(self, *_arguments: object) -> None:
        pass

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError

    def handle_one(self) -> None:
        with self.traffic.lock:
            self.traffic.requests.append((self.command, self.path, self.headers.get("Range", "")))
        time.sleep(self.latency_s)
        fault = self.traffic.faults(self.command, self.path)
        if fault in _SAID:
            self.send(int(fault), {}, b"<Error><Code>%s</Code></Error>" % _SAID[fault])
            return
        if fault == "stall":
            time.sleep(self.stalled_s)
            self.close_connection = True
            return
        status, headers, body = self.answer()
        self.send(status, headers, body, cut=fault == "cut", slow=fault == "slow")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815 - names of http.server

    def send(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False, slow: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut:
            body = body[: len(body) // 2]
            self.close_connection = True
        with contextlib.suppress(OSError):  # who asked has gone
            for start in range(0, len(body), 2**14):
                self.wfile.write(body[start : start + 2**14])
                with self.traffic.lock:
                    self.traffic.sent += len(body[start : start + 2**14])
                if slow:
                    time.sleep(0.05)
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)


class _Files(_Handler):
    root: Path
    in_ranges = True
    versions = True

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        path = self.root / unquote(urlsplit(self.path).path).lstrip("/")
        if not path.is_file():
            return 404, {}, b"no such page"
        content = path.read_bytes()
        headers = {}
        if self.versions:
            headers = {
                "ETag": f'"{hash(content):x}"',
                "Last-Modified": email.utils.formatdate(path.stat().st_mtime, usegmt=True),
            }
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if found is None or not self.in_ranges:
            return 200, headers, content
        start, stop = int(found[1]), min(int(found[2] or len(content)) + 1, len(content))
        if start >= len(content):
            return 416, headers, b""
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return 206, headers, content[start:stop]


class _Before(_Handler):
    host: str

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        behind = http.client.HTTPConnection(self.host)
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            behind.request(self.command, self.path, body, given)
            reply = behind.getresponse()
            content = reply.read()
            headers = {name: value for name, value in reply.getheaders() if name.lower() not in _HOP}
            if self.command == "HEAD" and (length := reply.getheader("Content-Length")):
                headers["Content-Length"] = length
            return reply.status, headers, content
        finally:
            behind.close()


@contextlib.contextmanager
def _served(handler: type[_Handler], **settings: Any) -> Iterator[tuple[str, Traffic]]:
    traffic = Traffic()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"traffic": traffic, **settings}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", traffic
    finally:
        server.shutdown()
        server.server_close()


def serve_files(root: Path, *, in_ranges: bool = True, versions: bool = True) -> Any:
    """Serve a folder on the web; gives the address and what is asked for, in a context."""
    return _served(_Files, root=root, in_ranges=in_ranges, versions=versions)


def stand_before(address: str, *, stalled_s: float = 5.0, latency_s: float = 0.0) -> Any:
    """Stand before another server, as that of S3; gives the address and what is asked for, in a context."""
    return _served(_Before, host=urlsplit(address).netloc, stalled_s=stalled_s, latency_s=latency_s)


def upload(folder: Path, url: str) -> None:
    """Copy a folder, or a file, to an object store."""
    import fsspec

    files, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    files.put(str(folder), path, recursive=folder.is_dir())
