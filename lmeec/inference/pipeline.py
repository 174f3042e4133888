"""Stages that overlap: each runs in a thread of its own, a bounded number of items ahead of the next."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_POLL_S = 0.1


@dataclass
class StageTimes:
    """Where a run's time went.

    Attributes:
        busy: seconds that each stage worked, by name; stages overlap, so they add up to more than the wall time.
    """

    busy: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds of work; a stage is counted by one thread at a time."""
        self.busy[stage] = self.busy.get(stage, 0.0) + seconds

    def merge(self, other: StageTimes) -> None:
        """Count another run's seconds as well."""
        for stage, seconds in other.busy.items():
            self.add(stage, seconds)


class _Waited(threading.local):
    """Seconds that the current thread has waited for an earlier stage."""

    seconds: float = 0.0


_waited = _Waited()


class Stage(Generic[T]):
    """Runs an iterable in a thread; iterate over the stage to take its items. A context manager.

    The thread stops, with the error, when the iterable raises: the error is raised where items are taken. Leaving the
    context stops the thread and waits for it; nested stages stop from the last to the first.

    Args:
        name: of the stage and its thread.
        items: what the stage computes; advanced in the stage's thread only.
        ahead: at most so many items wait to be taken.
        times: counts the seconds that computing the items took, without waiting for earlier stages.
    """

    def __init__(self, name: str, items: Iterable[T], ahead: int, times: StageTimes) -> None:
        self._name = name
        self._items = items
        self._times = times
        self._queue: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=ahead)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lmeec-{name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        while True:
            start = time.perf_counter()
            more, item = self._take()
            _waited.seconds += time.perf_counter() - start
            if more:
                yield item
            elif isinstance(item, BaseException):
                raise item
            else:
                return

    def _take(self) -> tuple[bool, T | BaseException | None]:
        while True:
            try:
                return self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                if self._stopping.is_set():
                    return False, None

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            for item in self._timed():
                if not self._put((True, item)):
                    break
        except BaseException as error:
            end = error
        self._put((False, end))

    def _timed(self) -> Iterator[T]:
        iterator = iter(self._items)
        while True:
            start, waited = time.perf_counter(), _waited.seconds
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._times.add(self._name, time.perf_counter() - start - (_waited.seconds - waited))
            yield item

    def _put(self, entry: tuple[bool, T | BaseException | None]) -> bool:
        """Hand an item on; False when nobody wants it any more."""
        while not self._stopping.is_set():
            try:
                self._queue.put(entry, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False
