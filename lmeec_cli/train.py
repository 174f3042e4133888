"""`lmeec train`: takes in, a model out."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmeec.files.places import Place, is_url, place
from lmeec_cli.options import (
    ArithmeticIfGiven,
    ComputeOnIfGiven,
    DirectionsIfGiven,
    LogFormat,
    RelationsFile,
    WhichDirections,
    auto_or_number,
    log_format_option,
    metrics_option,
    metrics_port_option,
    ray_address_option,
)
from lmeec_cli.settings import HoldsSettings, Sets
from lmeec_cli.terminal import echo, tell_end
from lmeec_cli.training_jobs import trainer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.config import Direction
    from lmeec.training.config import TrainConfig

_SYNTHETIC = "synthetic"


def train(
    takes: Annotated[
        str,
        typer.Argument(
            help="Folder of a data set, in the release or the processed layout, a path or URL; or the word synthetic, "
            "for scenes that are drawn on the fly.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for weights, state, log and settings.", show_default=False)
    ],
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="Weights to begin with: SAM 2.1's, as the paper begins with, an LM-EEC checkpoint, or a built-in "
            "model's name.",
            show_default="random weights",
        ),
    ] = None,
    model: Annotated[
        Literal["nano", "base_plus"] | None,
        typer.Option(help="Size of a model that begins with random weights.", show_default="base_plus"),
    ] = None,
    only: Annotated[
        Literal["presence"] | None,
        typer.Option(
            help="Train this part alone and leave all other weights as they are: presence is the head that says "
            "whether the object is visible.",
            show_default="everything",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with any of the settings; OUT/train.yaml shows them all. Options given here come first.",
            show_default="the recipe finetune",
        ),
        HoldsSettings("--config FILE"),
    ] = None,
    annotations: RelationsFile = None,
    validate: Annotated[
        str | None,
        typer.Option(
            help="Data set to judge the model on, on the way; OUT/best.safetensors has the highest IoU.",
            show_default="none",
        ),
    ] = None,
    validate_annotations: Annotated[
        str | None, typer.Option(help="Relations file of --validate.", show_default="all in its annotations folder")
    ] = None,
    validate_every: Annotated[
        int | None, typer.Option(help="Steps between validations.", show_default="1000"), Sets("validation.every")
    ] = None,
    direction: DirectionsIfGiven = None,
    epochs: Annotated[
        float | None, typer.Option(help="An epoch has one clip of every track.", show_default="60")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the whole training, in place of epochs.", show_default=False)
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Clips in a step, over all workers.", show_default="32")] = None,
    clip_frames: Annotated[
        int | None, typer.Option(help="Annotated frames in a clip.", show_default="8"), Sets("clips.frames")
    ] = None,
    objects: Annotated[
        int | None,
        typer.Option(help="Objects that are followed in a clip, at most.", show_default="3"),
        Sets("clips.objects"),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            help="Learning rate at the beginning; the image encoder's keeps its proportion to it.", show_default="5e-6"
        ),
        Sets("optimiser.lr"),
    ] = None,
    train_absent: Annotated[
        bool | None,
        typer.Option(
            "--train-absent/--no-train-absent",
            help="Train on frames in which the object is annotated as not visible, too; the released weights did not.",
            show_default="--train-absent",
        ),
        Sets("clips.train_absent"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every draw.", show_default="0")] = None,
    device: ComputeOnIfGiven = None,
    dtype: ArithmeticIfGiven = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded frames.", show_default="OUT/cache")] = None,
    workers: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Processes that train together, on Ray; auto is one a GPU. One stays in this process and needs no "
            "Ray.",
        ),
    ] = "auto",
    ray_address: Annotated[str | None, ray_address_option(more=" All of them must see TAKES and OUT.")] = None,
    metrics: Annotated[bool, metrics_option()] = False,
    metrics_port: Annotated[int | None, metrics_port_option()] = None,
    log_format: Annotated[LogFormat, log_format_option()] = "auto",
) -> None:
    """Train LM-EEC on takes or on synthetic scenes.

    The defaults are those of the recipe finetune; the recipe train-released trains as the released weights were.

    Run the same command again after an interruption: it goes on exactly where its last saved state is. Ctrl-C and
    SIGTERM save first; a second Ctrl-C stops at once. OUT/best.safetensors and OUT/last.safetensors are checkpoints for
    `lmeec predict`; OUT/log.jsonl and OUT/tensorboard have the losses and validations.

    **Examples**

    Fine-tune SAM 2.1, and judge it on other takes:

        lmeec train data/ -o run --checkpoint sam2.1.pt --annotations train.json --validate data/
        --validate-annotations val.json

    Go on from the released weights, in one direction, on own takes:

        lmeec train takes/ --out run --checkpoint EgoExo_checkpoint.pt --direction ego2exo --epochs 5

    A small model from nothing, on synthetic scenes:

        lmeec train synthetic --out run --model nano --steps 20000 --lr 5e-4

    The object score alone, of weights that are good at masks already; absent frames are sampled on purpose:

        lmeec train takes/ --out presence --checkpoint run/best.safetensors --only presence

    Settings without an option:

        lmeec train takes/ --out run --checkpoint sam2.1_hiera_base_plus.pt --config mine.yaml
    """
    from lmeec.errors import ConfigError
    from lmeec.training.config import TrainConfig, presence
    from lmeec_cli.train_file import read_settings

    if checkpoint is not None and model is not None:
        raise ConfigError("--checkpoint brings its own model: leave out --model")
    settings = (presence() if only else TrainConfig()) if config is None else read_settings(config)
    if model is not None:
        settings = replace(settings, checkpoint=None, model=model)
    settings = _with_options(
        settings,
        {"only": only, "epochs": epochs, "steps": steps, "seed": seed, "device": device, "dtype": dtype},
        optimiser=_rates(settings, lr),
        validation={"every": validate_every},
        clips={
            "directions": _directions(direction),
            "train_absent": train_absent,
        },
    )
    settings = _with_sizes(settings, batch, clip_frames, objects, synthetic=takes == _SYNTHETIC)
    start(
        takes,
        out,
        settings,
        checkpoint,
        annotations,
        validate,
        validate_annotations,
        cache,
        workers,
        ray_address,
        log_format,
        metrics=metrics,
        metrics_port=metrics_port,
    )


def start(
    takes: str,
    out: Path,
    settings: TrainConfig,
    checkpoint: str | None,
    annotations: str | None,
    validate_on: str | None,
    validate_annotations: str | None,
    cache: Path | None,
    workers: str,
    ray_address: str | None,
    log_format: LogFormat,
    *,
    metrics: bool = False,
    metrics_port: int | None = None,
) -> None:
    """Train; the arguments are the options of the command, and its settings."""
    from lmeec.cluster.resources import Wanted
    from lmeec.model.build import BUILT_IN
    from lmeec.training.run import TrainJob

    if checkpoint is not None:  # comes before what the settings begin with
        settings = replace(settings, checkpoint=checkpoint, model=None)
    if settings.checkpoint is not None and settings.checkpoint not in BUILT_IN and not is_url(settings.checkpoint):
        settings = replace(settings, checkpoint=str(Path(settings.checkpoint).absolute()))
    # Workers have folders of their own to be in.
    job = TrainJob(
        takes=None if takes == _SYNTHETIC else place(takes).absolute(),
        out=out.absolute(),
        config=settings,
        annotations=_place(annotations),
        validate=_place(validate_on),
        validate_annotations=_place(validate_annotations),
        cache=cache and cache.absolute(),
    )
    wanted = Wanted(
        auto_or_number(workers, "--workers"),
        address=ray_address,
        device=settings.device,
        metrics=metrics,
        metrics_port=metrics_port,
    )
    with trainer(wanted, log_format) as train_job:
        finished = train_job(job)
    if not finished:
        echo(f"stopped and saved in {out}; run the same command again to go on", err=True)
        raise typer.Exit(130)
    from lmeec.training.output.folder import BEST, LAST

    written = [str(out / name) for name in (BEST, LAST) if (out / name).exists()]
    where = "TAKES" if takes == _SYNTHETIC or validate_on is None else shlex.quote(validate_on)
    tell_end(
        f"wrote {' and '.join(written)}",
        f"lmeec predict {where} --checkpoint {shlex.quote(written[0])} --out results.parquet" if written else None,
    )


def _place(given: str | None) -> Place | None:
    return None if given is None else place(given).absolute()


def _with_options(settings: TrainConfig, changes: Mapping[str, Any], **parts: Mapping[str, Any]) -> TrainConfig:
    """Settings with the options that were given."""
    if changes.get("epochs") is not None and changes.get("steps") is None:
        settings = replace(settings, steps=None)
    given = {name: replace(getattr(settings, name), **_given(values)) for name, values in parts.items()}
    return replace(settings, **_given(changes), **given)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _directions(direction: WhichDirections | None) -> tuple[Direction, ...] | None:
    if direction is None:
        return None
    return ("ego2exo", "exo2ego") if direction == "both" else (direction,)


def _rates(settings: TrainConfig, lr: float | None) -> dict[str, float]:
    before = settings.optimiser
    return {} if lr is None else {"lr": lr, "encoder_lr": before.encoder_lr * lr / before.lr}


def _with_sizes(
    settings: TrainConfig, batch: int | None, frames: int | None, objects: int | None, *, synthetic: bool
) -> TrainConfig:
    """Settings with sizes of batches and clips, which every phase of synthetic scenes has by itself."""
    if not synthetic:
        return _with_options(settings, {"batch": batch}, clips={"frames": frames, "objects": objects})
    scenes = settings.synthetic
    phases = tuple(replace(phase, **_given({"clips": batch, "frames": frames})) for phase in scenes.phases)
    longest = max(phase.frames for phase in phases)
    changed = {"phases": phases, "followed": objects, "frames_kept": max(scenes.frames_kept, longest)}
    return replace(settings, synthetic=replace(scenes, **_given(changed)))
