"""A whole experiment of Exo2Ego: train its stages, ask about what was held out, judge, and compare variants.

    out/stage0, out/stage1       what all variants begin with
    out/VARIANT-SEED/stage2, 3   the others, a folder a variant and seed
    out/VARIANT-SEED/answers.parquet, blank.parquet
    out/scores.json, out/scores.md

What is there is not done again, so that an experiment goes on where it was stopped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmeec.files.whole import naming_the_file, written_whole
from lmeec.mllm.answers import read_answers
from lmeec.mllm.config import MllmConfig
from lmeec.mllm.data.reading import VideoClips
from lmeec.mllm.data.sets import BlankClips, JoinedClips, read_set
from lmeec.mllm.evaluation.marks import mark
from lmeec.mllm.evaluation.scores import TaskScore, compare, mean_of, score
from lmeec.mllm.settings import STAGES, MllmTrainConfig, Stage
from lmeec.mllm.synthetic.store import drawn_clips
from lmeec.mllm.training_data import QuestionSet, TrainingData
from lmeec.mllm.variants import VARIANTS, VariantName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lmeec.mllm.data.source import AskedClips
    from lmeec.mllm.evaluation.answering import Answering
    from lmeec.mllm.evaluation.marks import TaskMarks
    from lmeec.mllm.pretrained import Pretrained
    from lmeec.mllm.synthetic.questions import NanoTask
    from lmeec.mllm.train import MllmTrainJob

SHARED: tuple[Stage, ...] = (0, 1)
"""Stages that all variants have in common."""

ANSWERS, BLANK = "answers.parquet", "blank.parquet"
_REFERENCE: VariantName = "full"


@dataclass(frozen=True)
class Experiment:
    """What is trained, asked and compared.

    Attributes:
        out: Folder of all of it.
        model: Of the variant `full`.
        training: Likewise.
        data: What is learned from. Of synthetic takes, those held out are asked about, too.
        stages: Those to train, ascending.
        weights: Folders of others' weights to begin with; None begins from nothing.
        judged: Questions to ask and judge.
        variants: What is compared.
        seeds: Each variant is trained with each.
        variant_tasks: What variants other than `full` are asked about of the synthetic takes held out; none for all.
        held_out: How many of the synthetic takes held out are asked about; None for all.
        answer_tokens: At most so many tokens of an open answer.
    """

    out: Path
    model: MllmConfig
    training: MllmTrainConfig
    data: TrainingData
    stages: tuple[Stage, ...] = STAGES
    weights: Pretrained | None = None
    judged: tuple[QuestionSet, ...] = ()
    variants: tuple[VariantName, ...] = (_REFERENCE,)
    seeds: tuple[int, ...] = (0,)
    variant_tasks: tuple[NanoTask, ...] = ()
    held_out: int | None = None
    answer_tokens: int = 128

    @property
    def drawn(self) -> Path:
        """Folder of synthetic clips."""
        return self.out / "drawn"

    @property
    def judges(self) -> bool:
        """Whether there is something to ask, and a model that answers: one of stage 2 or 3."""
        return self.stages[-1] not in SHARED and bool(self.data.synthetic or self.judged)

    def folder(self, variant: VariantName, seed: int) -> Path:
        """Of a variant trained with a seed."""
        return self.out / f"{variant}-{seed}"


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        scores: Variant to its scores, each the mean over seeds.
        blank: Scores of the variant `full` on blank clips; none without synthetic takes.
        over: Variant to what `full` has over it, question by question.
    """

    scores: dict[VariantName, list[TaskScore]] = field(default_factory=dict)
    blank: list[TaskScore] = field(default_factory=list)
    over: dict[VariantName, list[TaskScore]] = field(default_factory=dict)


def train_experiment(
    experiment: Experiment, train: Callable[[MllmTrainJob], bool], tell: Callable[[str], None] = lambda _: None
) -> bool:
    """Train all stages of all variants.

    Args:
        experiment: What to do.
        train: Trains a stage, or goes on with it; returns False if it was stopped.
        tell: Is told what comes next.

    Returns:
        False if a training was stopped.
    """
    for told, job in _jobs(experiment):
        tell(told)
        if not train(job):
            return False
    return True


def ask_experiment(
    experiment: Experiment,
    ask: Callable[[Answering, AskedClips, Path], bool],
    tell: Callable[[str], None] = lambda _: None,
) -> bool:
    """Ask all trained models about what is judged.

    Args:
        experiment: What to do.
        ask: Answers into a file, as `lmeec.mllm.evaluation.answering.answer_table` does where it is to keep what is
            there; returns False if it was stopped.
        tell: Is told what comes next.

    Returns:
        False if it was stopped.
    """
    if not experiment.judges:
        return True
    for variant in experiment.variants:
        clips = _judged(experiment, () if variant == _REFERENCE else experiment.variant_tasks)
        for seed in experiment.seeds:
            folder = experiment.folder(variant, seed)
            asked: list[tuple[str, AskedClips]] = [(ANSWERS, clips)]
            if variant == _REFERENCE and experiment.data.synthetic:
                asked.append((BLANK, BlankClips(clips)))
            for name, source in asked:
                tell(f"{folder.name}: {len(source):,} questions, answers to {name}")
                if not ask(_answering(experiment, folder), source, folder / name):
                    return False
    return True


