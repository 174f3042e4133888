"""Which store a protocol means, with the credentials of the environment."""

from __future__ import annotations

from typing import Any

from lmeec.files.remote.attempts import ANSWER_WITHIN_S, CONNECT_WITHIN_S
from lmeec.files.remote.stores import ObjectStore, Store, file_system, not_installed

_WEB, _S3 = ("http", "https"), ("s3", "s3a")
_CONNECTIONS = 64


def store_of(protocol: str) -> Store:
    """The store of a protocol.

    Raises:
        DataError: The protocol is unknown, or its file system not installed.
    """
    if protocol in _WEB:
        return _web()
    options: dict[str, Any] = {"use_listings_cache": False}  # others change what is there
    if protocol not in _S3:
        return ObjectStore(file_system(protocol, options))
    waits = {"connect_timeout": CONNECT_WITHIN_S, "read_timeout": ANSWER_WITHIN_S}
    options["config_kwargs"] = {**waits, "retries": {"total_max_attempts": 1}, "max_pool_connections": _CONNECTIONS}
    files = file_system(protocol, options)
    files.retries = 1  # who asks again, and after how long, is decided in one place
    return ObjectStore(files)


def _web() -> Store:
    try:
        from aiohttp import ClientTimeout

        from lmeec.files.remote.web import WebServer
    except ImportError as error:
        raise not_installed("https", error) from error
    timeout = ClientTimeout(total=None, sock_connect=CONNECT_WITHIN_S, sock_read=ANSWER_WITHIN_S)
    return WebServer(file_system("http", {"client_kwargs": {"trust_env": True, "timeout": timeout}}))
