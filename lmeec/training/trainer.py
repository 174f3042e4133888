"""The loop of a training: steps, validations and saved states, each at its time."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Protocol

from torch.nn.utils import clip_grad_norm_

from lmeec.model.transfer import to_host
from lmeec.training.clips.batches import batches
from lmeec.training.group import Group
from lmeec.training.optimiser import make_optimiser, schedule, set_rates
from lmeec.training.output.progress import Saved, StepDone, TrainingReporter, Validated
from lmeec.training.output.random_state import random_state, restore_random_state, seed_step
from lmeec.training.step import Pass, accumulate_gradients, diverged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lmeec.analysis.evaluation import DirectionScore
    from lmeec.model.lmeec import LMEEC
    from lmeec.training.clips.clip import Clip, ClipSource
    from lmeec.training.config import TrainConfig
    from lmeec.training.output.record import Record


class Validator(Protocol):
    """Judges a model."""

    def __call__(self, model: LMEEC, stopping: Callable[[], bool]) -> Mapping[str, DirectionScore] | None:
        """Scores by direction, in every process; empty if it cannot be judged, None if stopped before the end."""


class Trainer:
    """A model with its optimiser and its place in the training.

    Args:
        model: on its device; its `compute_dtype` is the arithmetic of the training.
        config: settings.
        steps: optimiser steps of the whole training.
        group: the processes that train it together.

    Attributes:
        step: steps done.
        judged: the step of the last validation.
        best: IoU of the best validation so far.
    """

    def __init__(self, model: LMEEC, config: TrainConfig, steps: int, group: Group | None = None) -> None:
        self.model, self.config, self.steps = model.train(), config, steps
        model.set_drop_path(config.drop_path)
        self.group = group or Group()
        self.optimiser = make_optimiser(model, config.optimiser)
        self.step = self.judged = 0
        self.best: float | None = None

    def state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        return {
            "step": self.step,
            "steps": self.steps,
            "judged": self.judged,
            "best": self.best,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": random_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.step, self.judged, self.best = state["step"], state["judged"], state["best"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        restore_random_state(state["random"])

    def run(
        self,
        source: ClipSource,
        reporter: TrainingReporter,
        record: Record | None = None,
        validate: Validator | None = None,
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
                if self._due(self.config.save_every) and saved != (self.step, self.judged):
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
        made: Iterator[list[Clip]],
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

    def _update(self, clips: list[Clip], interrupted: Callable[[], bool]) -> dict[str, float] | None:
        config, step = self.config, self.step
        seed_step(config.seed, step, self.group.rank)
        share = schedule(step, self.steps, config.optimiser)
        set_rates(self.optimiser, share)
        self.optimiser.zero_grad(set_to_none=True)
        losses = accumulate_gradients(self.model, clips, config, Pass(step, self.group, interrupted))
        if losses is None:
            return None
        self.group.average_gradients(self.model.parameters())
        norm = float(to_host(clip_grad_norm_(self.model.parameters(), config.optimiser.clip_norm)).get())
        if not math.isfinite(norm):
            raise diverged(f"step {step}: the norm of the gradients is {norm}")
        self.optimiser.step()
        return losses | {"gradient_norm": norm, "lr": config.optimiser.lr * share}

    def _judge(
        self,
        validate: Validator | None,
        reporter: TrainingReporter,
        record: Record | None,
        stopping: Callable[[], bool],
    ) -> bool:
        """Judge the model if it is time; False if that was given up, and is to be done first when going on."""
        if validate is None or self.judged == self.step or not self._due(self.config.validation.every):
            return True
        scores = validate(self.model, stopping)
        if scores is None:
            return False
        self.judged = self.step
        if scores:
            self._keep_scores(scores, reporter, record)
        return True

    def _keep_scores(
        self, scores: Mapping[str, DirectionScore], reporter: TrainingReporter, record: Record | None
    ) -> None:
        found = [score.iou for score in scores.values() if score.iou is not None]
        iou = sum(found) / max(len(found), 1)
        judged = Validated(self.step, scores, iou, best=self.best is None or iou > self.best)
        if judged.best:
            self.best = iou
        if record is not None:
            record.validation(judged, self.model)
        reporter.event(judged)

    def _save(self, record: Record | None, reporter: TrainingReporter) -> None:
        if record is not None:
            record.save(self.state(), self.model)
            reporter.event(Saved(self.step))