def judge_experiment(experiment: Experiment) -> Outcome:
    """Judge and compare the answers of all trained models.

    Returns:
        What came out, which is in `scores.json` and `scores.md` as well; nothing where nothing is judged.
    """
    if not experiment.judges:
        return Outcome()
    outcome = _outcome(experiment)
    _write(experiment, outcome)
    return outcome


def _jobs(experiment: Experiment) -> Iterator[tuple[str, MllmTrainJob]]:
    """All trainings, in order: the stages that variants share, then each variant's own with each seed."""
    from lmeec.mllm.task import MODEL
    from lmeec.mllm.train import MllmTrainJob, jobs_of

    shared = tuple(stage for stage in experiment.stages if stage in SHARED)
    own = tuple(stage for stage in experiment.stages if stage not in SHARED)
    base = MllmTrainJob(
        stage=experiment.stages[0],
        out=experiment.out,
        data=experiment.data,
        training=experiment.training,
        model=experiment.model,
        weights=experiment.weights,
        drawn=experiment.drawn,
    )
    yield from ((f"stage {job.stage}", job) for job in jobs_of(base, shared))
    for variant in experiment.variants:
        for seed in experiment.seeds:
            model, training = VARIANTS[variant].of(experiment.model, experiment.training, seed)
            begun = replace(base, out=experiment.folder(variant, seed), model=model, training=training)
            if shared:
                begun = replace(begun, begin=experiment.out / f"stage{shared[-1]}" / MODEL, weights=None)
            yield from ((f"{variant}, seed {seed}: stage {job.stage}", job) for job in jobs_of(begun, own))


def _judged(experiment: Experiment, tasks: tuple[NanoTask, ...]) -> AskedClips:
    """What is asked about: the synthetic takes held out, of which some tasks may be picked, and files of questions."""
    sources: list[AskedClips] = []
    if experiment.data.synthetic:
        drawn = drawn_clips(experiment.drawn, experiment.data.world, "held_out", experiment.held_out)
        asked = drawn.questions()
        sources += [asked.of_tasks(tasks)] if tasks else [drawn.captions(), asked]
    for one in experiment.judged:
        sources.append(VideoClips(read_set(one.kind, one.file, one.beside), one.videos, experiment.model.frames))
    return JoinedClips(tuple(sources))


def _answering(experiment: Experiment, folder: Path) -> Answering:
    from lmeec.mllm.evaluation.answering import Answering
    from lmeec.mllm.evaluation.asking import AskConfig
    from lmeec.mllm.task import MODEL

    return Answering(
        folder / f"stage{experiment.stages[-1]}" / MODEL,
        config=AskConfig(open_tokens=experiment.answer_tokens),
        device=experiment.training.device,
    )


def _outcome(experiment: Experiment) -> Outcome:
    outcome = Outcome()
    marked = {variant: _marks(experiment, variant, ANSWERS) for variant in experiment.variants}
    for variant, marks in marked.items():
        outcome.scores[variant] = score(marks)
        if variant != _REFERENCE and _REFERENCE in marked:
            outcome.over[variant] = compare(marks, marked[_REFERENCE])
    if _REFERENCE in marked and experiment.data.synthetic:
        outcome.blank.extend(score(_marks(experiment, _REFERENCE, BLANK)))
    return outcome


def _marks(experiment: Experiment, variant: VariantName, name: str) -> list[TaskMarks]:
    return mean_of([mark(read_answers(experiment.folder(variant, seed) / name)) for seed in experiment.seeds])


def _write(experiment: Experiment, outcome: Outcome) -> None:
    document: dict[str, Any] = {
        "seeds": list(experiment.seeds),
        "scores": {variant: [asdict(one) for one in scores] for variant, scores in outcome.scores.items()},
        "blank": [asdict(one) for one in outcome.blank],
        "over": {variant: [asdict(one) for one in scores] for variant, scores in outcome.over.items()},
    }
    for name, text in (("scores.json", json.dumps(document, indent=2)), ("scores.md", as_markdown(outcome))):
        path = experiment.out / name
        with naming_the_file(path), written_whole(path) as file:
            file.write((text + "\n").encode())


def as_markdown(outcome: Outcome) -> str:
    """Tables of an outcome: by task and measure, the variants, blank clips, and what `full` has over each variant.

    Shares are in percent, with 95% intervals over videos.
    """
    keys = list(dict.fromkeys(_key(one) for scores in outcome.scores.values() for one in scores))
    columns: list[tuple[str, Sequence[TaskScore], bool]] = [
        *((name, scores, False) for name, scores in outcome.scores.items()),
        *([("blank clips", outcome.blank, False)] if outcome.blank else []),
        *((f"full over {name}", scores, True) for name, scores in outcome.over.items()),
    ]
    lines = [f"| source | task | measure | {' | '.join(name for name, *_ in columns)} |"]
    lines.append("|---" * (3 + len(columns)) + "|")
    for key in keys:
        cells = [
            _cell(next((one for one in scores if _key(one) == key), None), signed) for _, scores, signed in columns
        ]
        lines.append(f"| {' | '.join([*key, *cells])} |")
    return "\n".join(lines)


def _key(one: TaskScore) -> tuple[str, str, str]:
    return one.source, one.task, one.measure


def _cell(one: TaskScore | None, signed: bool) -> str:
    if one is None:
        return "-"
    sign, scale = ("+" if signed else ""), (1 if one.measure == "judge" else 100)
    value, *interval = (f"{scale * number:{sign}.1f}" for number in (one.value, *(one.interval or ())))
    return f"{value} ({' to '.join(interval)})" if interval else value
