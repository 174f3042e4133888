"""How far a run is: what the run counts, and the one shape in which that is shown and written down."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lmeec.tables.failures import Failure

if TYPE_CHECKING:
    from lmeec.runs.jobs import Job


@dataclass(frozen=True)
class WorkerStanding:
    """What a worker does, as `WorkerState` has it."""

    name: str
    state: str
    job: str
    frames: int
    done: int
    rate: float


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a run stands at one moment.

    Attributes:
        jobs: takes and directions of the run.
        jobs_done: of these, in parts.
        seconds: how long it has worked.
        frames: predictions to make.
        frames_done: of these, made or no longer needed.
        rate: predictions a second.
        seconds_left: estimated.
        retries: jobs tried again so far.
        failures: jobs set aside.
        workers: what they do.
    """

    jobs: int = 0
    jobs_done: int = 0
    seconds: float = 0
    frames: int = 0
    frames_done: int = 0
    rate: float = 0
    seconds_left: float | None = None
    retries: int = 0
    failures: list[Failure] = field(default_factory=list)
    workers: list[WorkerStanding] = field(default_factory=list)


@dataclass
class WorkerState:
    """What a worker does.

    Attributes:
        name: its number, and its node where there are several.
        state: `starting` also while it is restarted.
        job: what it predicts.
        frames: predictions that the job needs, estimated.
        done: of these, made.
        since: when the state began, in seconds of the monotonic clock.
    """

    name: str
    state: Literal["starting", "idle", "working"] = "idle"
    job: str = ""
    frames: int = 0
    done: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Predictions a second in this job."""
        elapsed = time.monotonic() - self.since
        return self.done / elapsed if self.state == "working" and elapsed > 0 else 0.0


@dataclass
class Progress:
    """Counts what a run does; the run updates it, displays and the heartbeat take its `standing`.

    Attributes:
        jobs: takes and directions of the run.
        jobs_done: of these, in parts, by an earlier run too.
        resumed: done by an earlier run.
        frames: predictions that this run has to make, estimated.
        frames_settled: of these, in jobs that finished or were set aside.
        frames_made: predictions that this run made.
        failures: jobs set aside.
        retries: jobs tried again so far.
        waiting: jobs that nobody has begun.
        workers: by name.
        start: when work began, in seconds of the monotonic clock.
    """

    jobs: int = 0
    jobs_done: int = 0
    resumed: int = 0
    frames: int = 0
    frames_settled: int = 0
    frames_made: int = 0
    failures: list[Failure] = field(default_factory=list)
    retries: int = 0
    waiting: int = 0
    workers: dict[str, WorkerState] = field(default_factory=dict)
    start: float = field(default_factory=time.monotonic)

    @property
    def frames_done(self) -> int:
        """Predictions made or no longer needed."""
        return self.frames_settled + sum(w.done for w in self.workers.values() if w.state == "working")

    @property
    def seconds(self) -> float:
        """Time since work began."""
        return time.monotonic() - self.start

    @property
    def rate(self) -> float:
        """Predictions a second."""
        return self.frames_made / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated time until the last job is done; None while nothing can be said."""
        return max(self.frames - self.frames_done, 0) / self.rate if self.rate else None

    def standing(self) -> Standing:
        """Where the run stands now, to show or to write down."""
        return Standing(
            jobs=self.jobs,
            jobs_done=self.jobs_done,
            seconds=self.seconds,
            frames=self.frames,
            frames_done=self.frames_done,
            rate=self.rate,
            seconds_left=self.seconds_left,
            retries=self.retries,
            failures=list(self.failures),
            workers=[
                WorkerStanding(one.name, one.state, one.job, one.frames, one.done, one.rate)
                for one in list(self.workers.values())
            ],
        )

    def worker(self, name: str) -> WorkerState:
        """The worker of this name, added when it is new."""
        return self.workers.setdefault(name, WorkerState(name))

    def set_state(self, name: str, state: Literal["starting", "idle"]) -> None:
        """A worker has no job."""
        self.workers[name] = WorkerState(name, state)

    def set_job(self, name: str, job: Job) -> None:
        """A worker has a job."""
        self.workers[name] = WorkerState(name, "working", job.label, job.steps)
