"""`lmeec cycle`: round trips for the predictions of a table that exists."""

from __future__ import annotations

from typing import Annotated

import typer

from lmeec.config import DEFAULT_POLICY
from lmeec_cli.options import (
    CACHE_SIZE,
    CLUSTER,
    Arithmetic,
    BatchTracks,
    CacheFolder,
    CacheSize,
    Checkpoints,
    ComputeOn,
    CpusPerWorker,
    DecodeOn,
    GpusPerWorker,
    LogFormat,
    MemoryPolicy,
    MemorySize,
    OverwriteRun,
    PixelChain,
    RelationsFile,
    Results,
    ResultsOut,
    Retries,
    RoundTripMemory,
    TakesFolder,
    TakeTimeout,
    Videos,
    Workers,
    auto_or_number,
    file_cache,
    log_format_option,
    metrics_option,
    metrics_port_option,
    ray_address_option,
    way_back,
)


def cycle(
    results: Results,
    takes: TakesFolder,
    out: ResultsOut,
    checkpoint: Checkpoints = None,
    annotations: RelationsFile = None,
    cycle_memory: RoundTripMemory = False,
    memory_policy: MemoryPolicy = DEFAULT_POLICY,
    memory_size: MemorySize = None,
    device: ComputeOn = "auto",
    dtype: Arithmetic = "auto",
    video: Videos = "auto",
    pixels: PixelChain = "fast",
    cache: CacheFolder = None,
    cache_size: CacheSize = CACHE_SIZE,
    decoder: DecodeOn = "cpu",
    batch_tracks: BatchTracks = "auto",
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
    """Take the predictions of a table back to the query view, and keep how much of the query mask comes back.

    Does for a table that exists, of `lmeec predict` or of `lmeec import`, what `lmeec predict --cycle` does on the way:
    a copy of the table has the columns cycle_iou and cycle_score. A prediction of ego2exo is taken back by the weights
    of exo2ego. Takes that the table has and the disk has not keep their rows, without round trips; they are listed in
    OUT.failures.json, and the exit status is 1. Goes on where it was interrupted, as `lmeec predict` does.

    **Examples**

    Of any method, after `lmeec import peers.json --annotations relations_val.json --out peers.parquet`:

        lmeec cycle peers.parquet takes/ --out trusted.parquet

    With the released weights, as a pair in one folder:

        lmeec cycle results.parquet takes/ --out trusted.parquet --checkpoint weights/
    """
    from lmeec.cluster.resources import Wanted
    from lmeec.config import ExecutionConfig, MemoryConfig, PredictConfig
    from lmeec_cli.predicting import cycle_table

    status = cycle_table(
        results,
        takes,
        out,
        PredictConfig(
            memory=MemoryConfig(policy=memory_policy, size=memory_size),
            dtype=dtype,
            video=video,
            pixels=pixels,
            cycle=way_back(cycle_memory),
        ),
        ExecutionConfig(device, auto_or_number(batch_tracks, "--batch-tracks"), decoder),
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
        overwrite=overwrite,
        retries=retries,
        take_timeout=take_timeout,
        log_format=log_format,
        cache=file_cache(cache, cache_size),
    )
    if status:
        raise typer.Exit(status)
