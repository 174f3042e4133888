"""`lmeec clips --extract`: where the work is done and how it is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from lmeec.clips.extract import ExtractConfig, ExtractSummary, extract_clips
from lmeec.clips.read import read_clips_metadata
from lmeec_cli.signals import Stopped, stopping
from lmeec_cli.terminal import echo, is_quiet, tell
from lmeec_cli.words import counted, duration, in_time

if TYPE_CHECKING:
    from lmeec.clips.counting import Way
    from lmeec.clips.extract import TakeResult
    from lmeec.cluster.resources import Wanted
    from lmeec.config import ClipFormat


_HOW_TO_GO_ON = "what is whole is kept: run the same command again to go on"


@dataclass(frozen=True)
class Extraction:
    """What the options of the command ask for.

    Attributes:
        folder: Where the clips go.
        config: What to write.
        wanted: The workers.
    """

    folder: Path
    config: ExtractConfig
    wanted: Wanted

    @classmethod
    def of(
        cls,
        folder: Path,
        form: ClipFormat | Literal["both"],
        short_side: int,
        workers: int | Literal["auto"],
        address: str | None,
    ) -> Extraction:
        """Check the options before there is work to lose.

        Raises:
            ConfigError: One is outside of what it may be.
        """
        from lmeec.cluster.resources import Wanted

        formats: tuple[ClipFormat, ...] = ("mp4", "webdataset") if form == "both" else (form,)
        wanted = Wanted(workers, address=address, device="cpu")
        return cls(folder, ExtractConfig(formats, short_side), wanted)

    def run(self, table: Path, *, overwrite: bool) -> ExtractSummary:
        """Cut the clips of a table, and say what became of each take.

        Raises:
            typer.Exit: The run was stopped; status 130.
        """
        from lmeec.cluster.executors import task_executor
        from lmeec.runs.stop import Stop
        from lmeec_cli.waiting import waits

        stop = Stop()
        takes = read_clips_metadata(table).summary.takes
        try:
            with ExitStack() as opened:
                with waits() as waiting:
                    executor = opened.enter_context(task_executor(self.wanted, notice=tell, waiting=waiting))
                opened.enter_context(stopping(stop))
                show, go = opened.enter_context(_shown())
                done = extract_clips(
                    table,
                    self.folder,
                    self.config,
                    executor,
                    overwrite=overwrite,
                    stop=stop,
                    on_result=show,
                    on_way=go,
                )
        except (Stopped, KeyboardInterrupt):
            echo(f"stopped at once; {_HOW_TO_GO_ON}", err=True)
            raise typer.Exit(130) from None
        self._conclude(done, takes)
        if stop.requested and done.waiting:
            raise typer.Exit(130)
        return done

    def _conclude(self, done: ExtractSummary, takes: int) -> None:
        there = f" ({done.kept:,} were there before)" if done.kept else ""
        whole = f"{done.takes:,} of {counted(takes, 'take is', 'takes are')} whole"
        tell(f"{self.folder}: {counted(done.cut, 'clip')} cut{there}, {whole}, {in_time(done.seconds)}")
        if done.failures:
            echo(f"error: {counted(len(done.failures), 'failure')}; {_HOW_TO_GO_ON}", err=True)
        elif done.waiting:
            echo(f"stopped: {counted(done.waiting, 'take remains', 'takes remain')}; {_HOW_TO_GO_ON}", err=True)


@contextmanager
def _shown() -> Iterator[tuple[Callable[[TakeResult], None], Callable[[Way], None]]]:
    """What is told of takes, and of the way: a bar on a terminal, otherwise a line a take; failures in either case."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from lmeec_cli.console import Console

    console = Console(stderr=True)
    lively = console.is_terminal and not is_quiet()
    left = _TimeLeft()
    columns = (
        TextColumn("cutting clips"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames, {task.fields[left]}"),
    )
    with Progress(*columns, console=console, disable=not lively) as bar:
        task = bar.add_task("frames", total=None, left="")

        latest: list[Way] = []

        def go(way: Way) -> None:
            latest[:] = [way]
            bar.update(task, total=way.frames, completed=way.done, left=left(way))

        def show(result: TakeResult) -> None:
            (way,) = latest
            lines = [f"error: {failure}" for failure in result.failures]
            if not lively and not lines and not is_quiet():
                lines = [
                    f"{result.take}: {counted(result.cut, 'clip')} cut, {result.kept:,} there before; {way.done:,} of "
                    f"{counted(way.frames, 'frame')} done, {left(way)}"
                ]
            for line in lines:
                console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield show, go


class _TimeLeft:
    """In words, at the pace of what this run reads: what is there already takes no time."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, way: Way) -> str:
        now = time.monotonic()
        if not way.read:
            self._began = now
        seconds = way.seconds_left(now - self._began)
        return f"{'?' if seconds is None else duration(seconds)} left"
