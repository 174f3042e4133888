"""How a training is shown: a bar on a terminal, log lines or JSON lines elsewhere, always on standard error."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from lmeec_cli.console import Console
from lmeec_cli.event_lines import EventLines
from lmeec_cli.metric_formats import METRICS, shown
from lmeec_cli.terminal import echo, is_quiet
from lmeec_cli.words import duration

if TYPE_CHECKING:
    from lmeec.analysis.evaluation import DirectionScore
    from lmeec.training.output.progress import StepDone, TrainingEvent, TrainingReporter, Waiting
    from lmeec_cli.options import LogFormat

_LOG_EVERY_S = 30.0
_LATEST = 50
"""Steps that losses and times are averaged over."""


@contextmanager
def training_reporter(log_format: LogFormat = "auto") -> Iterator[TrainingReporter]:
    """A reporter that suits where standard error goes, or of the format that is asked for."""
    console = Console(stderr=True)
    if log_format == "json":
        yield JsonTrainingReporter(console.file)
    elif is_quiet():
        yield QuietTrainingReporter()
    elif log_format == "text" or not console.is_terminal:
        yield LogTrainingReporter(console)
    else:
        columns = (
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[about]}"),
        )
        with Progress(*columns, console=console) as progress:
            yield LiveTrainingReporter(progress)


class _Latest:
    """Means over the latest steps."""

    def __init__(self) -> None:
        self._steps: deque[StepDone] = deque(maxlen=_LATEST)

    def describe(self, done: StepDone) -> str:
        """Loss, learning rate and the time that is left, with a step that was just done."""
        self._steps.append(done)
        count = len(self._steps)
        loss = self._mean("loss")
        shown = {"mask_iou": "mask IoU", "balanced_accuracy": "balanced accuracy", "kl": "KL", "ccl": "cycles"}
        more = "".join(f", {words} {self._mean(name):.2f}" for name, words in shown.items() if name in done.values)
        seconds = sum(step.seconds for step in self._steps) / count
        left = f", {duration((done.steps - done.step) * seconds)} left" if done.step < done.steps else ""
        return f"loss {loss:.3f}{more}, lr {done.values['lr']:.1e}, {seconds:.2f} s a step{left}"

    def _mean(self, name: str) -> float:
        return sum(step.values[name] for step in self._steps) / len(self._steps)


class QuietTrainingReporter:
    """Notes alone."""

    def event(self, event: TrainingEvent) -> None:
        """See `TrainingReporter`."""
        from lmeec.training.output.progress import Note

        if isinstance(event, Note):
            echo(event.text, err=True)


class LogTrainingReporter:
    """A line at the first step, now and then after that, and for everything else."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._latest = _Latest()
        self._last: float | None = None
        self._waits: str | None = None

    def event(self, event: TrainingEvent) -> None:
        """See `TrainingReporter`."""
        from lmeec.training.output.progress import Preparing, StepDone, Waiting

        match event:
            case StepDone():
                about = self._latest.describe(event)
                if self._due(event.step == event.steps):
                    self._log(f"step {event.step:,} of {event.steps:,}: {about}")
            case Preparing():
                if self._due(event.done == event.takes):
                    self._log(f"reading takes: {event.done} of {event.takes}")
            case Waiting():
                new, self._waits = self._waits != event.what, event.what
                if self._due(new):
                    self._log(_wait(event))
            case _:
                for line in _lines(event):
                    self._log(line)

    def _due(self, last: bool) -> bool:
        """Whether to tell of something that happens often."""
        if not last and self._last is not None and time.monotonic() - self._last < _LOG_EVERY_S:
            return False
        self._last = time.monotonic()
        return True

    def _log(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, highlight=False, soft_wrap=True)


class JsonTrainingReporter:
    """A JSON object a line: steps now and then, everything else at once."""

    def __init__(self, file: IO[str]) -> None:
        self._lines = EventLines(file)
        self._last: float | None = None

    def event(self, event: TrainingEvent) -> None:
        """See `TrainingReporter`."""
        from lmeec.training.output.progress import Preparing, StepDone, Waiting

        if isinstance(event, (Preparing, StepDone, Waiting)):
            if self._last is not None and time.monotonic() - self._last < _LOG_EVERY_S:
                return
            self._last = time.monotonic()
        self._lines.write(event)


class LiveTrainingReporter:
    """A bar with the loss; validations and notes scroll above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._latest = _Latest()
        self._task = progress.add_task("preparing", total=None, about="")

    def event(self, event: TrainingEvent) -> None:
        """See `TrainingReporter`."""
        from lmeec.training.output.progress import Preparing, Saved, StepDone, Waiting

        match event:
            case StepDone():
                what = f"step {event.step:,} of {event.steps:,}"
                self._show(event.step, event.steps, what, self._latest.describe(event))
            case Preparing():
                self._show(event.done, event.takes, "reading takes", f"{event.done} of {event.takes}")
            case Waiting():
                self._progress.update(
                    self._task, total=event.of or None, completed=event.done, description=_wait(event), about=""
                )
            case Saved():
                pass
            case _:
                for line in _lines(event):
                    self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show(self, done: int, total: int, what: str, about: str) -> None:
        self._progress.update(self._task, total=total, completed=done, description=what, about=about)


def _wait(event: Waiting) -> str:
    return f"{event.what}: {event.done} of {event.of}" if event.of else event.what


def _lines(event: TrainingEvent) -> Iterator[str]:
    from lmeec.training.output.progress import Note, Saved, TrainingStarted, Validated

    match event:
        case TrainingStarted():
            before = f", {event.step:,} done before" if event.step else ""
            yield f"training {event.about}"
            yield f"{event.parameters / 1e6:.1f} M parameters, {event.steps:,} steps{before}"
        case Validated():
            yield f"validation after step {event.step:,}: IoU {100 * event.iou:.2f}" + (", the best" * event.best)
            for direction, score in event.scores.items():
                values = {name: shown(name, getattr(score, name)) for name in METRICS}
                values["balanced_accuracy"] = _balanced(score)
                yield f"  {direction}: " + ", ".join(f"{METRICS[name].words} {value}" for name, value in values.items())
                if score.missing:
                    yield f"  {direction}: {score.missing:,} of the frames have no prediction and count as empty masks"
        case Saved():
            yield f"saved after step {event.step:,}"
        case Note():
            yield event.text


def _balanced(score: DirectionScore) -> str:
    """As in the tables of `lmeec score`."""
    from lmeec.analysis.groups import certainty_of_balanced_accuracy

    value = shown("balanced_accuracy", score.balanced_accuracy)
    marked = {"sound": value, "few": f"{value} (of {score.absent} absent frames)", "none": "-"}
    return marked[certainty_of_balanced_accuracy(score.visible, score.absent)]
