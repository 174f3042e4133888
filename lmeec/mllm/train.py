"""The training of a stage of Exo2Ego from beginning to end, in this process: model, clips, folder and loop together."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from lmeec.errors import ConfigError
from lmeec.mllm.checkpoint import LanguageSource, load_mllm, read_config, read_parts
from lmeec.mllm.config import PRESETS
from lmeec.mllm.data.examples import Examples, Form
from lmeec.mllm.data.words import reply_of, words_of
from lmeec.mllm.marks_head import MarksHead
from lmeec.mllm.model import Exo2Ego
from lmeec.mllm.pretrained import Pretrained, load_pretrained, with_sizes_of
from lmeec.mllm.prompt import Prompter
from lmeec.mllm.settings import NAMES, MllmTrainConfig, Stage
from lmeec.mllm.sharding import shard_model
from lmeec.mllm.stages import LAST_STAGE, parts_of_stage, prepare_stage
from lmeec.mllm.task import MODEL, StageTask, cast_for
from lmeec.mllm.training_data import clips_of_stage
from lmeec.mllm.vocabulary import make_vocabulary
from lmeec.mllm.whitening import whiten_patches
from lmeec.model.build import resolve_device, resolve_dtype
from lmeec.training.config import OptimiserConfig
from lmeec.training.group import Group
from lmeec.training.loop import Loop, Pace
from lmeec.training.output.folder import TrainingFolder
from lmeec.training.output.progress import Note, Preparing, TrainingReporter
from lmeec.training.run import Said, train_in_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lmeec.mllm.config import MllmConfig
    from lmeec.mllm.data.source import ClipSource
    from lmeec.mllm.hugging_face import PreTrainedTokenizerBase
    from lmeec.mllm.training_data import TrainingData

_FREE = ("device", "micro_batch", "recompute", "save_every", "shard")
"""Settings that may change when a training goes on: they say how it is computed, not what it is."""

_FORMS: Mapping[Stage, Form] = {0: "either", 1: "caption", 2: "caption", LAST_STAGE: "question"}

DRAWN = "drawn"
"""Where synthetic clips are kept, in the folder that the stages' folders are in."""


@dataclass(frozen=True)
class MllmTrainJob:
    """A stage to be trained; can be sent to other processes.

    Attributes:
        stage: its number.
        out: folder of this stage's training.
        data: what is learned from.
        training: settings.
        model: sizes and choices of a model that begins here; None takes those of `begin`, or the preset `paper`.
        begin: folder of a model of ours to begin with, as the stage before leaves it in `model`.
        weights: folders of others' weights to begin with, where there is no `begin`; None with neither begins from
            nothing, which only stage 0 can.
        language: the language model's folder, where it is no longer where `begin` says.
        drawn: folder of synthetic clips; None means one beside `out`.
    """

    stage: Stage
    out: Path
    data: TrainingData
    training: MllmTrainConfig
    model: MllmConfig | None = None
    begin: Path | None = None
    weights: Pretrained | None = None
    language: Path | None = None
    drawn: Path | None = None

    def run(
        self, reporter: TrainingReporter, group: Group | None = None, stopping: Callable[[], bool] = lambda: False
    ) -> bool:
        """See `train_stage`."""
        return train_stage(self, reporter, group, stopping)


