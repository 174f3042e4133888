"""What a run with Ray leaves on the machine: its processes, and the shared memory that they had."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHARED = "/dev/shm/"


class Traces:
    """Follows the runs that are started with `RAY_TMPDIR` set to a folder of theirs alone.

    A process belongs to them if that folder is in its environment, its arguments or among its open files, or if it was
    a child of one that did when somebody looked: Ray's agents write their titles over their arguments and environment.

    Args:
        folder: value of `RAY_TMPDIR`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: set[psutil.Process] = set()
        self.memory: set[str] = set()

    def look(self) -> None:
        """Note what there is now."""
        for process in psutil.process_iter():
            if _belongs(process, str(self.folder)):
                self.processes.add(process)
                self.processes.update(_children(process))
        for process in self.processes:
            self.memory.update(_shared_memory(process))

    def left(self) -> list[str]:
        """Processes and pieces of shared memory that are there still, in words."""
        self.look()
        processes = [_told(process) for process in self.processes if _runs(process)]
        held = {name for process in psutil.process_iter() for name in _shared_memory(process)}
        files = {name for name in self.memory if Path(name).exists()}
        return processes + sorted(self.memory & (held | files))

    def wait_until_nothing_is_left(self, within: float) -> None:
        deadline = time.monotonic() + within
        while left := self.left():
            assert time.monotonic() < deadline, left
            time.sleep(0.3)


def listeners(processes: Iterable[psutil.Process]) -> set[str]:
    """Addresses at which processes listen to the network."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found |= {one.laddr.ip for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
    return found


def _belongs(process: psutil.Process, folder: str) -> bool:
    proc = Path(f"/proc/{process.pid}")
    try:
        if any(folder.encode() in (proc / name).read_bytes() for name in ("environ", "cmdline")):
            return True
        return any(folder in _target(link) for link in (proc / "fd").iterdir())
    except OSError:  # it has ended
        return False


def _target(link: Path) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115 - pathlib's makes a path of what is none, such as a pipe
    except OSError:
        return ""


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _shared_memory(process: psutil.Process) -> set[str]:
    try:
        maps = Path(f"/proc/{process.pid}/maps").read_text(errors="replace")
    except OSError:
        return set()
    lines = [line.partition(_SHARED) for line in maps.splitlines()]
    return {f"{_SHARED}{name.removesuffix(' (deleted)')}" for _, found, name in lines if found}


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _told(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {process.name()} {' '.join(process.cmdline())[:60].strip()}"
    except psutil.Error:
        return f"{process.pid}"
