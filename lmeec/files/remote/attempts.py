"""Asking a store again where that can help, and its failures as the operating system's errors."""

from __future__ import annotations

import errno
import random
import time
from typing import TYPE_CHECKING, TypeVar

from lmeec.files.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

ATTEMPTS = 5
"""How often a store is asked before it counts as failed."""

FIRST_WAIT_S = 0.5
"""Seconds before the second attempt; twice as many before each that follows, and a random share less."""

CONNECT_WITHIN_S, ANSWER_WITHIN_S = 10.0, 30.0
"""Seconds in which a connection must stand, and in which something must arrive."""

_LONGEST = 200
_MEND = (
    "check the credentials of the environment (for S3 AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) and "
    "that they may list and read there"
)
_LASTING = {
    errno.ENOENT: "there is no such file or bucket",
    errno.EACCES: f"access is denied; {_MEND}",
    errno.ESTALE: "it was changed while it was read",
}
_LASTING_KINDS = (ValueError, TypeError, NotImplementedError, IsADirectoryError, NotADirectoryError, ImportError)
_ANSWERS = {401: errno.EACCES, 403: errno.EACCES, 404: errno.ENOENT, 410: errno.ENOENT, 412: errno.ESTALE}
"""Status of HTTP to what it means; others than these of the 4xx are as lasting, others of all may pass."""

_MAY_PASS = (408, 425, 429)


class StatusError(Exception):
    """A web server's answer that is no success.

    Args:
        status: of HTTP.
        reason: the server's words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


def changed(place: object) -> OSError:
    """The error of a file that became another one while it was read."""
    return OSError(errno.ESTALE, _LASTING[errno.ESTALE], str(place))


def tried(ask: Callable[[], T], place: object) -> T:
    """Ask a store, again after a while if the failure may pass.

    Args:
        ask: Asks; may be called several times.
        place: What is asked for; its text goes into errors and must hold no secrets.

    Raises:
        OSError: It failed; `errno` says how (ENOENT, EACCES, ESTALE if it changed, EIO if the store does not answer),
            `strerror` is for the user.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1))
        try:
            return ask()
        except Exception as error:
            number = _lasting(error)
            if number is not None:
                raise OSError(number, _LASTING.get(number) or _said(error), str(place)) from None
            failure = error
    raise OSError(
        errno.EIO, f"the store gave no answer in {ATTEMPTS} attempts ({_said(failure)}); try again later", str(place)
    ) from None


def _lasting(error: Exception) -> int | None:
    """The number of an error that asking again does not mend; None if that may help."""
    if isinstance(error, StatusError):
        if error.status in _MAY_PASS or error.status >= 500:
            return None
        return _ANSWERS.get(error.status, errno.EPROTO)
    name = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return errno.ENOENT
    if isinstance(error, PermissionError) or "Credential" in name or name in ("ProfileNotFound", "TokenRetrievalError"):
        return errno.EACCES
    if name == "FileExpired" or getattr(error, "errno", None) == errno.ESTALE:  # of s3fs
        return errno.ESTALE
    if getattr(error, "errno", None) in (errno.EOPNOTSUPP, errno.EPROTO):
        return error.errno  # type: ignore[attr-defined,no-any-return]
    return errno.EINVAL if isinstance(error, _LASTING_KINDS) else None


def _said(error: BaseException) -> str:
    """What a library says, on one line, without what is secret."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    text = without_secrets(f"{type(error).__name__}: {text}".removesuffix(": "))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
