"""What all trainings of LM-EEC share, whatever of it they train: gradients joined, state and weights kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn.utils import clip_grad_norm_

from lmeec.training.output.folder import BEST, LAST
from lmeec.training.step import diverged

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from lmeec.errors import TrainingError
    from lmeec.model.lmeec import LMEEC
    from lmeec.training.group import Group
    from lmeec.training.output.folder import TrainingFolder
    from lmeec.training.output.record import Kept


class Trained:
    """A `Task` but for its gradients.

    Attributes:
        model: on its device.
        optimiser: of what is trained.
    """

    model: LMEEC
    optimiser: torch.optim.Optimizer

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
