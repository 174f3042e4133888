"""The one way of tensors between the host and the device that computes, so that no other transfer hides.

A copy that waits stops the device: it has nothing to do until the host has asked for more. Uploads are pinned and not
waited for; what comes back is waited for where it is needed, which may be another thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Fetched:
    """A tensor on its way to the host.

    Args:
        values: on the host; not to be read before `ready`.
        ready: is recorded behind the copy; None where the values are there already.
    """

    def __init__(self, values: Tensor, ready: torch.cuda.Event | None = None) -> None:
        self._values = values
        self._ready = ready

    def get(self) -> Tensor:
        """The values, after waiting for them."""
        if self._ready is not None:
            self._ready.synchronize()
        return self._values


def to_host(tensor: Tensor) -> Fetched:
    """Start copying a tensor to the host; on the host it is handed over as it is."""
    if tensor.device.type != "cuda":
        return Fetched(_brought(tensor))
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    ready = torch.cuda.Event()
    ready.record(torch.cuda.current_stream(tensor.device))
    return Fetched(host, ready)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host to the device without waiting for it; one that is there is handed over as it is."""
    return _sent(tensor.pin_memory() if device.type == "cuda" and tensor.device.type == "cpu" else tensor, device)


def index_on(device: torch.device, numbers: Sequence[int]) -> Tensor:
    """Numbers of rows as an int64 tensor on the device."""
    return to_device(torch.tensor(numbers, dtype=torch.int64), device)


def _brought(tensor: Tensor) -> Tensor:
    return tensor.cpu()


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device, non_blocking=True)
