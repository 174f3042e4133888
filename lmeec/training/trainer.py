"""The training of LM-EEC: its model, optimiser and losses, for the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.training.clips.clip import Clip
from lmeec.training.loop import Loop, Pace, iou_of
from lmeec.training.optimiser import make_optimiser
from lmeec.training.presence import PresenceTask, presence_worth
from lmeec.training.step import accumulate_gradients
from lmeec.training.trained import Trained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.model.lmeec import LMEEC
    from lmeec.training.config import TrainConfig
    from lmeec.training.group import Group
    from lmeec.training.task import Pass


class CorrespondenceTask(Trained):
    """A `Task`: the whole of LM-EEC on clips.

    Args:
        model: on its device; its `compute_dtype` is the arithmetic of the training.
        config: settings.
    """

    def __init__(self, model: LMEEC, config: TrainConfig) -> None:
        self.model, self.config = model.train(), config
        model.set_drop_path(config.drop_path)
        self.optimiser = make_optimiser(model, config.optimiser)

    def gradients(self, items: Sequence[Clip], run: Pass) -> dict[str, float] | None:
        """See `Task`."""
        return accumulate_gradients(self.model, items, self.config, run)


class Trainer(Loop["LMEEC", Clip]):
    """The loop that trains LM-EEC, or one part of it.

    Args:
        model: on its device; its `compute_dtype` is the arithmetic of the training.
        config: settings; `only` says what is trained.
        steps: optimiser steps of the whole training.
        group: the processes that train it together.
    """

    def __init__(self, model: LMEEC, config: TrainConfig, steps: int, group: Group | None = None) -> None:
        task, worth = (PresenceTask, presence_worth) if config.only == "presence" else (CorrespondenceTask, iou_of)
        pace = Pace(config.seed, config.save_every, config.validation.every, config.optimiser, worth)
        super().__init__(task(model, config), pace, steps, group)
        self.model = model
