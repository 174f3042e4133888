"""What scheduling costs: many stub takes over several Ray workers, against the lower bound of the makespan.

    python -m benchmarks.scheduling --takes 2000 --workers 8 --mean-seconds 0.2
    python -m benchmarks.scheduling                                              # 50,000 takes over 32, 7 minutes

Ledger, executor, actors, plan and heartbeat are those of a run; a stub take has four exo cameras, sleeps for a known
time and writes no rows. Workers import no torch. The lower bound is the larger of the whole time divided by the workers
and the longest camera. Overhead a take is what the workers were not asleep, divided among the takes; the driver's own
processor time is beside it, as processes of all workers share the cores of this machine.

    python -m benchmarks.scheduling --in-process --ray-ms 3.2                    # a minute of processor time

Where the machine is too small for so many processes: workers that only have an end, on a clock that goes on by the
sleep of whoever wakes next, and by the processor time that this process used meanwhile. Ledger, queue, plan, heartbeat
and index are those of a run; Ray is not there, and what a run with Ray says that it takes of the driver for a take is
given by `--ray-ms`.
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import json
import os
import random
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lmeec.cluster.executor import RayExecutor
from lmeec.cluster.resources import Sizes, Wanted
from lmeec.cluster.session import ray_session
from lmeec.config import Direction, PredictConfig
from lmeec.data.take import Take
from lmeec.files.stamps import Stamp
from lmeec.runs.heartbeat import RunRecord
from lmeec.runs.index import RunIndex
from lmeec.runs.jobs import Job, Share
from lmeec.runs.ledger import Ledger
from lmeec.runs.outcome import ModelInfo, PartResult
from lmeec.runs.progress import Progress
from lmeec.runs.stop import Stop
from lmeec.tables import RunMetadata
from lmeec.tables.coverage import Coverage, Source
from lmeec.tables.notes import Note

if TYPE_CHECKING:
    from collections.abc import Generator

    from lmeec.runs.events import Event

CONFIG = PredictConfig(directions=("ego2exo",))
RUN = RunMetadata("stub", {}, {}, {}, "")


STEPS_A_SECOND = 1000
CAMERAS = 4
NAMES = ("aria01", "cam01", "cam02", "cam03", "cam04")
SOURCES = {name: Source("full", 123_456_789, content="0" * 16) for name in NAMES}


class SleepingWorker:
    """Sleeps as long as the job's steps say."""

    config = CONFIG

    def describe(self) -> dict[Direction, ModelInfo]:
        """No model."""
        return {"ego2exo": ModelInfo("stub", "", "cpu", "float32")}

    def predict_part(self, take: Take, job: Job, directory: Path, run: RunMetadata) -> Generator[int, None, PartResult]:
        """Sleep."""
        seconds = job.steps / STEPS_A_SECOND
        time.sleep(seconds)
        yield 1
        return PartResult(1, 1, seconds, ())


class StubTakes:
    """Takes without cameras."""

    def __getitem__(self, index: int) -> Take:
        return Take(str(index), str(index), None, {}, {}, (), "")


class Silent:
    """Shows nothing."""

    def event(self, event: Event) -> None:
        """See `Reporter`."""

    def update(self, progress: Progress) -> None:
        """See `Reporter`."""


class SleepersInProcess:
    """Workers that sleep on a clock of their own; see above.

    Args:
        workers: how many.
        also_s: seconds that the driver is busy besides, for each take.
    """

    config = CONFIG

    def __init__(self, workers: int, also_s: float) -> None:
        self.workers = workers
        self.now = 0.0
        self._also_s = also_s
        self._used = time.process_time()

    def describe(self) -> dict[Direction, ModelInfo]:
        """No model."""
        return SleepingWorker().describe()

    def run(self, ledger: Ledger) -> None:
        """Give each worker that is free a job, and go on to when the next wakes."""
        free = [str(number) for number in range(self.workers)]
        asleep: list[tuple[float, str, Job]] = []
        self._used = time.process_time()
        while True:
            while free and (assignment := ledger.next_job()) is not None:
                worker = free.pop()
                ledger.started(worker, assignment.job, "here", "cpu")
                self._count(self._also_s)
                heapq.heappush(asleep, (self.now + assignment.job.steps / STEPS_A_SECOND, worker, assignment.job))
            if not asleep:
                return
            end, worker, job = heapq.heappop(asleep)
            self.now = max(self.now, end)
            ledger.advanced(worker, 1)
            ledger.finished(worker, job, PartResult(1, 1, job.steps / STEPS_A_SECOND, (), note=note_of(job)))
            free.append(worker)
            self._count(0.0)

    def _count(self, also_s: float) -> None:
        used, self._used = self._used, time.process_time()
        self.now += self._used - used + also_s


