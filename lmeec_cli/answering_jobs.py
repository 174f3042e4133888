"""Answering tables of questions for a command: shown in numbers, kept and stopped by Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import typer

from lmeec_cli.terminal import echo, tell

if TYPE_CHECKING:
    from lmeec.cluster.resources import Wanted

_KEEPING = "stopping when the questions at hand are answered; Ctrl-C again stops at once"


@contextmanager
def answerer(wanted: Wanted) -> Iterator[Callable[..., bool]]:
    """Give `answer_table` with whoever does the work, and the wish to stop; it says whether it came to its end.

    Args:
        wanted: workers.
    """
    from lmeec.cluster.executors import task_executor
    from lmeec.mllm.evaluation.answering import answer_table
    from lmeec.runs.stop import Stop
    from lmeec_cli.signals import Stopped, stopping

    def told(done: int, total: int) -> None:
        tell(f"{done:,} of {total:,} questions answered")

    stop = Stop()
    try:
        with (
            task_executor(wanted, notice=tell) as executor,
            stopping(stop, _KEEPING),
        ):
            yield partial(answer_table, executor=executor, stop=stop, on_progress=told)
    except (Stopped, KeyboardInterrupt):
        echo("stopped at once; run the same command again to go on with what is answered", err=True)
        raise typer.Exit(130) from None
