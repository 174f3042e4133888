"""The training of LM-EEC: its model, optimiser and losses, for the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn.utils import clip_grad_norm_

from lmeec.training.clips.clip import Clip
from lmeec.training.loop import Loop, Pace
from lmeec.training.optimiser import make_optimiser
from lmeec.training.output.folder import BEST, LAST
from lmeec.training.step import accumulate_gradients, diverged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from lmeec.errors import TrainingError
    from lmeec.model.lmeec import LMEEC
    from lmeec.training.config import TrainConfig
    from lmeec.training.group import Group
    from lmeec.training.output.folder import TrainingFolder
    from lmeec.training.output.record import Kept
    from lmeec.training.task import Pass


class CorrespondenceTask:
    """A `Task`: LM-EEC on clips.

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

    def join_gradients(self, group: Group, most: float) -> Tensor:
        """See `Task`."""
        group.average_gradients(self.model.parameters())
        return clip_grad_norm_(self.model.parameters(), most)

    def diverged(self, what: str) -> TrainingError:
        """See `Task`."""
        return diverged(what)

    def state(self) -> dict[str, Any]:
        """See `Task`."""
        return {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Task`."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])

    def write(self, folder: TrainingFolder, which: Kept) -> None:
        """See `Writes`."""
        name = BEST if which == "best" else LAST
        folder.write_weights(name, self.model.state_dict(), self.model.config)


class Trainer(Loop["LMEEC", Clip]):
    """The loop that trains LM-EEC.

    Args:
        model: see `CorrespondenceTask`.
        config: settings.
        steps: optimiser steps of the whole training.
        group: the processes that train it together.
    """

    def __init__(self, model: LMEEC, config: TrainConfig, steps: int, group: Group | None = None) -> None:
        pace = Pace(config.seed, config.save_every, config.validation.every, config.optimiser)
        super().__init__(CorrespondenceTask(model, config), pace, steps, group)
        self.model = model
