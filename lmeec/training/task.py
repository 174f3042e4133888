"""What a training trains: all that its loop leaves to the model and the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lmeec.training.group import Group
from lmeec.training.output.record import Writes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

    from lmeec.errors import TrainingError


Item_contra = TypeVar("Item_contra", contravariant=True)
Model_co = TypeVar("Model_co", covariant=True)


@dataclass(frozen=True)
class Pass:
    """What the gradients of a step depend on besides weights and clips.

    Attributes:
        step: number of the step, for draws and messages.
        group: the processes that compute the batch together.
        interrupted: whether to give up.
    """

    step: int
    group: Group
    interrupted: Callable[[], bool]


class Task(Writes, Protocol[Model_co, Item_contra]):
    """What is trained."""

    @property
    def model(self) -> Model_co:
        """What a validation judges."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Of all that is trained; each group carries its full learning rate as `base_lr`."""

    def gradients(self, items: Sequence[Item_contra], run: Pass) -> dict[str, float] | None:
        """Add the gradients of this process's share of a batch.

        Returns:
            Losses over all processes, and `lr` where the task has set a rate of its own; None if given up.
        """

    def join_gradients(self, group: Group, most: float) -> Tensor:
        """Take the mean of all processes' gradients, and shorten it to a norm; returns the norm before."""

    def diverged(self, what: str) -> TrainingError:
        """The error of numbers that have run away, with what to do."""

    def state(self) -> dict[str, Any]:
        """All of model and optimiser that the rest of the training depends on; called in every process at once."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to where `state` was taken."""
