"""Who predicts the jobs of a run: this process, or others behind the same protocol."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Protocol

from lmeec.runs.outcome import JobError, ModelInfo, PartResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lmeec.config import Direction, PredictConfig
    from lmeec.runs.ledger import Assignment, Ledger
    from lmeec.runs.worker import Worker


class Executor(Protocol):
    """Predicts the jobs of a run, in this process or in others."""

    config: PredictConfig
    workers: int

    def describe(self) -> Mapping[Direction, ModelInfo]:
        """The models that the workers have loaded."""

    def run(self, ledger: Ledger) -> None:
        """Do jobs until `ledger` has no more to give and all that were begun are settled."""


class InProcess:
    """Predicts in this process, one job after the other.

    Args:
        worker: predicts.
    """

    workers = 1
    _NAME = "0"

    def __init__(self, worker: Worker) -> None:
        self.config = worker.config
        self._worker = worker

    def describe(self) -> Mapping[Direction, ModelInfo]:
        """See `Executor`."""
        return self._worker.describe()

    def run(self, ledger: Ledger) -> None:
        """See `Executor`."""
        models = self.describe()
        while (assignment := ledger.next_job()) is not None:
            job = assignment.job
            ledger.started(self._NAME, job, socket.gethostname(), models[job.direction].computes_on)
            try:
                result = self._predict(assignment, ledger, lambda made: ledger.advanced(self._NAME, made))
            except Exception as error:
                ledger.failed(self._NAME, job, JobError.of(error))
            else:
                ledger.finished(self._NAME, job, result)

    def _predict(self, assignment: Assignment, ledger: Ledger, advanced: Callable[[int], None]) -> PartResult:
        job = assignment.job
        steps = self._worker.predict_part(assignment.take, job, ledger.directory, ledger.run)
        while True:
            try:
                advanced(next(steps))
            except StopIteration as end:
                result: PartResult = end.value
                return result
