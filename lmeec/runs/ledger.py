"""A run while it goes: hands out jobs to whoever executes them, and settles what becomes of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from lmeec.inference.pipeline import Profile
from lmeec.runs.attempts import Attempts
from lmeec.runs.events import (
    AttemptEnded,
    Event,
    JobFailed,
    JobFinished,
    JobRetried,
    JobStarted,
    Notice,
    Reporter,
    RunStarted,
)
from lmeec.runs.jobs import Job, JobQueue, narrowed
from lmeec.tables.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lmeec.data.takes import Take
    from lmeec.files.locations import Location
    from lmeec.runs.heartbeat import RunRecord
    from lmeec.runs.index import RunIndex
    from lmeec.runs.outcome import JobError, PartResult
    from lmeec.runs.progress import Progress
    from lmeec.runs.stop import Stop
    from lmeec.tables import RunMetadata
    from lmeec.tables.coverage import Pair
    from lmeec.tables.trace import Outcome

    _Key: TypeAlias = tuple[str, str]


class Takes(Protocol):
    """The takes of a run, read one at a time."""

    def __getitem__(self, index: int) -> Take:
        """One take."""


@dataclass(frozen=True)
class Assignment:
    """A job with the take that it is about."""

    job: Job
    take: Take


class Ledger:
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
        attempts: makes the trace of the run; None keeps none.
        index: of the parts; None keeps none.
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
        attempts: Attempts | None = None,
        index: RunIndex | None = None,
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
        self._attempts = attempts or Attempts()
        self._index = index
        self._queue = JobQueue([], workers=0)
        self._left: dict[_Key, set[Pair | None]] = {}
        self._failed: dict[_Key, set[Pair | None]] = {}

    def begin(self, jobs: Sequence[Job], waiting: Iterable[Job], workers: int) -> None:
        """Begin with the jobs of the run, of which some wait.

        Raises:
            OutputError: what the run is about cannot be written down.
        """
        waiting = list(waiting)
        self._queue = JobQueue(waiting, workers)
        self._names = {job.key: job.label for job in jobs}
        self._record.plan(jobs, self.run.cautions)
        self.progress.jobs = len(jobs)
        for job in waiting:
            self._left.setdefault(job.key, set()).update(_units(job))
        self.progress.resumed = self.progress.jobs_done = len(jobs) - len(self._left)
        self.progress.frames = sum(job.steps for job in waiting)
        self.event(RunStarted(len(self._left), self.progress.resumed, self.progress.frames, workers))

    @property
    def ending(self) -> bool:
        """Whether no more jobs are to be begun."""
        return self._stop.requested or self.fatal is not None

    def next_job(self) -> Assignment | None:
        """The next job to do, with its take; None if there is none for now."""
        if self.ending:
            return None
        job = self._queue.next()
        if job is None:
            return None
        take = self._takes[job.index]
        return Assignment(job, take if job.whole else narrowed(take, job.cameras))

    @property
    def waiting(self) -> int:
        """Jobs that nobody has begun."""
        return 0 if self.ending else len(self._queue)

    def started(self, worker: str, job: Job, host: str = "", device: str = "") -> None:
        """A worker begins a job, on a machine and a device of it."""
        self.progress.set_job(worker, job)
        self._attempts.start(worker, job, host, device)
        self.event(JobStarted(worker, job.label, job.steps, job.attempt))

    def advanced(self, worker: str, predictions: int) -> None:
        """A worker made so many more predictions."""
        self.progress.worker(worker).done += predictions
        self.progress.frames_made += predictions
        self._attempts.advance(worker, predictions)
        self.tick()

    def finished(self, worker: str, job: Job, result: PartResult) -> None:
        """A worker has written the part of a job."""
        self.tracks += result.tracks
        self.profile += result.profile
        self.progress.set_state(worker, "idle")
        self.progress.frames_settled += job.steps
        if self._index is not None and result.note is not None:
            self._index.add(result.note)
        self._settle(job, {pair for pair in job.pairs if not result.broken.keys().isdisjoint(pair)})
        self.event(AttemptEnded(self._attempts.finish(worker, result)))
        self.event(JobFinished(worker, job.label, result.tracks, result.rows, result.seconds, result.warnings))
        lost = set(job.pairs)
        for camera, error in result.broken.items():
            pairs = {pair for pair in lost if camera in pair}
            lost -= pairs
            for piece in job.only(pairs):
                self._put_again_or_aside(worker, piece, error)

    def failed(self, worker: str, job: Job, error: JobError) -> None:
        """A job failed: it waits again, or is set aside."""
        self.progress.set_state(worker, "idle")
        if error.fatal:
            self.fatal = self.fatal or error.reason
            self._gave_up(worker, "failed", error.reason)
            return
        again = self._is_tried_again(job, error)
        self._gave_up(worker, "retried" if again else "failed", error.reason)
        self._put_again_or_aside(worker, job, error)
        if again:
            return
        self.progress.frames_settled += job.steps

    def put_back(self, worker: str, job: Job, reason: str) -> None:
        """A worker could not do a job for reasons of its own."""
        self.progress.set_state(worker, "idle")
        self._gave_up(worker, "returned", reason)
        self._queue.put(replace(job, queued=self._attempts.now()))

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
        self.progress.waiting = self.waiting
        self._reporter.update(self.progress)
        if self._record.lost:
            self._record.check()

    @property
    def undone(self) -> list[str]:
        """Takes and directions, as they are called, of which something is neither done nor failed."""
        return [self._names[key] for key, left in self._left.items() if left - self._failed.get(key, set())]

    def has_failed(self, job: Job, pair: Pair | None) -> bool:
        """Whether a pair of cameras of a job was set aside; None stands for a job without pairs."""
        return pair in self._failed.get(job.key, set())

    def _gave_up(self, worker: str, outcome: Outcome, reason: str) -> None:
        self.event(AttemptEnded(self._attempts.give_up(worker, outcome, reason)))

    def _is_tried_again(self, job: Job, error: JobError) -> bool:
        return error.retry and job.attempt <= self._retries

    def _put_again_or_aside(self, worker: str, job: Job, error: JobError) -> None:
        """Let a job that failed wait again, or set it aside."""
        if self._is_tried_again(job, error):
            self._queue.put(replace(job, attempt=job.attempt + 1, queued=self._attempts.now()))
            self.progress.retries += 1
            self.event(JobRetried(worker, job.label, error.reason, job.attempt))
            return
        failure = Failure(job.take_uid, job.take_name, job.direction, error.reason, job.attempt, error.camera)
        if failure not in self.progress.failures:
            self.progress.failures.append(failure)
        self._failed.setdefault(job.key, set()).update(_units(job))
        self.event(JobFailed(worker, job.label, error.reason, job.attempt))

    def _settle(self, job: Job, lost: set[Pair]) -> None:
        left = self._left[job.key]
        left -= _units(job) - lost
        if not left:
            self.progress.jobs_done += 1


def _units(job: Job) -> set[Pair | None]:
    """What is done or not of a job: its pairs of cameras, or the job itself if it has none."""
    return set(job.pairs) or {None}
