"""A node of a Ray cluster for tests, and the processes that work on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import signal

NODE = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}


class Workers:
    """The worker processes of clusters that this process has started."""

    def pids(self) -> list[int]:
        children = psutil.Process().children(recursive=True)
        return [child.pid for child in children if _title(child).startswith("ray::WorkerActor")]

    def at_work(self) -> list[int]:
        return [pid for pid in self.pids() if "predict" in _title(psutil.Process(pid))]

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to a worker that is at work on a take."""
        for pid in self.at_work():
            os.kill(pid, number)
            return True
        return False


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return ""
