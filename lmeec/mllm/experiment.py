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

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.files.whole import naming_the_file, written_whole
from lmeec.mllm.answers import read_about, read_answers, schema_with
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

    from lmeec.mllm.data.source import ClipSource
    from lmeec.mllm.evaluation.marks import TaskMarks
    from lmeec.mllm.pretrained import Pretrained
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
    held_out: int | None = None
    answer_tokens: int = 128

    @property
    def drawn(self) -> Path:
        """Folder of synthetic clips."""
        return self.out / "drawn"

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


def run_experiment(
    experiment: Experiment, train: Callable[[MllmTrainJob], bool], tell: Callable[[str], None] = lambda _: None
) -> Outcome | None:
    """Train, ask, judge and compare.

    Args:
        experiment: What to do.
        train: Trains a stage, or goes on with it; returns False if it was stopped.
        tell: Is told what comes next.

    Returns:
        What came out, which is in `scores.json` and `scores.md` as well; None if a training was stopped.
    """
    for told, job in _jobs(experiment):
        tell(told)
        if not train(job):
            return None
    clips = _judged(experiment)
    if clips is None:
        return Outcome()
    for variant in experiment.variants:
        for seed in experiment.seeds:
            folder = experiment.folder(variant, seed)
            _ask(experiment, folder, clips, ANSWERS, tell)
            if variant == _REFERENCE and experiment.data.synthetic:
                _ask(experiment, folder, BlankClips(clips), BLANK, tell)
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


def _judged(experiment: Experiment) -> ClipSource | None:
    """What is asked about: the synthetic takes held out, and files of questions."""
    sources: list[ClipSource] = []
    if experiment.data.synthetic:
        drawn = drawn_clips(experiment.drawn, experiment.data.world, "held_out", experiment.held_out)
        sources += [drawn.captions(), drawn.questions()]
    for one in experiment.judged:
        sources.append(VideoClips(read_set(one.kind, one.file, one.beside), one.videos, experiment.model.frames))
    return JoinedClips(tuple(sources)) if sources else None


def _ask(experiment: Experiment, folder: Path, clips: ClipSource, name: str, tell: Callable[[str], None]) -> None:
    """Ask a trained model, unless the very same one has answered."""
    from lmeec.mllm.checkpoint import load_mllm
    from lmeec.mllm.evaluation.asking import AskConfig, Asker
    from lmeec.mllm.prompt import Prompter
    from lmeec.mllm.task import MODEL
    from lmeec.model.build import resolve_device

    loaded = load_mllm(folder / f"stage{experiment.stages[-1]}" / MODEL, parts=None, merge=True)
    path = folder / name
    if path.exists() and read_about(path).get("digest") == loaded.digest:
        return
    tell(f"{folder.name}: asking about {len(clips):,} clips ({path.stem})")
    model = loaded.model.to(resolve_device(experiment.training.device))
    asker = Asker(model, Prompter(loaded.tokenizer, model.config), AskConfig(open_tokens=experiment.answer_tokens))
    rows = [row for batch in asker.ask(clips) for row in batch]
    schema = schema_with({"model": str(folder), "digest": loaded.digest, "config": model.config.to_dict()})
    with naming_the_file(path), written_whole(path) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)


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
