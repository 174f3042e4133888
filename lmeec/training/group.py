"""The processes that train together: sums over them, and the mean of their gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """This process among those that train one model; the default is a process by itself.

    Attributes:
        rank: its number.
        workers: how many there are; over one, `torch.distributed` is set up.
    """

    rank: int = 0
    workers: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes what all share."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of all processes' tensors, in place."""
        if self.workers > 1:
            dist.all_reduce(values)
        return values

    def any(self, holds: bool) -> bool:
        """Whether something holds in any process."""
        return any(self.gather(holds))

    def gather(self, value: T) -> list[T]:
        """Every process's value, in every process."""
        if self.workers == 1:
            return [value]
        values: list[Any] = [None] * self.workers
        dist.all_gather_object(values, value)
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their mean over the processes; one that is missing somewhere counts as zero there."""
        if self.workers == 1:
            return
        parameters = list(parameters)
        there = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=parameters[0].device)
        used = [p for p, some in zip(parameters, self.sum(there).tolist(), strict=True) if some]
        if not used:
            return
        whole = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in used])
        self.sum(whole).div_(self.workers)
        for parameter, mean in zip(used, whole.split([p.numel() for p in used]), strict=True):
            parameter.grad = mean.view_as(parameter)
