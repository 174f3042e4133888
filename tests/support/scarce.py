"""A device whose memory runs out at a chosen allocation."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Scarce(TorchDispatchMode):
    """Counts operations that take memory, and lets one of them fail as a GPU's allocator does.

    Args:
        failing: number of the allocation that fails, from 0 on; None for none.
    """

    def __init__(self, failing: int | None = None) -> None:
        super().__init__()
        self.failing = failing
        self.allocations = 0

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        schema = operation._schema
        takes_memory = not schema.is_mutable and not any(returned.alias_info for returned in schema.returns)
        if takes_memory:
            self.allocations += 1
            if self.allocations - 1 == self.failing:
                raise torch.OutOfMemoryError("no room")
        return operation(*arguments, **(keywords or {}))
