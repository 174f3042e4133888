"""How the tests are spread over the cores, by pytest-xdist.

Tests of a file stay together, as they share what is dear to make; so do all tests that may start Ray, which share one
cluster, and never run beside each other: they kill workers and nodes, and wait for what becomes of that.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

RAY = "tests/cluster/"
"""The folder of the tests that may start Ray."""


def workers_for(arguments: Iterable[str]) -> int:
    """How many processes run the tests of these files and folders; none besides this one where files are named."""
    named = all(Path(argument.partition("::")[0]).is_file() for argument in arguments)
    return 0 if named else len(os.sched_getaffinity(0))


class ByFile(LoadScopeScheduling):
    """Gives a worker all tests of a file, or all tests with Ray."""

    def _split_scope(self, nodeid: str) -> str:
        return RAY if nodeid.startswith(RAY) else nodeid.partition("::")[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Put the tests with Ray first, beside which all others fit."""
    items.sort(key=lambda item: not item.nodeid.startswith(RAY))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A file or folder that all workers share, made by the one that needs it first; not to be changed.

    Args:
        factory: the fixture `tmp_path_factory`.
        name: of the file or folder.
        make: writes it to the path that it is given.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    path = base / name
    with (base / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = base / f"unfinished-{name}"
            make(unfinished)
            unfinished.rename(path)
    return path
