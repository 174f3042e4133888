"""What happens in a run, and who is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from lmeec.runs.progress import Progress
    from lmeec.tables.trace import Attempt


@dataclass(frozen=True)
class RunStarted:
    """The run knows what it has to do."""

    jobs: int
    resumed: int
    frames: int
    workers: int


@dataclass(frozen=True)
class JobStarted:
    """A worker begins a job."""

    worker: str
    job: str
    frames: int
    attempt: int


@dataclass(frozen=True)
class JobFinished:
    """A job's part is written."""

    worker: str
    job: str
    tracks: int
    frames: int
    seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class JobRetried:
    """A job failed and will be tried again."""

    worker: str
    job: str
    error: str
    attempt: int


@dataclass(frozen=True)
class JobFailed:
    """A job is set aside."""

    worker: str
    job: str
    error: str
    attempts: int


@dataclass(frozen=True)
class AttemptEnded:
    """A worker's attempt at a job is over, however it ended; what the trace of the run has of it."""

    attempt: Attempt


@dataclass(frozen=True)
class Joining:
    """All jobs are done or set aside, and parts become the table."""

    parts: int


@dataclass(frozen=True)
class Notice:
    """Something else that the user should know."""

    text: str


Event: TypeAlias = RunStarted | JobStarted | JobFinished | JobRetried | JobFailed | AttemptEnded | Joining | Notice


class Reporter(Protocol):
    """Shows how a run goes."""

    def event(self, event: Event) -> None:
        """Something happened."""

    def update(self, progress: Progress) -> None:
        """Is called often, at least once a second while workers answer."""


class Silent:
    """Shows nothing."""

    def event(self, event: Event) -> None:
        """See `Reporter`."""

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""
