"""Memory that some work takes, measured in a process of its own.

Other tests of the same process have taken memory before, which would hide what the work takes, or count as its own.
"""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

P = ParamSpec("P")


def peak_of_process(work: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> int:
    """Bytes by which the work, a function of a module, makes a process grow at most; imports come before."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_growth, work, *arguments, **options).result()


def peak_of_objects(work: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> int:
    """Bytes of the Python objects that the work, a function of a module, holds at most."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_traced, work, *arguments, **options).result()


def peaks_of_steps(windows: Sequence[range], work: Callable[P, Iterator[object]], *arguments: P.args) -> list[int]:
    """Bytes that a process has at most within ranges of the steps of the work, a generator function of a module.

    Two windows of one run compare better than two runs: threads lay out the heap a little differently each time.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_peaks, windows, work, *arguments).result()


def _peaks(windows: Sequence[range], work: Callable[P, Iterator[object]], *arguments: P.args) -> list[int]:
    peaks = []
    for step, _ in enumerate(work(*arguments)):
        if any(step == window.start for window in windows):
            _forget_peak()
        if any(step == window.stop - 1 for window in windows):
            peaks.append(_peak())
    return peaks


def _growth(work: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> int:
    _forget_peak()
    before, of_files = _peak(), _status("RssFile")
    work(*arguments, **options)
    # Pages of libraries, which the system takes away when memory is short, come back when they are used again.
    return _peak() - before - max(_status("RssFile") - of_files, 0)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # it begins anew at what the process has now


def _peak() -> int:
    """Not `ru_maxrss`, which a process takes over from the one that started it."""
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split() for line in lines if line.startswith(f"{name}:"))
    return int(found[1]) * 1024


def _traced(work: Callable[P, object], *arguments: P.args, **options: P.kwargs) -> int:
    tracemalloc.start()
    work(*arguments, **options)
    return tracemalloc.get_traced_memory()[1]
