"""The loop of a training, whatever is trained: steps, validations and saved states, each at its time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from lmeec.model.transfer import to_host
from lmeec.training.clips.batches import batches
from lmeec.training.config import OptimiserConfig
from lmeec.training.group import Group
from lmeec.training.optimiser import schedule, set_rates
from lmeec.training.output.progress import Saved, StepDone, TrainingReporter, Validated
from lmeec.training.output.random_state import random_state, restore_random_state, seed_step
from lmeec.training.task import Pass, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lmeec.analysis.evaluation import DirectionScore
    from lmeec.training.clips.source import Source
    from lmeec.training.output.record import Record

Item = TypeVar("Item")
Model = TypeVar("Model")
Judged_contra = TypeVar("Judged_contra", contravariant=True)


def iou_of(score: DirectionScore) -> float | None:
    """The IoU of a direction."""
    return score.iou


@dataclass(frozen=True)
class Pace:
    """How a loop goes.

    Attributes:
        seed: every draw depends on it and the step's number alone.
        save_every: steps between saved states.
        validate_every: steps between validations.
        optimiser: learning rate, its course, and the norm that gradients are shortened to.
        worth: what a direction's scores are worth, by which the best validation is found; None if they say nothing.
    """

    seed: int
    save_every: int
    validate_every: int
    optimiser: OptimiserConfig
    worth: Callable[[DirectionScore], float | None] = iou_of


class Validator(Protocol[Judged_contra]):
    """Judges a model."""

    def __call__(self, model: Judged_contra, stopping: Callable[[], bool]) -> Mapping[str, DirectionScore] | None:
        """Scores by direction, in every process; empty if it cannot be judged, None if stopped before the end."""


class Loop(Generic[Model, Item]):
    """A task with its place in the training.

    Args:
        task: what is trained.
        pace: how the loop goes.
        steps: optimiser steps of the whole training.
        group: the processes that train it together.

    Attributes:
        step: steps done.
        judged: the step of the last validation.
        best: what the best validation so far is worth, mean of both directions (see `Pace.worth`).
    """

    def __init__(self, task: Task[Model, Item], pace: Pace, steps: int, group: Group | None = None) -> None:
        self.task, self.pace, self.steps = task, pace, steps
        self.group = group or Group()
        self.step = self.judged = 0
        self.best: float | None = None

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        return {
            "step": self.step,
            "steps": self.steps,
            "judged": self.judged,
            "best": self.best,
            **self.task.state(),
            "random": random_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.step, self.judged, self.best = state["step"], state["judged"], state["best"]
        self.task.restore(state)
        restore_random_state(state["random"])

    def run(
        self,
        source: Source[Item],
        reporter: TrainingReporter,
        record: Record | None = None,
        validate: Validator[Model] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train to the last step.

        Args:
            source: gives this process's share of the batches.
            reporter: is told how it goes.
            record: where the leading process keeps state, weights and log.
            validate: judges the model; None does without.
            stopping: whether to save and end.

        Returns:
            False if it was stopped before the last step.

        Raises:
            TrainingError: a loss or its gradient is not finite, or memory does not suffice.
            DiskFullError: the state cannot be written; the one before is kept.
        """
        saved = self.step, self.judged
        with batches(source, range(self.step, self.steps)) as made:
            while self._judge(validate, reporter, record, stopping):
                if self._due(self.pace.save_every) and saved != (self.step, self.judged):
                    self._save(record, reporter)
                    saved = self.step, self.judged
                if self.step == self.steps or not self._advance(made, reporter, record, stopping):
                    break
        if saved != (self.step, self.judged):
            self._save(record, reporter)
        return self.finished(validated=validate is not None)

    def finished(self, *, validated: bool) -> bool:
        """Whether nothing is left to do, a validation after the last step included if there are any."""
        return self.step == self.steps and (self.judged == self.steps or not validated)

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.steps

    def _advance(
        self,
        made: Iterator[list[Item]],
        reporter: TrainingReporter,
        record: Record | None,
        stopping: Callable[[], bool],
    ) -> bool:
        """Do a step; False if it was given up, with weights and optimiser as they were."""
        start = time.perf_counter()
        # Asked of every process at the same place, as all have to give up together.
        if self.group.any(stopping()):
            return False
        values = self._update(next(made), stopping if self.group.workers == 1 else lambda: False)
        if values is None:
            return False
        self.step += 1
        done = StepDone(self.step, self.steps, values, time.perf_counter() - start)
        if record is not None:
            record.step(done)
        reporter.event(done)
        return True

    def _update(self, items: list[Item], interrupted: Callable[[], bool]) -> dict[str, float] | None:
        pace, step, optimiser = self.pace.optimiser, self.step, self.task.optimiser
        seed_step(self.pace.seed, step, self.group.rank)
        share = schedule(step, self.steps, pace)
        set_rates(optimiser, share)
        optimiser.zero_grad(set_to_none=True)
        losses = self.task.gradients(items, Pass(step, self.group, interrupted))
        if losses is None:
            return None
        norm = float(to_host(self.task.join_gradients(self.group, pace.clip_norm)).get())
        if not math.isfinite(norm):
            raise self.task.diverged(f"step {step}: the norm of the gradients is {norm}")
        optimiser.step()
        return {"lr": pace.lr * share} | losses | {"gradient_norm": norm}

    def _judge(
        self,
        validate: Validator[Model] | None,
        reporter: TrainingReporter,
        record: Record | None,
        stopping: Callable[[], bool],
    ) -> bool:
        """Judge the model if it is time; False if that was given up, and is to be done first when going on."""
        if validate is None or self.judged == self.step or not self._due(self.pace.validate_every):
            return True
        scores = validate(self.task.model, stopping)
        if scores is None:
            return False
        self.judged = self.step
        if scores:
            self._keep_scores(scores, reporter, record)
        return True

    def _keep_scores(
        self, scores: Mapping[str, DirectionScore], reporter: TrainingReporter, record: Record | None
    ) -> None:
        iou, worth = (_mean(map(of, scores.values())) for of in (iou_of, self.pace.worth))
        judged = Validated(self.step, scores, iou, best=self.best is None or worth > self.best)
        if judged.best:
            self.best = worth
        if record is not None:
            record.validation(judged, self.task)
        reporter.event(judged)

    def _save(self, record: Record | None, reporter: TrainingReporter) -> None:
        # In every process, as parameters that are divided among them are gathered for it.
        state = self.state()
        if record is not None:
            record.save(state, self.task)
            reporter.event(Saved(self.step))


def _mean(values: Iterable[float | None]) -> float:
    """Mean of those that are known; 0 of none."""
    known = [value for value in values if value is not None]
    return sum(known) / max(len(known), 1)
