"""Stages that overlap: each runs in a thread of its own, a bounded number of items ahead of the next."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")

_POLL_S = 0.1


class StageTimes:
    """Seconds that stages worked; stages overlap, so they add up to more than the wall time.

    Attributes:
        busy: seconds by stage.
    """

    def __init__(self) -> None:
        self.busy: dict[str, float] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Count seconds of work; a stage is counted by one thread at a time."""
        self.busy[stage] = self.busy.get(stage, 0.0) + seconds


@dataclass(frozen=True)
class Profile:
    """Where the time of a prediction went.

    Attributes:
        seconds: wall time.
        stages: seconds that each stage worked.
        network: seconds of the parts of the network.
        frames_decoded: frames that decoders gave, those on the way to the wanted ones too.
        bytes_read: bytes of compressed frames.
    """

    seconds: float = 0.0
    stages: Mapping[str, float] = field(default_factory=dict)
    network: Mapping[str, float] = field(default_factory=dict)
    frames_decoded: int = 0
    bytes_read: int = 0

    def __add__(self, other: Profile) -> Profile:
        return Profile(
            self.seconds + other.seconds,
            _sum(self.stages, other.stages),
            _sum(self.network, other.network),
            self.frames_decoded + other.frames_decoded,
            self.bytes_read + other.bytes_read,
        )


def _sum(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: a.get(name, 0.0) + b.get(name, 0.0) for name in {**a, **b}}


class _Waited(threading.local):
    """Seconds that the current thread has waited for an earlier stage."""

    seconds: float = 0.0


_waited = _Waited()


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


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
        self._queue: queue.Queue[_Item[T] | _End] = queue.Queue(maxsize=ahead)
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
            entry = self._take()
            _waited.seconds += time.perf_counter() - start
            if isinstance(entry, _Item):
                yield entry.value
            elif entry.error is not None:
                raise entry.error
            else:
                return

    def _take(self) -> _Item[T] | _End:
        while True:
            try:
                return self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                if self._stopping.is_set():
                    return _End()

    def _run(self) -> None:
        end = _End()
        try:
            for value in self._timed():
                if not self._put(_Item(value)):
                    break
        except BaseException as error:
            end = _End(error)
        self._put(end)

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

    def _put(self, entry: _Item[T] | _End) -> bool:
        """Hand an item on; False when nobody wants it any more."""
        while not self._stopping.is_set():
            try:
                self._queue.put(entry, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False
