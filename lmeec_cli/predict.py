"""`lmeec predict`: takes in, one results table out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from lmeec.inference.run import RunSummary
    from lmeec.inference.worker import Worker


def predict(
    takes: Annotated[
        Path, typer.Argument(help="Folder of a data set, in the release or the processed layout.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.", show_default=False)],
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="Built-in model, checkpoint file, folder with the released pair (EgoExo_checkpoint.pt and "
            "ExoEgo_checkpoint.pt), or DIRECTION=FILE, once for each direction.",
            show_default="nano",
        ),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Relations file.", show_default="all in TAKES/annotations")
    ] = None,
    direction: Annotated[
        Literal["ego2exo", "exo2ego", "both"], typer.Option(help="ego2exo takes ego masks as query, exo2ego exo masks.")
    ] = "both",
    take: Annotated[
        list[str] | None, typer.Option(help="Name or uid of a take; repeat for more.", show_default="all")
    ] = None,
    objects: Annotated[
        list[str] | None, typer.Option("--object", help="Name of an object; repeat for more.", show_default="all")
    ] = None,
    memory_policy: Annotated[
        Literal["drop", "merge", "fifo", "kmeans", "iou"],
        typer.Option(help="What a full memory bank keeps: drop is what the released weights were used with."),
    ] = "drop",
    memory_size: Annotated[
        int | None, typer.Option(help="Entries in each memory bank.", show_default="the model's, 6 as released")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="auto takes a GPU where there is one.")
    ] = "auto",
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="auto is bfloat16 on a GPU, float32 on a CPU.")
    ] = "auto",
    video: Annotated[
        Literal["auto", "full", "448"], typer.Option(help="Videos to read; auto prefers downscaled/448 where it is.")
    ] = "auto",
    batch_tracks: Annotated[
        int, typer.Option(help="Tracks that go through the network at once; results do not depend on it.")
    ] = 8,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing output and discard an unfinished run's parts.")
    ] = False,
) -> None:
    """Segment every annotated object of the query views in the target views, for all takes of a data set.

    Each finished take is kept beside the output until all are done, so an interrupted run goes on where it was when the
    same command is run again. Takes that fail are listed in OUT.failures.json; the exit status is then 1.

    **Examples**

    All takes, both directions, with the built-in model:

        lmeec predict takes/ --out results.parquet

    The released weights, as a pair in one folder:

        lmeec predict takes/ --out results.parquet --checkpoint weights/

    One direction, one take, two objects, another memory policy:

        lmeec predict takes/ -o one.parquet --direction ego2exo --take cmu_bike01_5 \
            --object wrench_0 --object "tire lever_1" --memory-policy merge
    """
    from lmeec.config import MemoryConfig, PredictConfig
    from lmeec.data.takes import find_takes
    from lmeec.inference.run import check_output, failures_path, run_predictions
    from lmeec.inference.worker import Worker
    from lmeec.model.sources import checkpoint_sources
    from lmeec_cli.progress import run_reporter

    config = PredictConfig(
        directions=("ego2exo", "exo2ego") if direction == "both" else (direction,),
        memory=MemoryConfig(policy=memory_policy, size=memory_size),
        device=device,
        dtype=dtype,
        video=video,
        objects=tuple(objects or ()),
        batch_tracks=batch_tracks,
    )
    check_output(out, overwrite=overwrite)
    sources = checkpoint_sources(checkpoint or ["nano"], config.directions)
    found = find_takes(takes, annotations=annotations, video=video, names=take or ())
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    worker = Worker(sources, config)
    _introduce(worker)
    try:
        with run_reporter() as reporter:
            summary = run_predictions(worker, found, out, reporter, overwrite=overwrite)
    except KeyboardInterrupt:
        typer.echo("stopped; finished takes are kept: run the same command again to go on", err=True)
        raise typer.Exit(130) from None
    _summarise(summary, out)
    if summary.failures:
        typer.echo(f"error: {len(summary.failures)} jobs failed, see {failures_path(out)}", err=True)
        raise typer.Exit(1)


def _introduce(worker: Worker) -> None:
    for direction, loaded in worker.models.items():
        place, dtype = loaded.model.device.type, str(loaded.dtype).removeprefix("torch.")
        typer.echo(f"{direction}: model {loaded.name} ({loaded.digest[:12]}) on {place} in {dtype}", err=True)
    for name in {loaded.name for loaded in worker.models.values() if not loaded.trained}:
        typer.echo(
            f"warning: the built-in model {name} has random weights: it shows that everything runs, its masks mean "
            "nothing. Give trained weights with --checkpoint",
            err=True,
        )


def _summarise(summary: RunSummary, out: Path) -> None:
    resumed = f" ({summary.resumed} of them done before)" if summary.resumed else ""
    where = f"{out}: " if summary.parts else ""
    typer.echo(
        f"{where}{summary.rows:,} predictions from {summary.parts} takes and directions{resumed}, "
        f"{summary.seconds:.0f} s"
    )
