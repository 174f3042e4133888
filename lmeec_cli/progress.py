"""How a run is shown: bars on a terminal, log lines elsewhere, always on standard error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from lmeec.inference.run import Failure, Job, Reporter
    from lmeec.inference.worker import PartResult

_LOG_EVERY_S = 30.0


@contextmanager
def run_reporter() -> Iterator[Reporter]:
    """A reporter that suits where standard error goes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LogReporter(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield BarReporter(bars)


class _Rate(ProgressColumn):
    """Predictions a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} frames/s" if task.speed and task.fields.get("rated") else "")


class LogReporter:
    """A line when a job starts and ends, and now and then in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._clock = time.monotonic
        self._jobs_total = 0
        self._jobs_done = 0
        self._steps_total = 0
        self._steps_done = 0
        self._start = self._last = self._clock()

    def run_started(self, jobs: list[Job], resumed: int) -> None:
        """See `Reporter`."""
        self._jobs_total = len(jobs)
        self._steps_total = sum(job.steps for job in jobs)
        done_before = f", {resumed} done before" if resumed else ""
        self._log(f"{len(jobs)} takes and directions to predict{done_before}, about {self._steps_total:,} frames")

    def job_started(self, job: Job) -> None:
        """See `Reporter`."""
        self._log(f"{_name(job)}: started, about {job.steps:,} frames")

    def advanced(self, job: Job, predictions: int) -> None:
        """See `Reporter`."""
        self._steps_done += predictions
        if self._clock() - self._last > _LOG_EVERY_S:
            self._log(f"{_name(job)}: {self._pace()}")

    def job_finished(self, job: Job, result: PartResult) -> None:
        """See `Reporter`."""
        self._jobs_done += 1
        for warning in result.warnings:
            self._log(f"warning: {warning}")
        rate = result.rows / result.seconds if result.seconds else 0
        self._log(
            f"{_name(job)}: {result.tracks} tracks, {result.rows:,} frames in {result.seconds:.1f} s "
            f"({rate:.1f} frames/s); {self._jobs_done} of {self._jobs_total} done, {self._pace()}"
        )

    def job_failed(self, job: Job, failure: Failure) -> None:
        """See `Reporter`."""
        self._jobs_done += 1
        self._log(f"failed: {_name(job)}: {failure.error}")

    def _pace(self) -> str:
        elapsed = self._clock() - self._start
        rate = self._steps_done / elapsed if elapsed else 0
        left = (self._steps_total - self._steps_done) / rate if rate else 0
        return f"{rate:.1f} frames/s, {_duration(left)} left"

    def _log(self, text: str) -> None:
        self._last = self._clock()
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, highlight=False, soft_wrap=True)


class BarReporter:
    """A bar over all jobs and one for the take at hand."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._jobs = bars.add_task("takes", total=None)
        self._steps = bars.add_task("frames", total=None, rated=True)
        self._current = bars.add_task("", total=None, visible=False)

    def run_started(self, jobs: list[Job], resumed: int) -> None:
        """See `Reporter`."""
        self._bars.update(self._jobs, total=len(jobs) + resumed, completed=resumed)
        self._bars.update(self._steps, total=sum(job.steps for job in jobs))

    def job_started(self, job: Job) -> None:
        """See `Reporter`."""
        self._bars.reset(self._current, description=_name(job), total=job.steps, visible=True)

    def advanced(self, job: Job, predictions: int) -> None:
        """See `Reporter`."""
        self._bars.advance(self._steps, predictions)
        self._bars.advance(self._current, predictions)

    def job_finished(self, job: Job, result: PartResult) -> None:
        """See `Reporter`."""
        self._bars.advance(self._jobs)
        for warning in result.warnings:
            self._print(f"warning: {warning}")
        # Estimates count frames that turned out to be missing.
        left = self._bars.tasks[self._current]
        self._bars.advance(self._steps, (left.total or 0) - left.completed)

    def job_failed(self, job: Job, failure: Failure) -> None:
        """See `Reporter`."""
        self._bars.advance(self._jobs)
        self._print(f"failed: {_name(job)}: {failure.error}")

    def _print(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _name(job: Job) -> str:
    return f"{job.take.name} {job.direction}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
