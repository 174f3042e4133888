"""One training from beginning to end, in this process: model, clips, folder and loop put together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lmeec.data.takes import TakeSet, find_takes
from lmeec.errors import ConfigError, OutputError
from lmeec.files.places import Place
from lmeec.files.reading import understanding
from lmeec.model.build import resolve_device, resolve_dtype
from lmeec.training.clips.batches import SharedSource
from lmeec.training.clips.cache import FrameCache
from lmeec.training.clips.clip import ClipSource
from lmeec.training.clips.synthetic import SyntheticClips
from lmeec.training.clips.takes import TakeClips
from lmeec.training.config import TrainConfig
from lmeec.training.forward import check_frames
from lmeec.training.group import Group
from lmeec.training.output.folder import BEST, CACHE, LAST, STATE, TrainingFolder
from lmeec.training.output.progress import Note, TrainingReporter, TrainingStarted, Waiting
from lmeec.training.output.record import Record
from lmeec.training.prepare import prepare_takes
from lmeec.training.presence import EveryFewSteps
from lmeec.training.settings import binding, differences, plain
from lmeec.training.start import DEFAULT_MODEL, starting_model
from lmeec.training.trainer import Trainer
from lmeec.training.validation import TakeValidator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmeec.config import ModelConfig
    from lmeec.model.lmeec import LMEEC
    from lmeec.training.clips.source import Source
    from lmeec.training.loop import Item, Loop, Model, Validator

_ANEW = "begin anew in another folder"


@dataclass(frozen=True)
class TrainJob:
    """What to train; can be sent to other processes.

    Attributes:
        takes: folder of a data set; None means synthetic scenes, drawn on the fly.
        out: folder of the training.
        config: settings.
        annotations: relations file of the takes; None means all.
        validate: folder of a data set to judge the model on; None does without.
        validate_annotations: relations file of that data set; None means all.
        cache: folder of decoded frames, or of scenes that come round; None means one in `out`.
    """

    takes: Place | None
    out: Path
    config: TrainConfig
    annotations: Place | None = None
    validate: Place | None = None
    validate_annotations: Place | None = None
    cache: Path | None = None

    def run(
        self, reporter: TrainingReporter, group: Group | None = None, stopping: Callable[[], bool] = lambda: False
    ) -> bool:
        """See `run_training`."""
        return run_training(self, reporter, group, stopping)


def run_training(
    job: TrainJob,
    reporter: TrainingReporter,
    group: Group | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Train, or go on with a training that was stopped.

    Args:
        job: what to train.
        reporter: is told how it goes.
        group: this process among others that train the same model.
        stopping: whether to save and end.

    Returns:
        False if it was stopped before its end.

    Raises:
        ConfigError: settings that cannot be, or another training's.
        DataError: takes that cannot be used.
        CheckpointError: weights that cannot be used.
        OutputError: the folder is in use, holds other things, or cannot be written.
        TrainingError: the training cannot go on.
    """
    group = group or Group()
    with ExitStack() as opened:
        folder = TrainingFolder(job.out)
        if group.leads:
            opened.enter_context(folder)
        reporter.event(Waiting("loading the weights"))
        model, begun_with = _model(job)
        device = resolve_device(job.config.device)
        model.compute_dtype = resolve_dtype(job.config.dtype, device)
        takes = _takes(job, job.takes, job.annotations, group, reporter)
        validator = _validator(job, takes, group, reporter)
        clips = opened.enter_context(_clips(job, takes, model.config, group, reporter, stopping))
        if clips is None:
            return False
        trainer = Trainer(model.to(device), job.config, clips.steps, group)
        dtype = str(model.compute_dtype).removeprefix("torch.")
        settings = {
            **binding(job.config),
            "dtype": dtype,
            "checkpoint": begun_with,
            "takes": clips.about,
            "steps": clips.steps,
        }
        said = Said(
            settings,
            _repeatable(job.config),
            parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
            begun_with=f"{clips.about}, begun with {begun_with}",
            about=f"{begun_with}, {clips.about}, on {device} in {dtype}",
        )
        return train_in_folder(trainer, folder, clips.source, said, reporter, validator, stopping)


@dataclass(frozen=True)
class Said:
    """What a training says of itself.

    Attributes:
        binding: settings that must be the same when it goes on.
        repeatable: settings that are written down, to be used again.
        parameters: numbers that are trained.
        begun_with: data and first weights, for the file of settings.
        about: what is trained on what, for whoever watches.
    """

    binding: Mapping[str, Any]
    repeatable: Mapping[str, Any]
    parameters: int
    begun_with: str
    about: str


