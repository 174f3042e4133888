"""`lmeec predict`: takes in, one results table out."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec.config import DEFAULT_POLICY, Decoder, MaskSize, Pixels, Policy
from lmeec_cli.options import (
    Arithmetic,
    CalibrationFile,
    ComputeOn,
    Directions,
    LogFormat,
    Objects,
    RelationsFile,
    Takes,
    TakesFolder,
    Videos,
    auto_or_number,
    log_format_option,
    ray_address_option,
)
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lmeec.cluster.resources import Wanted
    from lmeec.config import Direction, ExecutionConfig, PredictConfig
    from lmeec.runs.ledger import Executor
    from lmeec.runs.predict import RunSummary
    from lmeec.runs.worker import ModelInfo
    from lmeec.tables import Output

_CLUSTER = "Workers and faults"


def predict(
    takes: TakesFolder,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            help="Parquet file to write, or a folder for one file a take and direction if the name ends in a slash; "
            "a path or a URL such as s3://bucket/results.parquet.",
            show_default=False,
        ),
    ],
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="Built-in model, checkpoint file, folder with the released pair (EgoExo_checkpoint.pt and "
            "ExoEgo_checkpoint.pt), or DIRECTION=FILE, once for each direction.",
            show_default="nano",
        ),
    ] = None,
    annotations: RelationsFile = None,
    direction: Directions = "both",
    take: Takes = None,
    objects: Objects = None,
    memory_policy: Annotated[
        Policy,
        typer.Option(help="What a full memory bank keeps: drop is what the released weights were used with."),
    ] = DEFAULT_POLICY,
    memory_size: Annotated[
        int | None, typer.Option(help="Entries in each memory bank.", show_default="the model's, 6 as released")
    ] = None,
    device: ComputeOn = "auto",
    dtype: Arithmetic = "auto",
    video: Videos = "auto",
    pixels: Annotated[
        Pixels,
        typer.Option(
            help="How frames of videos are resized: quickly, or through JPEG as the released code does it (nothing is "
            "written), which takes videos of full size."
        ),
    ] = "fast",
    mask_size: Annotated[
        MaskSize,
        typer.Option(
            help="Size of the masks in the results: the benchmark's (longer side 480, aspect kept), or 480x480 "
            "whatever the frame's shape, for `lmeec score --protocol paper`."
        ),
    ] = "evaluation",
    decoder: Annotated[
        Decoder,
        typer.Option(help="Where to decode videos; gpu is an NVIDIA GPU's decoder, or the CPU where there is none."),
    ] = "cpu",
    calibration: CalibrationFile = None,
    batch_tracks: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Tracks that go through the network at once, fewer when memory runs out; results do not depend on it.",
        ),
    ] = "auto",
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile the network with torch.compile; for GPUs, and runs of hours."),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say at the end where the time went, and what bounds the run.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing output and discard an unfinished run's parts.")
    ] = False,
    workers: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Processes that predict, on Ray; auto is one a GPU, or one for two CPUs without any. 0, and auto "
            "where one would do, stay in this process and need no Ray.",
            rich_help_panel=_CLUSTER,
        ),
    ] = "auto",
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(help="May be a fraction.", show_default="1 where there are GPUs", rich_help_panel=_CLUSTER),
    ] = None,
    cpus_per_worker: Annotated[
        int | None,
        typer.Option(help="And threads.", show_default="a fair share", rich_help_panel=_CLUSTER),
    ] = None,
    ray_address: Annotated[str | None, ray_address_option(_CLUSTER)] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a take that failed is tried again.", rich_help_panel=_CLUSTER)
    ] = 2,
    take_timeout: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Seconds that a take may go without a new prediction, as when a read stalls, before its worker is "
            "replaced and the take tried again. Needs workers.",
            show_default="1800",
            rich_help_panel=_CLUSTER,
        ),
    ] = None,
    log_format: Annotated[LogFormat, log_format_option(_CLUSTER)] = "auto",
) -> None:
    """Segment every annotated object of the query views in the target views, for all takes of a data set.

    Each finished take is kept beside the output until all are done, so an interrupted run goes on where it was when the
    same command is run again; after a finished run it does only what videos that have come since make possible. What
    fails is listed in OUT.failures.json; the exit status is 0 only if nothing did. `lmeec status OUT` tells how far a
    run is, from any terminal. Ctrl-C lets the takes at hand finish, a second one stops at once.

    **Examples**

    All takes, both directions, with the built-in model:

        lmeec predict takes/ --out results.parquet

    The released weights, as a pair in one folder:

        lmeec predict takes/ --out results.parquet --checkpoint weights/

    The pixels that the released code sees, from videos of full size:

        lmeec predict takes/ --out results.parquet --checkpoint weights/ --pixels released

    One direction, one take, two objects:

        lmeec predict takes/ -o one.parquet --direction ego2exo --take bike_5 --object wrench_0 --object "tire lever_1"

    Overnight on a Ray cluster, results in an object store as one file a take and direction:

        lmeec predict /shared/takes --out s3://bucket/night/ --ray-address head:6379 --log-format json

    Two processes of one thread each, on a machine without a GPU:

        lmeec predict takes/ --out results.parquet --workers 2 --cpus-per-worker 1
    """
    from lmeec.analysis.calibration import read_calibration
    from lmeec.cluster.resources import Wanted
    from lmeec.config import ExecutionConfig, MemoryConfig, PredictConfig
    from lmeec.data.takes import find_takes
    from lmeec.errors import ConfigError
    from lmeec.model.sources import checkpoint_sources
    from lmeec.runs.ledger import Stop
    from lmeec.runs.predict import check_output, run_predictions
    from lmeec.tables import Output
    from lmeec_cli.profile import show_profile
    from lmeec_cli.progress import run_reporter
    from lmeec_cli.signals import Stopped, stopping

    rule = None if calibration is None else read_calibration(calibration)
    config = PredictConfig(
        directions=("ego2exo", "exo2ego") if direction == "both" else (direction,),
        memory=MemoryConfig(policy=memory_policy, size=memory_size),
        dtype=dtype,
        video=video,
        pixels=pixels,
        mask_size=mask_size,
        objects=tuple(objects or ()),
        calibration=rule,
    )
    execution = ExecutionConfig(device, auto_or_number(batch_tracks, "--batch-tracks"), decoder, compiled, profile)
    if rule is not None:
        for name in set(config.directions) - set(rule.directions):
            echo(f"note: {calibration} says nothing of {name}: its confidence is the object score's", err=True)
    wanted = Wanted(auto_or_number(workers, "--workers"), gpus_per_worker, cpus_per_worker, ray_address, device)
    if wanted.workers == 0 and take_timeout is not None:
        raise ConfigError("--take-timeout needs a process that can be ended: use --workers 1 or more")
    output = Output.of(out).absolute()
    check_output(output, overwrite=overwrite)
    sources = checkpoint_sources(checkpoint or ["nano"], config.directions)
    found = find_takes(takes.absolute(), annotations=annotations, video=config.video_size, names=take or ())
    for warning in found.warnings:
        echo(f"warning: {warning}", err=True)
    stop = Stop()
    try:
        with _executor(wanted, sources, config, execution, take_timeout) as executor, stopping(stop):
            _introduce(executor.describe())
            with run_reporter(log_format) as reporter:
                summary = run_predictions(
                    executor, found, output, reporter, overwrite=overwrite, retries=retries, stop=stop
                )
    except (Stopped, KeyboardInterrupt):
        echo(f"stopped at once; {_HOW_TO_GO_ON}", err=True)
        raise typer.Exit(130) from None
    if profile:
        show_profile(summary.profile)
    _conclude(summary, output)


_HOW_TO_GO_ON = "finished takes are kept: run the same command again to go on"


@contextmanager
def _executor(
    wanted: Wanted,
    sources: Mapping[Direction, str],
    config: PredictConfig,
    execution: ExecutionConfig,
    take_timeout: float | None,
) -> Iterator[Executor]:
    from functools import partial

    from lmeec.cluster.resources import in_process_reason
    from lmeec.errors import ClusterError
    from lmeec.extras import how_to_install
    from lmeec.runs.ledger import InProcess
    from lmeec.runs.worker import Worker

    reason = in_process_reason(wanted, needs_workers=take_timeout is not None)
    if reason is not None:
        if wanted.workers != 0:
            echo(f"predicting in this process: {reason}", err=True)
        yield InProcess(Worker(sources, config, execution))
        return
    try:
        from lmeec.cluster.executor import DEFAULT_TAKE_TIMEOUT_S, RayExecutor
        from lmeec.cluster.session import ray_session
    except ImportError as error:
        raise ClusterError(
            f"workers need ray, which cannot be imported ({error}): {how_to_install('ray')}, or use --workers 0"
        ) from error

    absolute = {direction: _absolute(source) for direction, source in sources.items()}
    make_worker = partial(Worker, absolute, config, execution)
    with ray_session(wanted) as sizes:
        where = "here" if wanted.address is None else f"on the Ray cluster at {wanted.address}"
        gpus = f"{sizes.gpus:g} GPUs and " if sizes.gpus else ""
        echo(f"predicting with {sizes.workers} workers {where}, each with {gpus}{sizes.cpus} CPUs", err=True)
        with RayExecutor(make_worker, config, sizes, take_timeout or DEFAULT_TAKE_TIMEOUT_S) as executor:
            yield executor


def _absolute(source: str) -> str:
    """Workers have folders of their own to be in."""
    path = Path(source)
    return str(path.absolute()) if path.exists() else source


def _introduce(models: Mapping[Direction, ModelInfo]) -> None:
    for direction, model in models.items():
        echo(f"{direction}: model {model.name} ({model.digest[:12]}) on {model.device} in {model.dtype}", err=True)
    if any((model.device, model.dtype) == ("cpu", "bfloat16") for model in models.values()):
        from lmeec.model.build import has_fast_bfloat16

        if not has_fast_bfloat16():
            echo("warning: this CPU has no bfloat16 arithmetic; --dtype float32 is faster and exact", err=True)


def _conclude(summary: RunSummary, out: Output) -> None:
    resumed = f" ({summary.resumed} of them done before)" if summary.resumed else ""
    if summary.waiting:
        echo(
            f"stopped: {summary.parts} takes and directions are done{resumed}, {summary.waiting} remain; "
            f"{_HOW_TO_GO_ON}",
            err=True,
        )
        raise typer.Exit(130)
    where = f"{out}: " if summary.rows or summary.parts else ""
    whole = "whole " if summary.failures else ""
    without = f"; {summary.missing:,} frames have no prediction (column `missing` says why)" if summary.missing else ""
    echo(
        f"{where}{summary.rows:,} predictions from {summary.parts} {whole}takes and directions{resumed}, "
        f"{summary.seconds:.0f} s{without}"
    )
    if summary.failures:
        echo(
            f"error: {len(summary.failures)} jobs failed, see {out.failures}; run the same command again to try only "
            "these again",
            err=True,
        )
        raise typer.Exit(1)
    if not summary.rows:
        echo(f"error: no frame could be predicted; column `missing` of {out} says why", err=True)
        raise typer.Exit(1)
