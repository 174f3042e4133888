"""The Ray actor of a worker: holds the models and turns a job into a stream of messages."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from lmeec.config import Direction
from lmeec.runs.heartbeat import PLAN_FILE
from lmeec.runs.outcome import JobError, ModelInfo, PartResult

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from lmeec.data.takes import Take
    from lmeec.files.locations import Location
    from lmeec.runs.jobs import Job
    from lmeec.runs.worker import Worker
    from lmeec.tables import RunMetadata

_MESSAGE_EVERY_S = 0.5


@dataclass(frozen=True)
class Ready:
    """A worker has loaded its models."""

    node: str
    pid: int
    models: dict[Direction, ModelInfo]


@dataclass(frozen=True)
class Unfit:
    """A worker can do no job of this run, for a reason that others may not share."""

    reason: str


Message: TypeAlias = int | PartResult | JobError | Unfit
"""Predictions made, or how a job ended."""


class WorkerActor:
    """A worker in a process of its own.

    Args:
        make_worker: loads the models.
        threads: of torch.
    """

    def __init__(self, make_worker: Callable[[], Worker], threads: int) -> None:
        self._make_worker = make_worker
        self._threads = threads
        self._worker: Worker | None = None

    def start(self) -> Ready:
        """Load the models; not in the constructor, so that an error arrives as it is."""
        if self._worker is None:
            torch = sys.modules.get("torch")
            if torch is not None:  # who makes a worker that needs it has imported it
                torch.set_num_threads(self._threads)
            self._worker = self._make_worker()
        return Ready(socket.gethostname(), os.getpid(), self._worker.describe())

    def predict(self, take: Take, job: Job, directory: Location, run: RunMetadata) -> Iterator[Message]:
        """Do a job; the last message says how it ended."""
        if not (directory / PLAN_FILE).exists():
            yield Unfit(
                f"{directory} is not the same folder on {socket.gethostname()}: with several machines, results must be "
                "on a file system that they share, or in an object store"
            )
            return
        assert self._worker is not None
        try:
            steps = self._worker.predict_part(take, job, directory, run)
            result = yield from _seldom(steps)
        except Exception as error:
            yield JobError.of(error)
        else:
            yield result


def _seldom(steps: Generator[int, None, PartResult]) -> Generator[int, None, PartResult]:
    """Add numbers up, so that a message is worth sending."""
    made, sent = 0, time.monotonic()
    while True:
        try:
            made += next(steps)
        except StopIteration as end:
            if made:
                yield made
            result: PartResult = end.value
            return result
        if time.monotonic() - sent > _MESSAGE_EVERY_S:
            yield made
            made, sent = 0, time.monotonic()
