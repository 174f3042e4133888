"""`lmeec predict`: takes in, one results table out."""

from __future__ import annotations

from typing import Annotated

import typer

from lmeec.config import DEFAULT_POLICY, CycleWay, Decoder, MaskSize, Pixels, Policy
from lmeec_cli.options import (
    CACHE_SIZE,
    Arithmetic,
    CacheFolder,
    CacheSize,
    CalibrationFile,
    ComputeOn,
    Directions,
    LogFormat,
    Objects,
    RelationsFile,
    RoundTripMemory,
    Takes,
    TakesFolder,
    Videos,
    auto_or_number,
    directions_of,
    file_cache,
    log_format_option,
    ray_address_option,
    way_back,
)

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
            "ExoEgo_checkpoint.pt), or DIRECTION=FILE, once for each direction. Files and folders may be URLs.",
            show_default="nano",
        ),
    ] = None,
    annotations: RelationsFile = None,
    cache: CacheFolder = None,
    cache_size: CacheSize = CACHE_SIZE,
    direction: Directions = "both",
    take: Takes = None,
    objects: Objects = None,
    memory_policy: Annotated[
        Policy,
        typer.Option(help="What a full memory bank keeps: drop is what the released weights were used with."),
    ] = DEFAULT_POLICY,
    reverse: Annotated[
        bool,
        typer.Option(
            "--reverse",
            help="Follow objects from a take's last frame to its first, to be fused with a run that goes forwards.",
        ),
    ] = False,
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
    cycle: Annotated[
        bool,
        typer.Option(
            "--cycle",
            help="Take each prediction back to the query view, with the weights of the other direction, and keep how "
            "much of the query mask comes back (columns cycle_iou and cycle_score): how far to trust a mask without "
            "ground truth.",
        ),
    ] = False,
    cycle_memory: RoundTripMemory = False,
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

    With a sign of how far each mask can be trusted:

        lmeec predict takes/ --out results.parquet --cycle

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
    from lmeec_cli.predicting import predict_takes

    status = predict_takes(
        takes,
        out,
        PredictConfig(
            directions=directions_of(direction),
            memory=MemoryConfig(policy=memory_policy, size=memory_size),
            dtype=dtype,
            video=video,
            pixels=pixels,
            mask_size=mask_size,
            reverse=reverse,
            objects=tuple(objects or ()),
            calibration=None if calibration is None else read_calibration(calibration),
            cycle=_way_of(cycle, cycle_memory),
        ),
        ExecutionConfig(device, auto_or_number(batch_tracks, "--batch-tracks"), decoder, compiled, profile),
        Wanted(auto_or_number(workers, "--workers"), gpus_per_worker, cpus_per_worker, ray_address, device),
        checkpoint=checkpoint or ["nano"],
        annotations=annotations,
        names=take or (),
        overwrite=overwrite,
        retries=retries,
        take_timeout=take_timeout,
        log_format=log_format,
        cache=file_cache(cache, cache_size),
    )
    if status:
        raise typer.Exit(status)


def _way_of(cycle: bool, memory: bool) -> CycleWay | None:
    if memory and not cycle:
        raise typer.BadParameter("needs --cycle, whose way back it gives a memory", param_hint="--cycle-memory")
    return way_back(memory) if cycle else None
