"""Tensors that stay where they are: numbered rows that are written in place, freed and given again.

What grows and shrinks with every step leaves holes of all sizes in an allocator's memory, and a row that is a view of
a batch keeps the whole batch.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

K = TypeVar("K", bound=Hashable)

Commit = Callable[[], None]
"""Stores what was computed. It allocates nothing, so what it stores is stored whole or, if never called, not at all."""


class Slots(Generic[K]):
    """A row number for each key that needs one, the lowest free one first.

    Attributes:
        most: as many rows as were ever in use at once.
    """

    def __init__(self) -> None:
        self.most = 0
        self._of: dict[K, int] = {}
        self._free: list[int] = []

    def __contains__(self, key: K) -> bool:
        return key in self._of

    def __iter__(self) -> Iterator[K]:
        return iter(self._of)

    def __getitem__(self, key: K) -> int:
        return self._of[key]

    def take(self, keys: Sequence[K]) -> None:
        """Give a row to each key that has none."""
        for key in keys:
            if key in self._of:
                continue
            if not self._free:
                self._free.append(self.most)
                self.most += 1
            self._of[key] = heapq.heappop(self._free)

    def of(self, keys: Sequence[K]) -> list[int]:
        """The rows of keys."""
        return [self._of[key] for key in keys]

    def free(self, key: K) -> None:
        """Take a key's row back, if it has one."""
        if key in self._of:
            heapq.heappush(self._free, self._of.pop(key))


class Rows:
    """One tensor [rows, *shape, ...] that is made with the first values, and anew only to hold more rows than ever.

    Args:
        shape: of a row, before the dimensions of a value.
    """

    def __init__(self, *shape: int) -> None:
        self._shape = shape
        self._tensor: Tensor | None = None

    @property
    def tensor(self) -> Tensor:
        """The tensor, once there are values."""
        if self._tensor is None:
            raise ValueError("nothing was stored yet")
        return self._tensor

    def sized(self, rows: int, like: Tensor) -> Tensor:
        """The tensor, with room for so many rows of values of the type and shape of `like` [R, ...]."""
        held = self._tensor
        if held is None or len(held) < rows:
            grown = like.new_empty(rows, *self._shape, *like.shape[1:])
            if held is not None:
                grown[: len(held)].copy_(held)
            self._tensor = held = grown
        return held
