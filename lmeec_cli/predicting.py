"""A run over takes in words: who does it, how it goes, how it ended; for commands and recipes that predict."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import typer

from lmeec.errors import ConfigError
from lmeec_cli.called import command_line
from lmeec_cli.going_on import after_results
from lmeec_cli.terminal import echo, tell
from lmeec_cli.words import counted, in_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lmeec.cluster.resources import Wanted
    from lmeec.config import Direction, ExecutionConfig, PredictConfig
    from lmeec.data.takes import TakeSet
    from lmeec.files.remote.cache import FileCache
    from lmeec.files.remote.place import RemotePath
    from lmeec.runs.events import Reporter
    from lmeec.runs.executor import Executor
    from lmeec.runs.outcome import ModelInfo
    from lmeec.runs.stop import Stop
    from lmeec.runs.work import RunSummary
    from lmeec.runs.worker import Worker
    from lmeec.tables import Output
    from lmeec_cli.options import LogFormat

_JOB = ("take and direction", "takes and directions")
_HOW_TO_GO_ON = "finished takes are kept: run the same command again to go on"


def predict_takes(
    takes: str,
    out: str,
    config: PredictConfig,
    execution: ExecutionConfig,
    wanted: Wanted,
    *,
    checkpoint: Sequence[str],
    annotations: str | None,
    names: Sequence[str],
    every: int,
    overwrite: bool,
    retries: int,
    take_timeout: float | None,
    log_format: LogFormat,
    cache: FileCache | None = None,
) -> int:
    """Predict, and show how it goes; see `lmeec.runs.predict.predict_job` for the arguments.

    Returns:
        The exit status, 0 only if nothing failed.

    Raises:
        typer.Exit: the user stopped it; status 130.
    """
    from lmeec.runs.predict import predict, predict_job

    if config.calibration is not None:
        for name in set(config.directions) - config.calibration.known_directions:
            echo(f"note: the calibration says nothing of {name}: its confidence is the object score's", err=True)
    _check_timeout(wanted, take_timeout)
    job = predict_job(
        takes,
        out,
        checkpoint=checkpoint,
        config=config,
        execution=execution,
        annotations=annotations,
        names=names,
        every=every,
        overwrite=overwrite,
        retries=retries,
        cache=cache,
        command=command_line(),
    )
    return _run(job, partial(predict, job), PREDICTIONS, wanted, take_timeout, log_format, takes)


def cycle_table(
    table: str,
    takes: str,
    out: str,
    config: PredictConfig,
    execution: ExecutionConfig,
    wanted: Wanted,
    *,
    checkpoint: Sequence[str],
    annotations: str | None,
    overwrite: bool,
    retries: int,
    take_timeout: float | None,
    log_format: LogFormat,
    cache: FileCache | None = None,
) -> int:
    """Take the predictions of a table back, and show how it goes; see `lmeec.runs.cycle.cycle_job` for the arguments.

    Returns:
        The exit status, 0 only if nothing failed.

    Raises:
        typer.Exit: the user stopped it; status 130.
    """
    from lmeec.runs.cycle import cycle, cycle_job

    _check_timeout(wanted, take_timeout)
    job = cycle_job(
        table,
        takes,
        out,
        checkpoint=checkpoint,
        config=config,
        execution=execution,
        annotations=annotations,
        overwrite=overwrite,
        retries=retries,
        cache=cache,
        command=command_line(),
    )
    return _run(job, partial(cycle, job), ROUND_TRIPS, wanted, take_timeout, log_format, takes)


@dataclass(frozen=True)
class Made:
    """How what a run makes is called.

    Attributes:
        one: it.
        many: several.
        lacking: of frames that lack it, and how to find them.
        nothing: where there is none of it.
    """

    one: str
    many: str
    lacking: str
    nothing: str


PREDICTIONS = Made(
    one="prediction",
    many="predictions",
    lacking="frames have no prediction (column `missing` says why)",
    nothing="no frame could be predicted; column `missing` of {out} says why",
)
ROUND_TRIPS = Made(
    one="round trip",
    many="round trips",
    lacking="predictions have no round trip (`cycle_iou` is null)",
    nothing="no prediction could be taken back",
)


class _Job(Protocol):
    @property
    def config(self) -> PredictConfig: ...

    @property
    def execution(self) -> ExecutionConfig: ...

    @property
    def make_worker(self) -> Callable[[], Worker]: ...

    @property
    def takes(self) -> TakeSet: ...

    @property
    def sources(self) -> Mapping[Direction, str | RemotePath]: ...

    @property
    def out(self) -> Output: ...


def _check_timeout(wanted: Wanted, take_timeout: float | None) -> None:
    if wanted.workers == 0 and take_timeout is not None:
        raise ConfigError(
            "`take_timeout` needs a process that can be ended: use `workers=1` or more",
            settings=["take_timeout", "workers"],
        )


def _run(
    job: _Job,
    do: Callable[[Executor, Reporter, Stop], RunSummary],
    made: Made,
    wanted: Wanted,
    take_timeout: float | None,
    log_format: LogFormat,
    takes: str,
) -> int:
    from lmeec.cluster.executors import counted, executor_for
    from lmeec.runs.stop import Stop
    from lmeec.tables.metadata import caution_of
    from lmeec_cli.cautions import warn_all
    from lmeec_cli.profile import show_profile
    from lmeec_cli.progress import run_reporter
    from lmeec_cli.signals import Stopped, stopping
    from lmeec_cli.waiting import waits

    for warning in job.takes.warnings:
        echo(f"warning: {warning}", err=True)
    caution = caution_of([str(source) for source in job.sources.values()], synthetic=job.takes.synthetic)
    cautions = [] if caution is None else [caution]
    warn_all(cautions)
    stop = Stop()
    try:
        with ExitStack() as opened:
            with waits() as waiting:
                made_ready = executor_for(job, wanted, take_timeout=take_timeout, notice=tell, waiting=waiting)
                executor = opened.enter_context(made_ready)
            opened.enter_context(stopping(stop))
            _introduce(executor.describe())
            with run_reporter(log_format) as reporter:
                summary = do(executor, counted(reporter, wanted), stop)
    except (Stopped, KeyboardInterrupt):
        echo(f"stopped at once; {_HOW_TO_GO_ON}", err=True)
        raise typer.Exit(130) from None
    if job.execution.profile:
        show_profile(summary.profile)
    status = _conclude(summary, job.out, made, takes)
    warn_all(cautions)
    if status == 130:
        raise typer.Exit(status)
    return status


def _introduce(models: Mapping[Direction, ModelInfo]) -> None:
    for direction, model in models.items():
        tell(f"{direction}: model {model.name} ({model.digest[:12]}) on {model.device} in {model.dtype}")
    if any((model.device, model.dtype) == ("cpu", "bfloat16") for model in models.values()):
        from lmeec.model.build import has_fast_bfloat16

        if not has_fast_bfloat16():
            echo("warning: this CPU has no bfloat16 arithmetic; --dtype float32 is faster and exact", err=True)


def _conclude(summary: RunSummary, out: Output, made: Made, takes: str) -> int:
    """Say what became of the run; gives the exit status."""
    resumed = f" ({summary.resumed} of them done before)" if summary.resumed else ""
    if summary.waiting:
        echo(
            f"stopped: {summary.parts} of {counted(summary.parts + summary.waiting, *_JOB)} are done{resumed}, "
            f"{summary.waiting} remain; {_HOW_TO_GO_ON}",
            err=True,
        )
        return 130
    where = f"{out}: " if summary.rows or summary.parts else ""
    whole = "whole " if summary.failures else ""
    without = f"; {summary.missing:,} {made.lacking}" if summary.missing else ""
    jobs = counted(summary.parts, *(f"{whole}{name}" for name in _JOB))
    echo(
        f"{where}{counted(summary.rows, made.one, made.many)} from {jobs}{resumed}, {in_time(summary.seconds)}{without}"
    )
    if summary.failures:
        echo(
            f"error: {counted(len(summary.failures), 'job')} failed, see {out.failures}; run the same command again to "
            "try only these again",
            err=True,
        )
        return 1
    if not summary.rows:
        echo(f"error: {made.nothing.format(out=out)}", err=True)
        return 1
    tell(f"next: {after_results(str(out), takes=takes)}")
    return 0
