"""`lmeec clips --extract`: where the work is done and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from lmeec.clips.extract import ExtractConfig, ExtractSummary, extract_clips
from lmeec.clips.read import read_clips_metadata
from lmeec_cli.signals import Stopped, stopping
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
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

        stop = Stop()
        takes = read_clips_metadata(table).summary.takes
        try:
            with task_executor(self.wanted, notice=_tell) as executor, stopping(stop), _shown(takes) as show:
                done = extract_clips(
                    table,
                    self.folder,
                    self.config,
                    executor,
                    overwrite=overwrite,
                    stop=stop,
                    on_result=show,
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
        echo(
            f"{self.folder}: {done.cut:,} clips cut{there}, {done.takes:,} of {takes:,} takes are whole, "
            f"{done.seconds:.0f} s",
            err=True,
        )
        if done.failures:
            echo(f"error: {len(done.failures):,} failures; {_HOW_TO_GO_ON}", err=True)
        elif done.waiting:
            echo(f"stopped: {done.waiting:,} takes remain; {_HOW_TO_GO_ON}", err=True)


def _tell(text: str) -> None:
    echo(text, err=True)


@contextmanager
def _shown(takes: int) -> Iterator[Callable[[TakeResult], None]]:
    """A bar on a terminal, otherwise a line a take; failures in either case."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from lmeec_cli.console import Console

    console = Console(stderr=True)
    columns = (TextColumn("cutting clips"), BarColumn(), MofNCompleteColumn(), TextColumn("takes"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("takes", total=takes)

        def show(result: TakeResult) -> None:
            bar.advance(task)
            lines = [f"error: {failure}" for failure in result.failures]
            if not console.is_terminal and not lines:
                lines = [f"{result.take}: {result.cut:,} clips cut, {result.kept:,} there before"]
            for line in lines:
                console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield show
