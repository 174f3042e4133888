"""A file of a store as a seekable one, of which little more is fetched than is read."""

from __future__ import annotations

import io
import os
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from lmeec.files.remote.stores import OpenedFile

_LEAST, _MOST = 2**17, 2**22
"""Bytes of a request after a jump, and of one where reading goes on and on: each is twice as long as the one before."""

_GAP = 2**18
"""Bytes left out by a jump that still counts as reading on: asking anew takes longer than these."""

_KEPT = 2**23
"""Bytes of earlier requests that are kept."""


class RangeReader(io.RawIOBase):
    """Reads a file by ranges.

    A request after a jump is short, as who jumps reads little; where reading goes on from one to the next they grow.
    Who knows what will be read says so with `expect`, and it is one request. What a request brought stays for a while,
    so that reading the index of a video twice costs it once.

    Args:
        opened: The file.

    Attributes:
        failure: The first error of a read, which whoever called may have taken for the end of the file.
    """

    def __init__(self, opened: OpenedFile) -> None:
        self._opened = opened
        self._size = opened.entry.size
        self._place = 0
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._next = _LEAST
        self._expected: tuple[int, int] = (0, 0)
        self.failure: OSError | None = None

    def expect(self, start: int, stop: int) -> None:
        """Say that a range will be read next: from where a read is not at hand, it is fetched to the range's end."""
        self._expected = (start, min(stop, self._size))

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Give the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere; nothing is read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"seek to {base + offset}, before the beginning")
        self._place = base + offset
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read up to the end of what is at hand, or of a request."""
        view = memoryview(buffer).cast("B")
        length = min(len(view), self._size - self._place)
        if length <= 0:
            return 0
        start, piece = self._piece(length)
        data = piece[self._place - start : self._place - start + length]
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def _piece(self, length: int) -> tuple[int, bytes]:
        """What is at hand of the next byte and those after it, fetched if nothing is."""
        for number, (start, piece) in enumerate(self._pieces):
            if start <= self._place < start + len(piece):
                if number:
                    del self._pieces[number]
                    self._pieces.appendleft((start, piece))
                return start, piece
        follows = any(0 <= self._place - start - len(piece) <= _GAP for start, piece in self._pieces)
        self._next = min(2 * self._next, _MOST) if follows else _LEAST
        stop = self._place + max(length, self._next)
        first, last = self._expected
        if first <= self._place < last:
            stop = max(self._place + length, min(last, self._place + _KEPT))
        stop = min([stop, self._size, *(start for start, _ in self._pieces if start > self._place)])
        try:
            piece = self._opened.fetch(self._place, stop)
        except OSError as error:
            self.failure = self.failure or error
            raise
        self._pieces.appendleft((self._place, piece))
        while len(self._pieces) > 1 and sum(len(one) for _, one in self._pieces) > _KEPT:
            self._pieces.pop()
        return self._pieces[0]
