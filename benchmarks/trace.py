"""What the trace of a run costs, in processor time, against that of the run.

    python -m benchmarks.trace --takes egoexo4d --checkpoint weights/ --repeats 3

Predicts in this process, so that what a worker does for the trace counts as well. Counted are the driver's rows and
their joining, the worker's looks at its memory, and the marks around parts of the network, which are timed apart, as a
clock around each would cost more than they do. Counting frames and bytes is adding two numbers a frame: left out.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from lmeec.config import PredictConfig
from lmeec.data.takes import find_takes
from lmeec.inference.part_times import PartTimes
from lmeec.runs.attempts import Attempts
from lmeec.runs.events import Silent
from lmeec.runs.executor import InProcess
from lmeec.runs.peaks import Peaks
from lmeec.runs.predict import absolute_sources, run_predictions
from lmeec.runs.trace import TraceFile
from lmeec.runs.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRACING = {
    Attempts: ("start", "advance", "finish", "give_up"),
    TraceFile: ("begin", "end", "join"),
    Peaks: ("__init__", "_look"),
}
"""Methods that do it; none of them calls another."""

MARKS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--takes", required=True)
    parser.add_argument("--checkpoint", default="nano")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(measure(arguments), indent=2))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    config = PredictConfig()
    takes = find_takes(arguments.takes)
    worker = Worker(absolute_sources([arguments.checkpoint], config.model_directions), config)
    mark = seconds_of_a_mark()
    runs = []
    for _ in range(arguments.repeats):
        spent: Counter[str] = Counter()
        calls: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as folder, counted(spent, calls):
            before = time.process_time()
            summary = run_predictions(InProcess(worker), takes, Path(folder, "r.parquet"), Silent())
            whole = time.process_time() - before
        spent["PartTimes"] = calls["PartTimes"] * mark
        runs.append(
            {
                "predictions": summary.rows,
                "cpu_seconds": round(whole, 3),
                "calls": dict(calls),
                "tracing_cpu_seconds": {name: round(seconds, 5) for name, seconds in spent.items()},
                "tracing_percent": round(100 * spent.total() / whole, 4),
            }
        )
    return {
        "machine": platform.processor() or platform.machine(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "microseconds_of_a_mark": round(1e6 * mark, 3),
        "runs": runs,
        "tracing_percent": max(run["tracing_percent"] for run in runs),
    }


@contextlib.contextmanager
def counted(spent: Counter[str], calls: Counter[str]) -> Iterator[None]:
    """Count the processor time of methods of the trace, and the marks around parts of the network."""
    with contextlib.ExitStack() as stack:
        for kind, names in TRACING.items():
            timed = {name: _timed(getattr(kind, name), kind.__name__, spent, calls) for name in names}
            stack.enter_context(mock.patch.multiple(kind, **timed))
        add = PartTimes._add

        def adding(self: PartTimes, name: str, seconds: float) -> None:
            calls["PartTimes"] += 1
            add(self, name, seconds)

        stack.enter_context(mock.patch.object(PartTimes, "_add", adding))
        yield


def _timed(method: Callable[..., Any], kind: str, spent: Counter[str], calls: Counter[str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def timed(*positional: Any, **named: Any) -> Any:
        calls[kind] += 1
        before = time.thread_time()
        try:
            return method(*positional, **named)
        finally:
            spent[kind] += time.thread_time() - before

    return timed


def seconds_of_a_mark() -> float:
    """What it costs to be told the time of a part of the network, on a CPU."""
    times, device = PartTimes(), torch.device("cpu")
    before = time.thread_time()
    for _ in range(MARKS):
        with times.part("part", device):
            pass
    return (time.thread_time() - before) / MARKS


if __name__ == "__main__":
    main()