def train_stage(
    job: MllmTrainJob,
    reporter: TrainingReporter,
    group: Group | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Train a stage, or go on with one that was stopped; the model is in `model` of the job's folder then.

    Args:
        job: what to train.
        reporter: is told how it goes.
        group: this process among others that train the same model.
        stopping: whether to save and end.

    Returns:
        False if it was stopped before its end.

    Raises:
        ConfigError: settings that cannot be.
        DataError: clips that cannot be used.
        CheckpointError: weights that cannot be used.
        OutputError: the folder is in use, holds another training, or cannot be written.
        TrainingError: the training cannot go on.
    """
    group, training, stage = group or Group(), job.training, job.stage
    settings = training.stage(stage)
    if settings.batch < group.workers:
        raise ConfigError(
            f"`training.stage{stage}.batch` is {settings.batch}, which cannot be divided among {group.workers} workers",
            settings=[f"training.stage{stage}.batch"],
        )
    with ExitStack() as opened:
        folder = TrainingFolder(job.out)
        if group.leads:
            opened.enter_context(folder)
        device = resolve_device(training.device)
        dtype = resolve_dtype(training.dtype, device)
        begun = _begin(job, group, reporter, dtype)
        model = begun.model
        prepare_stage(model, stage, training)
        if training.recompute:
            model.save_memory()
        clips = _clips(job, stage, model.config, group, reporter)
        if job.begin is None and job.weights is None:
            whiten_patches(model, clips, training.seed)
        cast_for(model, dtype)
        model.to(device)
        sharded = training.shard and group.workers > 1
        if sharded:
            shard_model(model, group.workers)
        steps = settings.steps or math.ceil(settings.epochs * len(clips) / settings.batch)
        source = opened.enter_context(_examples(job, clips, begun, group, reporter))
        task = StageTask(
            model,
            begun.tokenizer,
            stage,
            training,
            language=begun.language,
            autocast=dtype if dtype != torch.float32 else None,
            sharded=sharded,
            marks=_marks(job, model.config, device),
            leads=group.leads,
        )
        loop = Loop(task, _pace(training, stage, steps), steps, group)
        values = training.to_dict()
        name = str(dtype).removeprefix("torch.")
        about = f"{len(clips):,} clips"
        said = Said(
            binding={
                **{key: value for key, value in values.items() if key not in _FREE},
                "stage": stage,
                "model": model.config.to_dict(),
                "dtype": name,
                "begun_with": begun.about,
                "clips": len(clips),
                "steps": steps,
            },
            repeatable={"model": model.config.to_dict(), "training": values},
            parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
            begun_with=f"{about}, begun with {begun.about}",
            about=f"stage {stage} ({NAMES[stage]}), begun with {begun.about}, on {about}, on {device} in {name}",
        )
        return train_in_folder(loop, folder, source, said, reporter, stopping=stopping)


def _marks(job: MllmTrainJob, config: MllmConfig, device: torch.device) -> MarksHead | None:
    training = job.training
    if job.stage == 0 and training.stage0.train_all and training.losses.marks and job.data.synthetic:
        return MarksHead(config, training.seed).to(device)
    return None


def jobs_of(job: MllmTrainJob, stages: tuple[Stage, ...]) -> Iterator[MllmTrainJob]:
    """The jobs of several stages, each of which begins with the model of the one before it.

    Args:
        job: its `out` gets a folder a stage, `stage0` to `stage3`; the first stage begins as it says.
        stages: ascending.
    """
    begin = job.begin
    for place, stage in enumerate(stages):
        out = job.out / f"stage{stage}"
        first = place == 0
        yield replace(
            job,
            stage=stage,
            out=out,
            begin=begin,
            weights=job.weights if first else None,
            model=job.model if first else None,
            drawn=job.drawn or job.out / DRAWN,
        )
        begin = out / MODEL


@dataclass(frozen=True)
class _Begun:
    model: Exo2Ego
    tokenizer: PreTrainedTokenizerBase
    about: str
    language: LanguageSource | None


def _begin(job: MllmTrainJob, group: Group, reporter: TrainingReporter, dtype: torch.dtype) -> _Begun:
    """The model that a stage begins with, its tokenizer, and in words where they are from."""
    seed = job.training.seed
    if job.begin is not None:
        config = job.model or read_config(job.begin)
        needed = parts_of_stage(job.stage, config)
        there = tuple(part for part in needed if part in read_parts(job.begin))
        loaded = load_mllm(job.begin, parts=there, config=config, language=job.language)
        about = f"{job.begin.parent.name}/{job.begin.name} ({loaded.digest[:12]})"
        return _Begun(loaded.model, loaded.tokenizer, about, loaded.language)
    if job.weights is not None:
        config = with_sizes_of(job.weights, job.model or PRESETS["paper"]())
        model, tokenizer = load_pretrained(config, job.weights, dtype=dtype, seed=seed)
        language = LanguageSource.of(job.weights.language_folder)
        return _Begun(model, tokenizer, f"weights of others ({language.digest[:12]})", language)
    if job.stage != 0 or not job.training.stage0.train_all:
        raise ConfigError(
            f"stage {job.stage} begins with weights: name a model of ours (`begin`), or folders of VideoLLaMA2, or of "
            "CLIP and Mistral (`weights`); only stage 0 with `training.stage0.train_all=True` begins from nothing",
            settings=["begin", "weights", "training.stage0.train_all"],
        )
    config = job.model or PRESETS["nano"]()
    tokenizer = make_vocabulary(_sentences(job, config, group, reporter), config.language.vocabulary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _Begun(Exo2Ego(config), tokenizer, f"nothing (seed {seed})", None)


def _sentences(job: MllmTrainJob, config: MllmConfig, group: Group, reporter: TrainingReporter) -> list[str]:
    """The texts of all stages, which a vocabulary is made from."""
    found: dict[str, None] = {}
    for stage in (0, LAST_STAGE):
        for sample in _clips(job, stage, config, group, reporter).samples:
            found[reply_of(sample) or ""] = None
            if stage == LAST_STAGE:
                found[words_of(sample)] = None
    return list(found)


def _clips(job: MllmTrainJob, stage: Stage, config: MllmConfig, group: Group, reporter: TrainingReporter) -> ClipSource:
    drawn = job.drawn or job.out.parent / DRAWN

    def told(done: int, takes: int) -> None:
        reporter.event(Preparing(done, takes))

    if not group.leads:
        # The leading process draws what is missing; the others find it there.
        group.gather(None)
    clips = clips_of_stage(job.data, stage, config.frames, drawn, seed=job.training.seed, on_progress=told)
    if group.leads:
        group.gather(None)
    return clips


def _examples(
    job: MllmTrainJob, clips: ClipSource, begun: _Begun, group: Group, reporter: TrainingReporter
) -> Examples:
    def told(problem: str) -> None:
        reporter.event(Note(f"warning: {problem}"))

    return Examples(
        clips,
        Prompter(begun.tokenizer, begun.model.config),
        begun.model.config,
        form=_FORMS[job.stage],
        batch=job.training.stage(job.stage).batch,
        seed=job.training.seed,
        group=group,
        on_problem=told,
    )


def _pace(training: MllmTrainConfig, stage: Stage, steps: int) -> Pace:
    settings = training.stage(stage)
    optimiser = OptimiserConfig(
        lr=settings.lr,
        encoder_lr=settings.lr,
        layer_decay=1.0,
        final=training.final,
        warmup=round(settings.warmup * steps),
        weight_decay=training.weight_decay,
        clip_norm=training.clip_norm,
        betas=training.betas,
    )
    return Pace(training.seed, training.save_every, steps, optimiser)
