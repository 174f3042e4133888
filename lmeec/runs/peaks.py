"""How much memory an attempt took, and which GPU it had."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Generator

Made = TypeVar("Made")
Result = TypeVar("Result")

_LOOK_EVERY_S = 0.25
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Peaks:
    """The most memory that this process takes from now on.

    A high that the process never had before is known exactly; of a lower one, what is seen now and then counts, as the
    system's own mark can be set back only for all who look at it.

    Args:
        device: where the process computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = _highest_ever()
        self._seen = 0
        self._looked = 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def watching(self, steps: Generator[Made, None, Result]) -> Generator[Made, None, Result]:
        """The same steps, with a look at the memory between them, now and then, and at the end."""
        while True:
            try:
                made = next(steps)
            except StopIteration as end:
                self._look()
                result: Result = end.value
                return result
            if time.monotonic() - self._looked > _LOOK_EVERY_S:
                self._look()
            yield made

    @property
    def memory(self) -> int | None:
        """Resident bytes of the process; None where the system does not tell."""
        highest = _highest_ever()
        return (highest if highest > self._before else self._seen) or None

    @property
    def gpu_memory(self) -> int | None:
        """Bytes of tensors on the GPU; None without one."""
        return torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else None

    def _look(self) -> None:
        self._looked = time.monotonic()
        self._seen = max(self._seen, _resident())


def name_of_gpu(device: torch.device) -> str:
    """The number of a GPU on its machine, and its name; empty for other devices.

    Where the process may see some GPUs of the machine only, the number is the one that it was given.
    """
    if device.type != "cuda":
        return ""
    index = torch.cuda.current_device() if device.index is None else device.index
    given = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    return f"{given[index] if index < len(given) else index} {torch.cuda.get_device_name(device)}"


def _highest_ever() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except OSError:  # not Linux
        return 0
