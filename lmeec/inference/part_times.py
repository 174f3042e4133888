"""How long the parts of the network take, measured without making a GPU wait."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import device as Device


class PartTimes:
    """Seconds that parts of the network took.

    A GPU computes while the host goes on. Marks are put into its own queue, at the start and the end of each part, and
    what lies between is asked for when it has come by them.
    """

    def __init__(self) -> None:
        self._busy: dict[str, float] = {}
        self._marks: deque[tuple[str, torch.cuda.Event, torch.cuda.Event]] = deque()

    @contextmanager
    def part(self, name: str, device: Device) -> Iterator[None]:
        """Count what is computed in the block, by one thread at a time."""
        if device.type != "cuda":
            start = perf_counter()
            yield
            self._add(name, perf_counter() - start)
            return
        stream = torch.cuda.current_stream(device)
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record(stream)
        yield
        last.record(stream)
        self._marks.append((name, first, last))
        while self._marks[0][2].query() and len(self._marks) > 1:
            self._count(*self._marks.popleft())

    @property
    def busy(self) -> Mapping[str, float]:
        """Seconds by part; waits for a GPU that has not finished one."""
        while self._marks:
            self._marks[0][2].synchronize()
            self._count(*self._marks.popleft())
        return self._busy

    def _count(self, name: str, first: torch.cuda.Event, last: torch.cuda.Event) -> None:
        self._add(name, first.elapsed_time(last) / 1000)

    def _add(self, name: str, seconds: float) -> None:
        self._busy[name] = self._busy.get(name, 0.0) + seconds