def train_in_folder(
    loop: Loop[Model, Item],
    folder: TrainingFolder,
    source: Source[Item],
    said: Said,
    reporter: TrainingReporter,
    validate: Validator[Model] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Train from where the folder's state is, or from the beginning, and keep state and log there.

    Args:
        loop: what is trained, from its beginning.
        folder: where; opened by the leading process.
        source: gives this process's share of the batches.
        said: what is written of it.
        reporter: is told how it goes.
        validate: judges the model; None does without.
        stopping: whether to save and end.

    Returns:
        False if it was stopped before its end.

    Raises:
        OutputError: the folder holds a training with other settings, or cannot be written.
        TrainingError: the training cannot go on.
    """
    group = loop.group
    go_on(loop, folder, said.binding)
    if len(set(group.gather(loop.step))) > 1:
        raise OutputError(f"{folder.path}: the workers see different states there; it must be a folder that all share")
    if loop.finished(validated=validate is not None):
        if group.leads:
            reporter.event(Note(f"{folder.path} holds the whole training already: nothing to do"))
        return True
    with ExitStack() as opened:
        record = None
        if group.leads:
            folder.write_settings(said.repeatable, said.begun_with)
            record = opened.enter_context(Record(folder, said.binding, loop.step))
        reporter.event(TrainingStarted(loop.step, loop.steps, said.parameters, said.about))
        return loop.run(source, reporter, record, validate, stopping)


def _model(job: TrainJob) -> tuple[LMEEC, str]:
    """The model to begin with, and what its weights are; settings that its size does not allow are said at once."""
    written = [(job.out / name).resolve() for name in (BEST, LAST)]
    checkpoint = job.config.checkpoint
    if checkpoint is not None and Path(checkpoint).resolve() in written:
        raise ConfigError(
            f"`checkpoint={checkpoint}`: this training would overwrite it; name another `out`, or copy it elsewhere",
            settings=["checkpoint", "out"],
        )
    model, begun_with = starting_model(job.config)
    if job.takes is not None:
        check_frames(job.config.clips.frames, model.config)
        return model, begun_with
    for phase in job.config.synthetic.phases:
        check_frames(phase.longest, model.config)
    return model, begun_with


def _repeatable(config: TrainConfig) -> dict[str, Any]:
    """The settings that give the same training whatever is the default where it is begun again."""
    return plain(config if config.checkpoint else replace(config, model=config.model or DEFAULT_MODEL))


def _takes(
    job: TrainJob, root: Place | None, annotations: Place | None, group: Group, reporter: TrainingReporter
) -> TakeSet | None:
    """The takes of a data set, with what the user should know of them; None without a folder."""
    if root is None:
        return None
    takes = find_takes(root, annotations=annotations, video=job.config.clips.video)
    if group.leads:
        for warning in takes.warnings:
            reporter.event(Note(f"warning: {warning}"))
    return takes


def go_on(loop: Loop[Model, Item], folder: TrainingFolder, settings: Mapping[str, Any]) -> None:
    """Take up a training where its saved state is, if there is one."""
    state = folder.read_state()
    if state is None:
        return
    path = folder.path / STATE
    with understanding(path, OutputError, "a state of a training", _ANEW):
        changed = differences(state["settings"], settings)
    if changed:
        raise OutputError(
            f"{folder.path} holds a training with other settings: {'; '.join(changed[:8])}. Give the same settings to "
            "go on with it, or name another `out`",
            settings=["out"],
        )
    with understanding(path, OutputError, "a state of a training", _ANEW, but=(torch.OutOfMemoryError,)):
        loop.restore(state)


@dataclass(frozen=True)
class _Clips:
    source: ClipSource
    steps: int
    about: str


@contextmanager
def _clips(
    job: TrainJob,
    takes: TakeSet | None,
    model: ModelConfig,
    group: Group,
    reporter: TrainingReporter,
    stopping: Callable[[], bool],
) -> Iterator[_Clips | None]:
    """The source of clips, with the steps of the whole training; None if stopped before it is there."""
    config, size = job.config, model.image_size
    scenes = config.synthetic
    smallest = min(phase.clips for phase in scenes.phases) if takes is None else config.batch
    if smallest < group.workers:
        raise ConfigError(f"a batch of {smallest} clips cannot be divided among {group.workers} workers: use fewer")
    if takes is not None:
        cache = FrameCache(job.cache or job.out / CACHE, size, config.rules.reading)
        prepared = prepare_takes(takes, config, cache, group, reporter, stopping)
        if prepared is None:
            yield None
            return
        with TakeClips(prepared, cache, config, size, group) as clips:
            yield _serving(config, clips, config.steps or clips.steps * config.steps_a_batch, clips.about)
        return
    if config.steps is None:
        raise ConfigError(
            "synthetic scenes have no end, so epochs mean nothing: say how long with `steps`", settings=["steps"]
        )
    drawn_batches = math.ceil(config.steps / config.steps_a_batch)

    def drawing(done: int, of: int) -> None:
        if group.leads:
            reporter.event(Waiting("drawing the first scenes", done, of))

    with SyntheticClips(scenes, size, config.seed, drawn_batches, job.cache or job.out / CACHE, drawing) as drawn:
        yield _serving(config, SharedSource(drawn, group), config.steps, "synthetic scenes")


def _serving(config: TrainConfig, source: ClipSource, steps: int, about: str) -> _Clips:
    return _Clips(source if config.steps_a_batch == 1 else EveryFewSteps(source, config.steps_a_batch), steps, about)


def _validator(
    job: TrainJob, training: TakeSet | None, group: Group, reporter: TrainingReporter
) -> TakeValidator | None:
    takes = _takes(job, job.validate, job.validate_annotations, group, reporter)
    if takes is None:
        return None
    same = training is not None and (training.root, training.annotations) == (takes.root, takes.annotations)
    if same and group.leads:
        reporter.event(
            Note(
                f"warning: the training is judged on the takes of {takes.root} that it trains on; validate it on others"
            )
        )
    return TakeValidator(takes, job.config, group, reporter)
