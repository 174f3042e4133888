"""Batches for one of several processes, made while the network is busy."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmeec.training.clips.source import Source
    from lmeec.training.group import Group

T = TypeVar("T")

_AHEAD = 2


@contextmanager
def batches(source: Source[T], steps: range) -> Iterator[Iterator[list[T]]]:
    """The batches of successive steps; those ahead are made in a thread, one after the other.

    Raises:
        Exception: whatever the source raises, at the step where it does.
    """
    with ThreadPoolExecutor(1, "batches") as thread:

        def made() -> Iterator[list[T]]:
            waiting: list[Future[list[T]]] = []
            for step in steps:
                waiting.append(thread.submit(source.batch, step))
                if len(waiting) > _AHEAD:
                    yield waiting.pop(0).result()
            yield from (one.result() for one in waiting)

        try:
            yield made()
        finally:
            thread.shutdown(cancel_futures=True)


def share(places: Sequence[int], group: Group) -> list[int]:
    """The places of a batch that a process computes."""
    return list(places[group.rank :: group.workers])


class SharedSource(Generic[T]):
    """Gives every process its share of a source's batches; the source makes all of them in each process.

    Args:
        source: makes whole batches.
        group: this process.
    """

    def __init__(self, source: Source[T], group: Group) -> None:
        self._source, self._group = source, group

    def batch(self, step: int) -> list[T]:
        """See `Source`."""
        clips = self._source.batch(step)
        return [clips[place] for place in share(range(len(clips)), self._group)]