def note_of(job: Job) -> Note:
    coverage = Coverage(tuple(sorted(job.pairs)), SOURCES)
    return Note(
        f"{job.take_uid}.part.parquet", Stamp(1, "1"), job.take_uid, job.direction, 1, RUN.fingerprint, coverage
    )


def job_of(index: int, seconds: float) -> Job:
    steps = max(round(seconds * STEPS_A_SECOND / CAMERAS), 1)
    shares = tuple(Share(name, steps, 0, ("aria01",)) for name in SOURCES if name != "aria01")
    uid = f"{index:08x}-0000-0000-0000-000000000000"
    return Job(index, uid, f"lab_cooking_{index:06d}", "ego2exo", shares, sources=SOURCES)


def sleepers(options: argparse.Namespace, ending: contextlib.ExitStack) -> SleepersInProcess | RayExecutor:
    if options.in_process:
        return SleepersInProcess(options.workers, options.ray_ms / 1000)
    ending.enter_context(ray_session(Wanted(workers=options.workers, cpus_per_worker=options.local_cpus)))
    sizes = Sizes(options.workers, 0, options.local_cpus)
    executor = ending.enter_context(RayExecutor(partial(SleepingWorker), CONFIG, sizes))
    executor.wait_for_all()
    return executor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--takes", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--mean-seconds", type=float, default=0.25)
    parser.add_argument("--local-cpus", type=int, default=1, help="CPUs a worker claims of the local cluster")
    parser.add_argument("--in-process", action="store_true", help="without Ray, on a clock of their own")
    parser.add_argument("--ray-ms", type=float, default=0, help="that the driver is busy besides, for each take")
    options = parser.parse_args()
    drawn = random.Random(0)
    seconds = [options.mean_seconds * min(drawn.lognormvariate(-0.5, 1), 10) for _ in range(options.takes)]
    jobs = [job_of(index, one) for index, one in enumerate(seconds)]
    seconds = [job.steps / STEPS_A_SECOND for job in jobs]
    with contextlib.ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        executor = sleepers(options, ending)
        record = ending.enter_context(RunRecord(folder, progress := Progress(), print))
        index = ending.enter_context(contextlib.closing(RunIndex(folder, RUN, print)))
        index.begin({})
        ledger = Ledger(StubTakes(), folder, RUN, record, progress, Silent(), retries=0, stop=Stop(), index=index)
        ledger.begin(jobs, jobs, options.workers)
        start, used = time.monotonic(), time.process_time()
        executor.run(ledger)
        makespan, used = time.monotonic() - start, time.process_time() - used
        if isinstance(executor, SleepersInProcess):
            makespan = executor.now
        done = ledger.progress.jobs_done
    bound = max(sum(seconds) / options.workers, max(seconds) / CAMERAS)
    result = {
        "workers_are": "in this process, on a clock of their own" if options.in_process else "Ray's",
        "takes": options.takes,
        "done": done,
        "workers": options.workers,
        "makespan_s": round(makespan, 3),
        "lower_bound_s": round(bound, 3),
        "over_lower_bound_percent": round(100 * (makespan / bound - 1), 2),
        "overhead_ms_a_take": round(1000 * (makespan * options.workers - sum(seconds)) / options.takes, 3),
        "driver_cpu_ms_a_take": round(1000 * used / options.takes, 3),
        "driver_largest_memory_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "load_average": round(os.getloadavg()[0], 2),
    }
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
