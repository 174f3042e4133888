"""A run while it goes: hands out jobs to whoever executes them, and settles what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from lmeec.inference.jobs import Job, JobQueue, narrowed
from lmeec.inference.pipeline import Profile
from lmeec.inference.progress import (
    Event,
    Failure,
    JobFailed,
    JobFinished,
    JobRetried,
    JobStarted,
    Notice,
    Progress,
    Reporter,
    RunStarted,
)
from lmeec.inference.worker import JobError, ModelInfo, PartResult, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lmeec.config import Direction, PredictConfig
    from lmeec.data.takes import Take
    from lmeec.inference.record import RunRecord
    from lmeec.tables import RunMetadata
    from lmeec.tables.storage import Location


class Takes(Protocol):
    """The takes of a run, read one at a time."""

    def __getitem__(self, index: int) -> Take:
        """One take."""


class Stop:
    """The wish to end a run early: jobs at hand are finished, no other is begun."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Finish what is at hand only."""
        self.requested = True


class Executor(Protocol):
    """Predicts the jobs of a run, in this process or in others."""

    config: PredictConfig
    workers: int

    def describe(self) -> Mapping[Direction, ModelInfo]:
        """The models that the workers have loaded."""

    def run(self, work: Work) -> None:
        """Do jobs until `work` has no more to give and all that were begun are settled."""


@dataclass(frozen=True)
class Assignment:
    """A job with the take that it is about."""

    job: Job
    take: Take


class Work:
    """Owns the queue and the progress of a run.

    Args:
        takes: the takes that jobs point into.
        directory: folder of the parts.
        run: what the rows depend on.
        record: the run's files.
        progress: is kept up to date; all zero.
        reporter: shows how it goes.
        retries: how often a job that failed is tried again.
        stop: the user's wish to end early.
    """

    def __init__(
        self,
        takes: Takes,
        directory: Location,
        run: RunMetadata,
        record: RunRecord,
        progress: Progress,
        reporter: Reporter,
        *,
        retries: int,
        stop: Stop,
    ) -> None:
        self.directory = directory
        self.run = run
        self.progress = progress
        self._record = record
        self.fatal: str | None = None
        self.tracks = 0
        self.profile = Profile()
        self._takes = takes
        self._reporter = reporter
        self._retries = retries
        self._stop = stop
        self._queue = JobQueue([], workers=0)

    def begin(self, jobs: Sequence[Job], waiting: Iterable[Job], workers: int) -> None:
        """Begin with the jobs of the run, of which some wait.

        Raises:
            OutputError: what the run is about cannot be written down.
        """
        waiting = list(waiting)
        keys = {(job.index, job.direction) for job in waiting}
        self._queue = JobQueue(waiting, workers)
        self._record.plan(jobs)
        self.progress.jobs = len(jobs)
        self.progress.resumed = self.progress.jobs_done = len(jobs) - len(keys)
        self.progress.frames = sum(job.steps for job in waiting)
        self._pieces = dict.fromkeys(keys, 0)
        for job in waiting:
            self._pieces[job.index, job.direction] += len(job.shares) or 1
        self.event(RunStarted(len(keys), self.progress.resumed, self.progress.frames, workers))

    @property
    def ending(self) -> bool:
        """Whether no more jobs are to be begun."""
        return self._stop.requested or self.fatal is not None

    def next_job(self) -> Assignment | None:
        """The next job to do, with its take; None if there is none for now."""
        if self.ending:
            return None
        job = self._queue.next()
        return None if job is None else Assignment(job, narrowed(self._takes[job.index], job))

    @property
    def waiting(self) -> int:
        """Jobs that nobody has begun."""
        return 0 if self.ending else len(self._queue)

    def started(self, worker: str, job: Job) -> None:
        """A worker begins a job."""
        self.progress.set_job(worker, job)
        self.event(JobStarted(worker, job.label, job.steps, job.attempt))

    def advanced(self, worker: str, predictions: int) -> None:
        """A worker made so many more predictions."""
        self.progress.worker(worker).done += predictions
        self.progress.frames_made += predictions
        self.tick()

    def finished(self, worker: str, job: Job, result: PartResult) -> None:
        """A worker has written the part of a job."""
        self.tracks += result.tracks
        self.profile += result.profile
        self.progress.set_state(worker, "idle")
        self._settle(job)
        self.event(JobFinished(worker, job.label, result.tracks, result.rows, result.seconds, result.warnings))

    def failed(self, worker: str, job: Job, error: JobError) -> None:
        """A job failed: it waits again, or is set aside."""
        self.progress.set_state(worker, "idle")
        if error.fatal:
            self.fatal = self.fatal or error.reason
            return
        if error.retry and job.attempt <= self._retries:
            self._queue.put(replace(job, attempt=job.attempt + 1))
            self.progress.retries += 1
            self.event(JobRetried(worker, job.label, error.reason, job.attempt))
            return
        failure = Failure(job.take_uid, job.take_name, job.direction, error.reason, job.attempt, job.target_camera)
        self.progress.failures.append(failure)
        self.progress.frames_settled += job.steps
        self.event(JobFailed(worker, job.label, error.reason, job.attempt))

    def put_back(self, worker: str, job: Job) -> None:
        """A worker could not do a job for reasons of its own."""
        self.progress.set_state(worker, "idle")
        self._queue.put(job)

    def notice(self, text: str) -> None:
        """Tell the user."""
        self.event(Notice(text))

    def event(self, event: Event) -> None:
        """Report an event."""
        self._reporter.event(event)
        self.tick()

    def tick(self) -> None:
        """Refresh the display.

        Raises:
            OutputError: another run has taken the output over.
        """
        self._reporter.update(self.progress)
        if self._record.lost:
            self._record.check()

    def _settle(self, job: Job) -> None:
        self.progress.frames_settled += job.steps
        key = (job.index, job.direction)
        self._pieces[key] -= len(job.shares) or 1
        if self._pieces[key] == 0:
            self.progress.jobs_done += 1


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

    def run(self, work: Work) -> None:
        """See `Executor`."""
        while (assignment := work.next_job()) is not None:
            job = assignment.job
            work.started(self._NAME, job)
            try:
                result = self._predict(assignment, work, lambda made: work.advanced(self._NAME, made))
            except Exception as error:
                work.failed(self._NAME, job, JobError.of(error))
            else:
                work.finished(self._NAME, job, result)

    def _predict(self, assignment: Assignment, work: Work, advanced: Callable[[int], None]) -> PartResult:
        job = assignment.job
        steps = self._worker.predict_part(assignment.take, job.direction, work.directory, work.run, job.target_camera)
        while True:
            try:
                advanced(next(steps))
            except StopIteration as end:
                result: PartResult = end.value
                return result
