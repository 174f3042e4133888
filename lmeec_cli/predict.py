"""`lmeec predict`: takes in, one results table out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmeec.config import DEFAULT_POLICY, CycleWay, MaskSize, Refine, Targets
from lmeec_cli.options import (
    CACHE_SIZE,
    CLUSTER,
    Arithmetic,
    BatchTracks,
    CacheFolder,
    CacheSize,
    CalibrationFile,
    Checkpoints,
    ComputeOn,
    CpusPerWorker,
    DecodeOn,
    Directions,
    EveryFrame,
    GpusPerWorker,
    LogFormat,
    MemoryPolicy,
    MemorySize,
    Objects,
    OverwriteRun,
    PixelChain,
    RelationsFile,
    ResultsOut,
    Retries,
    RoundTripMemory,
    Takes,
    TakesIfGiven,
    TakeTimeout,
    Videos,
    WhichDirections,
    Workers,
    auto_or_number,
    directions_of,
    file_cache,
    log_format_option,
    metrics_option,
    metrics_port_option,
    ray_address_option,
    way_back,
)
from lmeec_cli.terminal import tell

if TYPE_CHECKING:
    from lmeec.files.remote.cache import FileCache

_PAIR = "One pair of videos"


def predict(
    out: ResultsOut,
    takes: TakesIfGiven = None,
    query: Annotated[
        str | None,
        typer.Option(
            help="A video whose masks are given with --masks, in place of TAKES: ego, or exo with --direction exo2ego.",
            show_default=False,
            rich_help_panel=_PAIR,
        ),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            help="Masks in --query, by its frames: COCO's JSON, a folder of PNG files or of such folders, an object "
            "each, or an earlier table.",
            show_default=False,
            rich_help_panel=_PAIR,
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="A video to segment the objects in; repeat for more. It begins when --query does.",
            show_default=False,
            rich_help_panel=_PAIR,
        ),
    ] = None,
    checkpoint: Checkpoints = None,
    annotations: RelationsFile = None,
    cache: CacheFolder = None,
    cache_size: CacheSize = CACHE_SIZE,
    direction: Directions = "both",
    take: Takes = None,
    objects: Objects = None,
    targets: Annotated[
        Targets,
        typer.Option(
            help="Segment an object in every target camera, or only where there is ground truth of it: what the "
            "benchmark scores, often much less work."
        ),
    ] = "all",
    every: EveryFrame = 1,
    memory_policy: MemoryPolicy = DEFAULT_POLICY,
    reverse: Annotated[
        bool,
        typer.Option(
            "--reverse",
            help="Follow objects from a take's last frame to its first, to be fused with a run that goes forwards.",
        ),
    ] = False,
    memory_size: MemorySize = None,
    device: ComputeOn = "auto",
    dtype: Arithmetic = "auto",
    video: Videos = "auto",
    pixels: PixelChain = "fast",
    mask_size: Annotated[
        MaskSize,
        typer.Option(
            help="Size of the masks in the results: the benchmark's (longer side 480, aspect kept), that of the "
            "target's own frames (source; scored at the benchmark's), or 480x480 whatever the frame's shape, for "
            "`lmeec score --protocol paper` (square)."
        ),
    ] = "evaluation",
    refine: Annotated[
        Refine,
        typer.Option(
            help="Draw the masks' edges again: by the colours of the frame at its own resolution, which helps the "
            "built-in model; of other weights it is untested. Scores and confidence stay as they are."
        ),
    ] = "none",
    decoder: DecodeOn = "cpu",
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
    propagate: Annotated[
        str | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="Carry query masks of a few frames, or of the first alone, through their view, with SAM 2.1's weights "
            "(sam2.1_hiera_base_plus.pt, a path or URL): to each frame, or to those of --every.",
            show_default=False,
        ),
    ] = None,
    batch_tracks: BatchTracks = "auto",
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile the network with torch.compile; for GPUs, and runs of hours."),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say at the end where the time went, and what bounds the run.")
    ] = False,
    overwrite: OverwriteRun = False,
    workers: Workers = "auto",
    gpus_per_worker: GpusPerWorker = None,
    cpus_per_worker: CpusPerWorker = None,
    ray_address: Annotated[str | None, ray_address_option(CLUSTER)] = None,
    retries: Retries = 2,
    take_timeout: TakeTimeout = None,
    metrics: Annotated[bool, metrics_option(CLUSTER)] = False,
    metrics_port: Annotated[int | None, metrics_port_option(CLUSTER)] = None,
    log_format: Annotated[LogFormat, log_format_option(CLUSTER)] = "auto",
) -> None:
    """Segment every annotated object of the query views in the target views, for all takes of a data set.

    Each finished take is kept beside the output until all are done, so an interrupted run goes on where it was when the
    same command is run again; after a finished run it does only what videos that have come since make possible. What
    fails is listed in OUT.failures.json; the exit status is 0 only if nothing did. `lmeec status OUT` tells how far a
    run is, from any terminal. Ctrl-C lets the takes at hand finish, a second one stops at once.

    **Examples**

    All takes, both directions, with the released weights as a pair in one folder:

        lmeec predict takes/ --out results.parquet --checkpoint weights/

    Takes of `lmeec synth`, with the built-in model, which is for these alone:

        lmeec predict takes/ --out results.parquet

    The pixels that the released code sees, from videos of full size:

        lmeec predict takes/ --out results.parquet --checkpoint weights/ --pixels released

    With a sign of how far each mask can be trusted:

        lmeec predict takes/ --out results.parquet --checkpoint weights/ --cycle

    Sharper masks of the built-in model:

        lmeec predict takes/ --out results.parquet --refine colours

    Recordings of one's own, at every 30th frame of masks that are dense:

        lmeec predict recordings.yaml --out results.parquet --checkpoint weights/ --every 30

    One pair of videos; `lmeec render one.parquet one.recordings.yaml --out videos/` shows the result:

        lmeec predict --query head.mp4 --masks masks/ --target side.mp4 --out one.parquet

    Objects of which there is a mask at the first frame alone:

        lmeec predict recordings.yaml -o results.parquet --checkpoint weights/ --propagate sam2.1_hiera_base_plus.pt

    One object of one take:

        lmeec predict takes/ -o one.parquet --checkpoint weights/ --take bike_5 --object wrench_0

    Overnight on a Ray cluster, results in an object store as one file a take and direction:

        lmeec predict /shared/takes -o s3://bucket/night/ --checkpoint /shared/weights/ --ray-address head:6379

    Two processes of one thread each, on a machine without a GPU:

        lmeec predict takes/ --out results.parquet --checkpoint weights/ --workers 2 --cpus-per-worker 1
    """
    from lmeec.analysis.calibration import read_calibration
    from lmeec.cluster.resources import Wanted
    from lmeec.config import ExecutionConfig, MemoryConfig, PredictConfig, PropagateConfig
    from lmeec_cli.predicting import predict_takes

    if query is not None and direction == "both":
        direction = "ego2exo"  # no other view has masks
    status = predict_takes(
        _takes_of(takes, query, masks, target, direction, out, overwrite, file_cache(cache, cache_size)),
        out,
        PredictConfig(
            directions=directions_of(direction),
            memory=MemoryConfig(policy=memory_policy, size=memory_size),
            dtype=dtype,
            video=video,
            pixels=pixels,
            mask_size=mask_size,
            reverse=reverse,
            refine=refine,
            objects=tuple(objects or ()),
            targets=targets,
            calibration=None if calibration is None else read_calibration(calibration),
            cycle=_way_of(cycle, cycle_memory),
            propagate=None if propagate is None else PropagateConfig(propagate),
        ),
        ExecutionConfig(device, auto_or_number(batch_tracks, "--batch-tracks"), decoder, compiled, profile),
        Wanted(
            auto_or_number(workers, "--workers"),
            gpus_per_worker,
            cpus_per_worker,
            ray_address,
            device,
            metrics,
            metrics_port,
        ),
        checkpoint=checkpoint or ["nano"],
        annotations=annotations,
        names=take or (),
        every=every,
        overwrite=overwrite,
        retries=retries,
        take_timeout=take_timeout,
        log_format=log_format,
        cache=file_cache(cache, cache_size),
    )
    if status:
        raise typer.Exit(status)


def _takes_of(
    takes: str | None,
    query: str | None,
    masks: str | None,
    targets: list[str] | None,
    direction: WhichDirections,
    out: str,
    overwrite: bool,
    cache: FileCache | None,
) -> str:
    """TAKES, or the manifest that is written for a pair of videos."""
    if query is None and masks is None and not targets:
        if takes is None:
            raise typer.BadParameter(
                "name a folder or manifest, or one pair of videos with --query", param_hint="TAKES"
            )
        return takes
    if takes is not None:
        raise typer.BadParameter(f"is in place of TAKES, which are {takes}", param_hint="--query")
    if query is None or masks is None or not targets:
        raise typer.BadParameter("go together: give all three", param_hint="--query, --masks and --target")
    from lmeec.data.manifest.making.pair import write_pair

    manifest = write_pair(
        query,
        masks,
        targets,
        out,
        query_view="exo" if direction == "exo2ego" else "ego",
        overwrite=overwrite,
        cache=cache,
    )
    tell(f"the pair is a take of {manifest}, which other commands take as TAKES")
    return str(manifest)


def _way_of(cycle: bool, memory: bool) -> CycleWay | None:
    if memory and not cycle:
        raise typer.BadParameter("needs --cycle, whose way back it gives a memory", param_hint="--cycle-memory")
    return way_back(memory) if cycle else None
