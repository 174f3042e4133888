"""Processes that compute the rows of an import."""

from __future__ import annotations

import multiprocessing
from collections import deque
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

import cv2

from lmeec.importing.pairs import ImportTask, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

_TASKS_AHEAD = 64
_WORTH_WORKERS = 2_000  # frames; fewer take less time than starting processes


def _start_method() -> multiprocessing.context.BaseContext:
    # Forking this process, with the threads that libraries have started in it, could hang; a server without any is
    # forked instead, once it has imported what workers need.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([rows_of.__module__])
    return context


def _one_thread() -> None:
    cv2.setNumThreads(1)


class ImportWorkers:
    """Processes that are started once there is enough to do; what waits for them is bounded."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: Executor | None = None

    def __enter__(self) -> ImportWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def rows(self, tasks: Iterable[ImportTask]) -> Iterator[tuple[ImportTask, pa.RecordBatch]]:
        """Yield every task with its rows, in order."""
        tasks = iter(tasks)
        first, frames = [], 0
        for task in tasks:
            first.append(task)
            frames += len(task.frames)
            if frames >= _WORTH_WORKERS and self._processes > 1:
                break
        else:
            yield from ((task, rows_of(task)) for task in first)
            return
        self._pool = ProcessPoolExecutor(self._processes, mp_context=_start_method(), initializer=_one_thread)
        waiting: deque[tuple[ImportTask, Future[pa.RecordBatch]]] = deque()
        for task in chain(first, tasks):
            waiting.append((task, self._pool.submit(rows_of, task)))
            if len(waiting) > _TASKS_AHEAD:
                done, result = waiting.popleft()
                yield done, result.result()
        for done, result in waiting:
            yield done, result.result()
