"""What gives a training its batches."""

from __future__ import annotations

from typing import Protocol, TypeVar

T = TypeVar("T")


class Source(Protocol[T]):
    """Gives batches, each a function of its place in the training alone, so that a resumed run sees the same."""

    def batch(self, step: int) -> list[T]:
        """What a process computes of an optimiser step, counted from the beginning of the training."""
        ...
