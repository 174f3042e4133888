"""Object pointers of the latest steps of many tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.memory.storage import Commit, Rows, Slots
from lmeec.model.transfer import index_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class PointerBank:
    """A ring of pointers for each track, all in one tensor.

    Args:
        size: pointers in a ring; those of so many latest steps can be read.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._slots: Slots[int] = Slots()
        self._rings = Rows(size)

    def open(self, tracks: Sequence[int]) -> None:
        """Make room for tracks."""
        self._slots.take(tracks)

    def add(self, tracks: Sequence[int], steps: Sequence[int], pointers: Tensor) -> Commit:
        """Prepare to store pointers [R, C] of the tracks' steps."""
        rings = self._rings.sized(self._slots.most, pointers).flatten(0, 1)
        index = index_on(pointers.device, [self._place(*key) for key in zip(tracks, steps, strict=True)])

        def commit() -> None:
            rings.index_copy_(0, index, pointers)

        return commit

    def read(self, tracks: Sequence[int], steps: Sequence[Sequence[int]]) -> Tensor:
        """Pointers of p steps of each track, [R, p, C]."""
        rings = self._rings.tensor.flatten(0, 1)
        places = [self._place(track, step) for track, some in zip(tracks, steps, strict=True) for step in some]
        return rings.index_select(0, index_on(rings.device, places)).view(len(tracks), -1, rings.shape[-1])

    def clear(self, track: int) -> None:
        """Free a track's ring."""
        self._slots.free(track)

    def _place(self, track: int, step: int) -> int:
        return self._size * self._slots[track] + step % self._size
