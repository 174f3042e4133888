"""`lmeec mllm train`: the stages of Exo2Ego, one after the other or each by itself."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmeec.mllm.config import Join, Preset
from lmeec_cli.options import (
    ArithmeticIfGiven,
    ComputeOnIfGiven,
    LogFormat,
    auto_or_number,
    log_format_option,
    metrics_option,
    metrics_port_option,
    ray_address_option,
)
from lmeec_cli.settings import HoldsSettings, Sets
from lmeec_cli.terminal import echo, tell_end

if TYPE_CHECKING:
    from lmeec.mllm.config import MllmConfig
    from lmeec.mllm.settings import Stage
    from lmeec.mllm.training_data import TrainingData

WhichStage = Literal["0", "1", "2", "3", "all"]

_WEIGHTS, _DATA = "Weights to begin with", "Data"


def train(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Folder; each stage has its own there, with its model, as OUT/stage3/model.",
            show_default=False,
        ),
    ],
    stage: Annotated[
        WhichStage, typer.Option(help="One stage, or all: from 0 from nothing, from 1 with weights of others.")
    ] = "all",
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="Sizes and settings: paper (CLIP-L, Mistral-7B) or nano.", show_default="that of --config, else paper"
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with the keys preset, model, training and data; OUT/stage0/train.yaml shows all of the "
            "first three.",
            show_default=False,
        ),
        HoldsSettings("--config"),
    ] = None,
    begin: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a model of ours, as a stage leaves it (OUT/stage2/model).",
            show_default="OUT's stage before",
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    videollama: Annotated[
        Path | None,
        typer.Option(
            help="Folder of VideoLLaMA2-7B(-16F), or of its Base with a connector alone.",
            show_default=False,
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    clip: Annotated[
        Path | None,
        typer.Option(help="Folder of a CLIP image encoder.", show_default=False, rich_help_panel=_WEIGHTS),
    ] = None,
    language: Annotated[
        Path | None,
        typer.Option(
            help="Folder of Mistral-7B-Instruct with its tokenizer; with --begin, where it is now.",
            show_default=False,
            rich_help_panel=_WEIGHTS,
        ),
    ] = None,
    synthetic: Annotated[
        bool,
        typer.Option("--synthetic", help="Learn from synthetic takes, drawn once.", rich_help_panel=_DATA),
        Sets("data.synthetic"),
    ] = False,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Table of `lmeec clips`, for stages 0 to 2.", show_default=False, rich_help_panel=_DATA),
        Sets("data.pairs"),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            help="File of questions in the project's own shape, for stage 3; others are named in --config.",
            show_default=False,
            rich_help_panel=_DATA,
        ),
        Sets("data.questions"),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(help="Folder that its videos are in.", show_default=False, rich_help_panel=_DATA),
    ] = None,
    join: Annotated[
        Join | None,
        typer.Option(
            help="What the language model sees: mapped is x and F(x), alone x, twice x and x, real x and y.",
            show_default="mapped",
        ),
        Sets("model.join"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every draw.", show_default="42"), Sets("training.seed")] = None,
    device: Annotated[ComputeOnIfGiven, Sets("training.device")] = None,
    dtype: Annotated[ArithmeticIfGiven, Sets("training.dtype")] = None,
    shard: Annotated[
        bool | None,
        typer.Option(
            "--shard/--no-shard",
            help="Divide parameters, gradients and optimiser state among the workers (FSDP2).",
            show_default="--no-shard",
        ),
        Sets("training.shard"),
    ] = None,
    workers: Annotated[
        str,
        typer.Option(metavar="auto|N", help="Processes that train together, on Ray; auto is one a GPU."),
    ] = "auto",
    ray_address: Annotated[str | None, ray_address_option(more=" All of them must see data and OUT.")] = None,
    metrics: Annotated[bool, metrics_option()] = False,
    metrics_port: Annotated[int | None, metrics_port_option()] = None,
    log_format: Annotated[LogFormat, log_format_option()] = "auto",
) -> None:
    r"""Train Exo2Ego in stages: 1 the exo encoder, 2 the ego encoder, F and G from pairs, 3 on questions, with LoRA.

    Stage 0 is for models that begin from nothing. A stage that was stopped goes on where it was; one that is done is
    left as it is.

    **Examples**

    All of it on a laptop, from synthetic takes:

        lmeec mllm train --preset nano --synthetic --out exo2ego

    The paper's model, on eight GPUs:

        lmeec mllm train --videollama VideoLLaMA2-7B-16F --clip clip-vit-large-patch14-336 \
            --pairs pairs.parquet --questions egoit.json --videos videos --shard --out exo2ego

    `lmeec mllm plan` tells the memory and the steps that it takes.
    """
    from lmeec.cluster.resources import Wanted
    from lmeec.mllm.pretrained import Pretrained
    from lmeec.mllm.train import MllmTrainJob, jobs_of
    from lmeec_cli.mllm_file import read_preset_or_file
    from lmeec_cli.training_jobs import trainer

    settings = read_preset_or_file(config, preset)
    changes: dict[str, Any] = {"seed": seed, "device": device, "dtype": dtype, "shard": shard}
    given_changes = {name: value for name, value in changes.items() if value is not None}
    training = replace(settings.training, **given_changes)
    given = any(path is not None for path in (videollama, clip, language)) and begin is None
    weights = Pretrained(videollama, clip, language).absolute() if given else None
    stages = _stages(stage, from_nothing=weights is None and begin is None)
    begun = begin or _before(out, stages[0])
    job = MllmTrainJob(
        stage=stages[0],
        out=out.absolute(),
        data=_data(settings.data, synthetic, pairs, questions, videos).absolute(),
        training=training,
        model=_model(settings.model, begun, join, from_file=config is not None),
        begin=begun and begun.absolute(),
        weights=weights,
        language=language.absolute() if language is not None and begun is not None else None,
    )
    with trainer(
        Wanted(
            auto_or_number(workers, "--workers"),
            address=ray_address,
            device=training.device,
            metrics=metrics,
            metrics_port=metrics_port,
        ),
        log_format,
    ) as train_job:
        for one in jobs_of(job, stages):
            if not train_job(one):
                echo(f"stopped and saved in {one.out}; run the same command again to go on", err=True)
                raise typer.Exit(130)
    tell_end(f"wrote {out}", _next(out, stages[-1]))


def _next(out: Path, last: Stage) -> str:
    """What to do with the model that the last stage has left."""
    from lmeec.mllm.settings import STAGES
    from lmeec.mllm.task import MODEL

    if last != STAGES[-1]:
        return f"the same with --stage {last + 1}"
    return f"lmeec mllm answer VIDEO QUESTION --model {shlex.quote(str(out / f'stage{last}' / MODEL))}"


def _model(model: MllmConfig, begun: Path | None, join: Join | None, *, from_file: bool) -> MllmConfig | None:
    """The model to train; None for the one that it begins with, unchanged."""
    from lmeec.mllm.checkpoint import read_config

    if begun is not None and not from_file:
        return None if join is None else replace(read_config(begun), join=join)
    return model if join is None else replace(model, join=join)


def _stages(stage: WhichStage, *, from_nothing: bool) -> tuple[Stage, ...]:
    from lmeec.mllm.settings import STAGES

    if stage != "all":
        return (STAGES[int(stage)],)
    return STAGES if from_nothing else STAGES[1:]


def _before(out: Path, stage: Stage) -> Path | None:
    """The model that the stage before has left in the same folder."""
    from lmeec.mllm.task import MODEL

    model = out / f"stage{stage - 1}" / MODEL
    return model if stage > 0 and model.exists() else None


def _data(
    data: TrainingData, synthetic: bool, pairs: Path | None, questions: Path | None, videos: Path | None
) -> TrainingData:
    from lmeec.mllm.training_data import QuestionSet

    if synthetic:
        data = replace(data, synthetic=True)
    if pairs is not None:
        data = replace(data, pairs=pairs)
    if questions is not None:
        data = replace(data, questions=(QuestionSet(questions, videos),))
    return data
