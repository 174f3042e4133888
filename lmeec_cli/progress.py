"""How a run is shown: a line a worker on a terminal, log lines or JSON lines elsewhere, always on standard error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lmeec_cli import event_lines
from lmeec_cli.console import Console
from lmeec_cli.terminal import echo, is_quiet
from lmeec_cli.waiting import Turning
from lmeec_cli.words import counted, duration, in_time

if TYPE_CHECKING:
    from lmeec.runs.events import Event, Reporter
    from lmeec.runs.progress import Progress, Standing, WorkerStanding
    from lmeec_cli.options import LogFormat

_LOG_EVERY_S = 30.0
_WORKERS_SHOWN = 16


@contextmanager
def run_reporter(log_format: LogFormat = "auto") -> Iterator[Reporter]:
    """A reporter that suits where standard error goes, or of the format that is asked for."""
    console = Console(stderr=True)
    if log_format == "json":
        yield JsonReporter(console.file)
    elif is_quiet():
        yield QuietReporter()
    elif log_format == "text" or not console.is_terminal:
        yield LogReporter(console)
    else:
        with Live(Turning("reading the annotations"), console=console, refresh_per_second=8) as live:
            reporter = LiveReporter(live)
            try:
                yield reporter
            finally:
                reporter.end()


class QuietReporter:
    """Failures, and what else the user should know, alone."""

    def event(self, event: Event) -> None:
        """See `Reporter`."""
        from lmeec.runs.events import JobFailed, JobFinished, Notice

        if isinstance(event, JobFinished):
            lines = [f"warning: {warning}" for warning in event.warnings]
        else:
            lines = list(_lines(event, None)) if isinstance(event, JobFailed | Notice) else []
        for line in lines:
            echo(line, err=True)

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""


class LogReporter:
    """A line when a job starts and ends, and now and then in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = time.monotonic()
        self._progress: Progress | None = None

    def event(self, event: Event) -> None:
        """See `Reporter`."""
        for line in _lines(event, self._progress):
            self._log(line)

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""
        self._progress = progress
        if time.monotonic() - self._last > _LOG_EVERY_S:
            working = ", ".join(worker.job for worker in progress.workers.values() if worker.state == "working")
            self._log(
                f"{progress.jobs_done} of {progress.jobs} done, {_pace(progress.standing())}; at work on {working}"
            )

    def _log(self, text: str) -> None:
        self._last = time.monotonic()
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, highlight=False, soft_wrap=True)


class JsonReporter:
    """A JSON object a line: every event with its time, and where the run stands now and then."""

    def __init__(self, file: IO[str]) -> None:
        self._lines = event_lines.EventLines(file)

    def event(self, event: Event) -> None:
        """See `Reporter`."""
        self._lines.write(event)

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""
        if self._lines.seconds_since_last > _LOG_EVERY_S:
            now = progress.standing()
            self._lines.write(
                event_lines.Progress(
                    jobs=now.jobs,
                    jobs_done=now.jobs_done,
                    frames=now.frames,
                    frames_done=now.frames_done,
                    frames_per_second=round(now.rate, 3),
                    seconds_left=now.seconds_left,
                    failures=len(now.failures),
                    retries=now.retries,
                )
            )


class LiveReporter:
    """A line a worker and one for the whole run; failures and warnings scroll above."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._next = 0.0
        self._progress: Progress | None = None

    def event(self, event: Event) -> None:
        """See `Reporter`."""
        from lmeec.runs.events import JobFinished, JobStarted, Joining

        lines = list(_lines(event, None))
        if isinstance(event, JobStarted):
            return
        if isinstance(event, Joining):
            (line,) = lines
            self._live.update(Turning(line))
            return
        for line in lines[:-1] if isinstance(event, JobFinished) else lines:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""
        self._progress = progress
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 0.2
            self._live.update(render(progress.standing()))

    def end(self) -> None:
        """Leave what became of the run as the last line, without those of the workers."""
        if self._progress is None:
            self._live.update("")
            return
        standing = self._progress.standing()
        self._live.update(render(replace(standing, workers=[]), ended=True))


def render(standing: Standing, *, ended: bool = False) -> Group:
    """The live view; of a run that has ended, how long it took instead of what is left."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column(width=20)
    table.add_column(justify="right", no_wrap=True)
    workers = sorted(standing.workers, key=lambda worker: worker.name)
    for worker in workers[:_WORKERS_SHOWN]:
        table.add_row(*_worker_cells(worker))
    if len(workers) > _WORKERS_SHOWN:
        table.add_row("", Text(f"and {len(workers) - _WORKERS_SHOWN} more workers", style="dim"))
    failures = f", {len(standing.failures)} failed" if standing.failures else ""
    retries = f", {standing.retries} tried again" if standing.retries else ""
    whole = Table.grid(padding=(0, 1))
    whole.add_row(
        f"{standing.jobs_done} of {standing.jobs} done{failures}{retries}",
        ProgressBar(total=max(standing.frames, 1), completed=standing.frames_done, width=20),
        f"{standing.rate:.1f} frames/s, {in_time(standing.seconds)}" if ended else _pace(standing),
    )
    return Group(table, whole)


def _worker_cells(worker: WorkerStanding) -> tuple[str | Text | ProgressBar, ...]:
    name = Text(f"worker {worker.name}", style="dim")
    if worker.state != "working":
        return name, Text(worker.state, style="dim"), "", ""
    bar = ProgressBar(total=max(worker.frames, 1), completed=worker.done, width=20)
    return name, Text(worker.job), bar, f"{worker.rate:.1f} frames/s"


def _lines(event: Event, progress: Progress | None) -> Iterator[str]:
    from lmeec.runs.events import JobFailed, JobFinished, JobRetried, JobStarted, Joining, Notice, RunStarted

    match event:
        case RunStarted():
            done_before = f", {event.resumed} done before" if event.resumed else ""
            yield (
                f"{counted(event.jobs, 'take and direction', 'takes and directions')} to predict{done_before}, about "
                f"{counted(event.frames, 'frame')}"
            )
        case JobStarted():
            yield f"{event.job}: started, about {counted(event.frames, 'frame')}"
        case JobFinished():
            yield from (f"warning: {warning}" for warning in event.warnings)
            rate = event.frames / event.seconds if event.seconds else 0
            so_far = f"; {progress.jobs_done} of {progress.jobs} done, {_pace(progress.standing())}" if progress else ""
            made = f"{counted(event.tracks, 'track')}, {counted(event.frames, 'frame')}"
            yield f"{event.job}: {made} in {event.seconds:.1f} s ({rate:.1f} frames/s){so_far}"
        case JobRetried():
            yield f"{event.job}: failed at attempt {event.attempt}, will be tried again: {event.error}"
        case JobFailed():
            attempts = f" after {event.attempts} attempts" if event.attempts > 1 else ""
            yield f"failed: {event.job}{attempts}: {event.error}"
        case Joining():
            yield f"joining {counted(event.parts, 'part')} to one table"
        case Notice():
            yield event.text


def _pace(standing: Standing) -> str:
    left = standing.seconds_left
    return f"{standing.rate:.1f} frames/s, {'?' if left is None else duration(left)} left"
