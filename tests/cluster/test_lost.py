"""A raylet that dies takes the run with it: with an error that says so, where Ray would wait for ever."""

from __future__ import annotations

import time
from contextlib import contextmanager

import psutil
import pytest
from stubs import StubWorker

from lmeec.cluster.executor import RayExecutor
from lmeec.cluster.resources import Sizes, Wanted
from lmeec.cluster.session import ray_session
from lmeec.cluster.tasks import RayTasks
from lmeec.config import PredictConfig
from lmeec.data.takes import find_takes
from lmeec.errors import ClusterError
from lmeec.inference.progress import JobFinished
from lmeec.inference.run import run_predictions
from lmeec.tables import list_parts, parts_directory
from tests.support.watching import Watcher

TOLD_WITHIN_S = 60


def raylets():
    return {child for child in psutil.Process().children(recursive=True) if child.name() == "raylet"}


class Victim:
    """The raylet of a cluster, to be killed."""

    def __init__(self, process):
        self.process, self.killed = process, None

    def kill(self):
        if self.killed is None:
            self.process.kill()
            self.killed = time.monotonic()


@contextmanager
def cluster_that_is_lost():
    others = raylets()
    with ray_session(Wanted(workers=2, device="cpu")):
        (process,) = raylets() - others
        victim = Victim(process)
        with pytest.raises(ClusterError, match=r"its raylet on this machine has died.*run the same command again"):
            yield victim
        assert time.monotonic() - victim.killed < TOLD_WITHIN_S


def test_a_prediction_run_ends_and_keeps_its_parts(takes, tmp_path):
    takes.add_copies(1)
    with takes.annotations() as annotated:
        annotated["x-endless"] = annotated.pop("copy-000")
    (takes.root / "takes.json").unlink()
    out = tmp_path / "results.parquet"
    with (
        cluster_that_is_lost() as raylet,
        RayExecutor(StubWorker, PredictConfig(), Sizes(2, 0, 1), take_timeout=600) as executor,
    ):
        reporter = Watcher(lambda event: raylet.kill() if isinstance(event, JobFinished) else None)
        run_predictions(executor, find_takes(takes.root), out, reporter)
    assert list_parts(parts_directory(out))


def test_cutting_clips_ends():
    with cluster_that_is_lost() as raylet:
        tasks = RayTasks(Sizes(2, 0, 1))
        for _ in tasks(lambda job: time.sleep(1000 if job else 0), range(3), died=lambda job, reason: job):
            raylet.kill()
