"""What scheduling costs: many stub takes over several Ray workers, against the lower bound of the makespan.

    python -m benchmarks.scheduling --takes 2000 --workers 8

Each stub take sleeps for a known time and writes no rows; the lower bound is the larger of the whole time divided by
the workers and the longest take. Overhead a take is what the workers were not asleep, divided among the takes.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lmeec.cluster.executor import RayExecutor
from lmeec.cluster.resources import Sizes, Wanted
from lmeec.cluster.session import ray_session
from lmeec.config import Direction, PredictConfig
from lmeec.data.take import Take
from lmeec.runs.heartbeat import RunRecord
from lmeec.runs.jobs import Job, Share
from lmeec.runs.ledger import Ledger
from lmeec.runs.outcome import ModelInfo, PartResult
from lmeec.runs.progress import Progress
from lmeec.runs.stop import Stop
from lmeec.tables import RunMetadata

if TYPE_CHECKING:
    from collections.abc import Generator

    from lmeec.runs.events import Event

CONFIG = PredictConfig(directions=("ego2exo",))
RUN = RunMetadata("stub", {}, {}, {}, "")


class SleepingWorker:
    """Sleeps as long as the take's name says."""

    config = CONFIG

    def describe(self) -> dict[Direction, ModelInfo]:
        """No model."""
        return {"ego2exo": ModelInfo("stub", "", "cpu", "float32")}

    def predict_part(self, take: Take, job: Job, directory: Path, run: RunMetadata) -> Generator[int, None, PartResult]:
        """Sleep."""
        time.sleep(float(take.name))
        yield 1
        return PartResult(1, 1, float(take.name), ())


@dataclass
class StubTakes:
    """Takes without cameras, named for their seconds."""

    seconds: list[float]

    def __getitem__(self, index: int) -> Take:
        return Take(str(index), f"{self.seconds[index]:.6f}", None, {}, {}, (), "")


class Silent:
    """Shows nothing."""

    def event(self, event: Event) -> None:
        """See `Reporter`."""

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--takes", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--mean-seconds", type=float, default=0.2)
    parser.add_argument("--local-cpus", type=int, default=1, help="CPUs a worker claims of the local cluster")
    options = parser.parse_args()
    drawn = random.Random(0)
    seconds = [options.mean_seconds * min(drawn.lognormvariate(-0.5, 1), 10) for _ in range(options.takes)]
    jobs = [
        Job(i, str(i), str(i), "ego2exo", (Share("cam01", max(int(1000 * s), 1), 0, ("aria01",)),))
        for i, s in enumerate(seconds)
    ]
    sizes = Sizes(options.workers, 0, options.local_cpus)
    wanted = Wanted(workers=options.workers, cpus_per_worker=options.local_cpus)
    with (
        tempfile.TemporaryDirectory() as folder,
        ray_session(wanted),
        RayExecutor(partial(SleepingWorker), CONFIG, sizes) as executor,
        RunRecord(Path(folder), progress := Progress(), print) as record,
    ):
        executor.wait_for_all()
        ledger = Ledger(StubTakes(seconds), Path(folder), RUN, record, progress, Silent(), retries=0, stop=Stop())
        ledger.begin(jobs, jobs, options.workers)
        start = time.monotonic()
        executor.run(ledger)
        makespan = time.monotonic() - start
        done = ledger.progress.jobs_done
    bound = max(sum(seconds) / options.workers, *seconds)
    result = {
        "takes": options.takes,
        "done": done,
        "workers": options.workers,
        "makespan_s": round(makespan, 3),
        "lower_bound_s": round(bound, 3),
        "over_lower_bound_percent": round(100 * (makespan / bound - 1), 2),
        "overhead_ms_a_take": round(1000 * (makespan * options.workers - sum(seconds)) / options.takes, 3),
        "driver_ms_a_take": round(1000 * (makespan - bound) / options.takes, 3),
    }
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
