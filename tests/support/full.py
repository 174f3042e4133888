"""A disk with little room, as the system itself tells of it."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def little_room(size: int) -> Iterator[None]:
    """Let every file that is written in the block end at `size` bytes.

    Past that, writing fails as on a full disk, if under another name ("File too large"): Python ignores the signal.
    """
    before = leave_room(size)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def leave_room(size: int) -> tuple[int, int]:
    """The same from here on in this process; gives what `resource.setrlimit` takes back."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    return before
