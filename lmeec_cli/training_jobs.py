"""Running trainings for a command: shown as it suits, saved and stopped by Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import typer

from lmeec_cli.terminal import echo, tell

if TYPE_CHECKING:
    from lmeec.cluster.resources import Wanted
    from lmeec.cluster.train import Job
    from lmeec_cli.options import LogFormat

_SAVING = "saving and stopping; Ctrl-C again stops at once, and loses the steps since the last save"


@contextmanager
def trainer(wanted: Wanted, log_format: LogFormat) -> Iterator[Callable[[Job], bool]]:
    """Give what trains one job after the other, all on the same cluster if one is needed.

    It says whether a training came to its end; if the user stopped it, it is saved.

    Args:
        wanted: workers.
        log_format: how trainings are shown.
    """
    from lmeec.cluster.executors import trainer_for
    from lmeec.runs.stop import Stop
    from lmeec_cli.signals import Stopped, stopping
    from lmeec_cli.train_progress import training_reporter
    from lmeec_cli.waiting import waits

    stop = Stop()
    try:
        with ExitStack() as opened:
            opened.enter_context(stopping(stop, _SAVING, (signal.SIGINT, signal.SIGTERM)))
            with waits() as waiting:
                train = opened.enter_context(trainer_for(wanted, notice=tell, waiting=waiting))

            def train_job(job: Job) -> bool:
                with training_reporter(log_format) as reporter:
                    return train(job, reporter, stop)

            yield train_job
    except (Stopped, KeyboardInterrupt):
        echo("stopped at once; run the same command again to go on from the last saved state", err=True)
        raise typer.Exit(130) from None
