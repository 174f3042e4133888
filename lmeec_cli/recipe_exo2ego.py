"""Recipes of kind exo2ego: trainings, answers, scores and comparisons in one go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from lmeec_cli.terminal import echo
from lmeec_cli.training_jobs import trainer

if TYPE_CHECKING:
    from lmeec.mllm.training_data import TrainingData
    from lmeec_cli.recipe_file import Exo2Ego


def run_exo2ego(wanted: Exo2Ego) -> None:
    """Run the recipe; one that was stopped ends with status 130, and goes on when it is run again."""
    from lmeec.cluster.resources import Wanted
    from lmeec.mllm.experiment import Experiment, as_markdown, run_experiment
    from lmeec.mllm.pretrained import Pretrained

    weights = wanted.weights
    experiment = Experiment(
        out=wanted.out.absolute(),
        model=wanted.model,
        training=wanted.training,
        data=_absolute(wanted.data),
        stages=wanted.stages,
        weights=None if weights is None else Pretrained(weights.videollama, weights.clip, weights.language),
        judged=wanted.judged,
        variants=wanted.variants,
        seeds=wanted.seeds,
        held_out=wanted.held_out,
        answer_tokens=wanted.answer_tokens,
    )
    workers = Wanted(wanted.workers, address=wanted.ray_address, device=wanted.training.device)
    with trainer(workers, wanted.log_format) as train:
        outcome = run_experiment(experiment, train, lambda what: echo(what, err=True))
    if outcome is None:
        echo(f"stopped and saved in {wanted.out}; run the same recipe again to go on", err=True)
        raise typer.Exit(130)
    if outcome.scores:
        echo(as_markdown(outcome))


def _absolute(data: TrainingData) -> TrainingData:
    """Data whose paths workers in other folders find."""
    return replace(
        data,
        pairs=data.pairs and data.pairs.absolute(),
        clips=data.clips and data.clips.absolute(),
        questions=tuple(
            replace(
                one,
                file=one.file.absolute(),
                videos=one.videos and one.videos.absolute(),
                beside=one.beside and one.beside.absolute(),
            )
            for one in data.questions
        ),
    )
