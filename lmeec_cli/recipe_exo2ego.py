"""Recipes of kind exo2ego: trainings, answers, scores and comparisons in one go."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from lmeec_cli.answering_jobs import answerer
from lmeec_cli.terminal import echo, tell, tell_end
from lmeec_cli.training_jobs import trainer

if TYPE_CHECKING:
    from lmeec_cli.recipe_file import Exo2Ego


def run_exo2ego(wanted: Exo2Ego) -> None:
    """Run the recipe; one that was stopped ends with status 130, and goes on when it is run again."""
    from lmeec.cluster.resources import Wanted, needs_ray_to_train
    from lmeec.mllm.experiment import Experiment, as_markdown, ask_experiment, judge_experiment, train_experiment
    from lmeec.mllm.pretrained import Pretrained

    weights = wanted.weights
    experiment = Experiment(
        out=wanted.out.absolute(),
        model=wanted.model,
        training=wanted.training,
        data=wanted.data.absolute(),
        stages=wanted.stages,
        weights=None if weights is None else Pretrained(weights.videollama, weights.clip, weights.language).absolute(),
        judged=tuple(one.absolute() for one in wanted.judged),
        variants=wanted.variants,
        seeds=wanted.seeds,
        variant_tasks=wanted.variant_tasks,
        held_out=wanted.held_out,
        answer_tokens=wanted.answer_tokens,
    )

    workers = Wanted(wanted.workers, address=wanted.ray_address, device=wanted.training.device)
    with trainer(workers, wanted.log_format) as train:
        done = train_experiment(experiment, train, tell)
    if done:
        # Where one process trains, it answers as well.
        with answerer(workers if needs_ray_to_train(workers) else replace(workers, workers=0)) as answer:
            done = ask_experiment(experiment, partial(answer, keep=True, overwrite=True), tell)
    if not done:
        echo(f"stopped and saved in {wanted.out}; run the same recipe again to go on", err=True)
        raise typer.Exit(130)
    outcome = judge_experiment(experiment)
    if outcome.scores:
        echo(as_markdown(outcome))
    tell_end(f"wrote {wanted.out}")
