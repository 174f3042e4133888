"""A raylet that dies takes the run with it: with an error that says so, where Ray would wait for ever."""

from __future__ import annotations

import time

from lmeec.cluster.executor import RayExecutor
from lmeec.cluster.tasks import RayTasks
from lmeec.config import PredictConfig
from lmeec.data.takes import find_takes
from lmeec.runs.events import JobFinished
from lmeec.runs.predict import run_predictions
from lmeec.tables import list_parts, parts_directory
from tests.support.lost import cluster_that_is_lost
from tests.support.stub_workers import StubWorker
from tests.support.watching import Watcher


def test_a_prediction_run_ends_and_keeps_its_parts(takes, tmp_path):
    takes.add_copies(1)
    with takes.annotations() as annotated:
        annotated["x-endless"] = annotated.pop("copy-000")
    (takes.root / "takes.json").unlink()
    out = tmp_path / "results.parquet"
    with (
        cluster_that_is_lost() as (raylet, sizes),
        RayExecutor(StubWorker, PredictConfig(), sizes, take_timeout=600) as executor,
    ):
        reporter = Watcher(lambda event: raylet.kill() if isinstance(event, JobFinished) else None)
        run_predictions(executor, find_takes(takes.root), out, reporter)
    assert list_parts(parts_directory(out))


def test_cutting_clips_ends():
    with cluster_that_is_lost() as (raylet, sizes):
        tasks = RayTasks(sizes)
        for _ in tasks(lambda job: time.sleep(1000 if job else 0), range(3), died=lambda job, reason: job):
            raylet.kill()
