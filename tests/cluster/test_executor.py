"""A run on Ray workers gives the table of a run in one process, whatever happens to the workers."""

from __future__ import annotations

import signal
import socket
import time
from functools import partial

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from lmeec.analysis.night import label_of
from lmeec.cluster.executor import RayExecutor
from lmeec.cluster.resources import Sizes, Wanted
from lmeec.cluster.session import ray_session
from lmeec.config import PredictConfig
from lmeec.data.takes import find_takes
from lmeec.errors import CheckpointError, ClusterError, DiskFullError
from lmeec.runs.events import JobFailed, JobFinished, JobRetried, JobStarted, Notice
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.stop import Stop
from lmeec.runs.worker import Worker
from lmeec.tables import Output, list_parts, parts_directory, read_results
from lmeec.tables.trace import read_trace
from tests.support.ray_workers import NODE, Workers
from tests.support.stub_workers import FullDisk, StubWorker
from tests.support.tables import assert_same
from tests.support.watching import Watcher

KEYS = ["take_uid", "direction", "object", "query_cam", "target_cam", "frame"]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results.parquet"


@pytest.fixture
def run_on(cluster, out):
    """Run on two workers of the cluster."""

    def run(takes, make_worker, reporter, *, timeout=60.0, workers=2, config=PredictConfig(), **options):  # noqa: B008
        with (
            ray_session(Wanted(address=cluster)),
            RayExecutor(make_worker, config, Sizes(workers, 0, 1), timeout) as executor,
        ):
            return run_predictions(executor, takes, out, reporter, **options)

    return run


@pytest.fixture
def real_worker(tiny):
    return partial(Worker, {"ego2exo": str(tiny), "exo2ego": str(tiny)}, PredictConfig())


@pytest.fixture
def undisturbed(many_takes, real_worker, tmp_path):
    path = tmp_path / "undisturbed.parquet"
    run_predictions(InProcess(real_worker()), find_takes(many_takes.root), path, Watcher())
    return read_results(path)


def test_killed_workers_are_replaced_and_their_takes_tried_again(many_takes, real_worker, run_on, undisturbed, out):
    kills = []

    def kill_now_and_then(progress):
        if len(kills) < 3 and Workers().send(signal.SIGKILL):
            kills.append(progress)

    reporter = Watcher(on_update=kill_now_and_then)
    summary = run_on(find_takes(many_takes.root), real_worker, reporter, retries=5)
    assert len(kills) == 3
    assert summary.failures == ()
    assert summary.parts == 24
    retried = reporter.of(JobRetried)
    assert retried
    assert all("its worker died" in event.error for event in retried)
    assert_same(read_results(out), undisturbed)
    assert not parts_directory(out).exists()
    attempts = read_trace(Output.of(out)).attempts
    first = [one for one in attempts if one.outcome == "retried"]
    assert sorted((one.worker, label_of(one), one.reason) for one in first) == sorted(
        (event.worker, event.job, event.error) for event in retried
    )
    known = {(one.take_uid, one.direction, one.attempt) for one in attempts}  # it may be divided when it is tried again
    assert all((one.take_uid, one.direction, one.attempt + 1) in known for one in first)
    assert sum(one.predictions for one in attempts if one.outcome == "done") == undisturbed.num_rows
    assert {one.host for one in attempts} == {socket.gethostname()}
    assert {one.worker for one in attempts} == {"0", "1"}


def test_stalled_take_is_tried_again_on_another_worker(many_takes, real_worker, run_on, undisturbed, out):
    stalled = []

    def stall_once(progress):
        if not stalled and Workers().send(signal.SIGSTOP):
            stalled.append(progress)

    reporter = Watcher(on_update=stall_once)
    summary = run_on(find_takes(many_takes.root), real_worker, reporter, timeout=6.0)
    assert stalled
    assert summary.failures == ()
    assert any("take timeout" in event.error for event in reporter.of(JobRetried))
    assert_same(read_results(out), undisturbed)


def named(takes, *uids):
    """Rename takes after the first, in the annotations only."""
    with takes.annotations() as annotated:
        for number, uid in enumerate(uids):
            annotated[uid] = annotated.pop(f"copy-{number:03d}")
    (takes.root / "takes.json").unlink()
    return find_takes(takes.root)


def test_takes_that_keep_failing_are_set_aside_and_the_rest_goes_on(takes, run_on, out):
    takes.add_copies(5)
    found = named(takes, "x-deadly", "x-broken", "x-endless")
    reporter = Watcher()
    config = PredictConfig(directions=("ego2exo",))
    summary = run_on(found, partial(StubWorker, config), reporter, timeout=6.0, retries=0, config=config)
    reasons = {
        "x-deadly": "its worker died",
        "x-broken": "RuntimeError: a bug",
        "x-endless": "no new prediction for 6 s",
    }
    assert {failure.take_uid for failure in summary.failures} == set(reasons)
    assert all(reasons[failure.take_uid] in failure.error for failure in summary.failures)
    assert summary.parts == 4
    listed = out.with_name("results.parquet.failures.json").read_text()
    assert all(uid in listed for uid in reasons)


def test_takes_are_split_by_camera_when_fewer_than_workers_remain(takes, real_worker, run_on, out, tmp_path):
    found = find_takes(takes.root, names=takes.names[:1])
    reporter = Watcher()
    run_on(found, real_worker, reporter, workers=3)
    jobs = {event.job for event in reporter.of(JobStarted)}
    assert {f"{takes.names[0]} ego2exo gp01", f"{takes.names[0]} ego2exo gp02"} <= jobs
    run_predictions(InProcess(real_worker()), found, tmp_path / "whole.parquet", Watcher())
    assert_same(read_results(out), read_results(tmp_path / "whole.parquet"))


def test_stop_finishes_what_is_at_hand_and_a_rerun_the_rest(many_takes, run_on, out):
    found, stop = find_takes(many_takes.root), Stop()

    def stop_after_four(event):
        if isinstance(event, JobFinished) and len(reporter.of(JobFinished)) == 4:
            stop.request()

    reporter = Watcher(stop_after_four)
    summary = run_on(found, StubWorker, reporter, stop=stop)
    done = len(list_parts(parts_directory(out)))
    assert summary.parts == done == len(reporter.of(JobStarted))
    assert summary.waiting == 24 - done
    assert not out.exists()
    again = Watcher()
    assert run_on(found, StubWorker, again).resumed == done
    assert len(again.of(JobStarted)) >= 24 - done
    assert out.exists()


def test_full_disk_ends_the_run(many_takes, run_on, out):
    reporter = Watcher()
    with pytest.raises(DiskFullError, match=r"No space left.*make room and run the same command again"):
        run_on(find_takes(many_takes.root), FullDisk, reporter)
    assert len(reporter.of(JobStarted)) <= 2
    assert not reporter.of(JobFailed)


def test_a_model_that_cannot_be_loaded_is_told_as_it_is(takes, run_on, tmp_path):
    missing = partial(Worker, {"ego2exo": str(tmp_path / "no.pt")}, PredictConfig(directions=("ego2exo",)))
    with pytest.raises(CheckpointError, match=r"no\.pt"):
        run_on(find_takes(takes.root), missing, Watcher())


def test_an_address_without_a_cluster_is_told():
    with pytest.raises(ClusterError, match="cannot join"), ray_session(Wanted(address="127.0.0.1:1")):
        pass


def test_a_lost_node_is_made_up_for_by_the_other(many_takes, real_worker, undisturbed, out):
    assert not ray.is_initialized()
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 1})
    second = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    lost = []

    def lose_a_node(event):
        if isinstance(event, JobFinished) and len(reporter.of(JobFinished)) == 4:
            raylet = psutil.Process(second.all_processes["raylet"][0].process.pid)
            lost.append(raylet.pid)
            for process in [*raylet.children(recursive=True), raylet]:
                process.kill()

    reporter = Watcher(lose_a_node)
    try:
        with (
            ray_session(Wanted(address=cluster.address)),
            RayExecutor(real_worker, PredictConfig(), Sizes(2, 0, 1), 60.0) as executor,
        ):
            deadline = time.monotonic() + 60
            while len(Workers().pids()) < 2 and time.monotonic() < deadline:
                time.sleep(0.1)
            summary = run_predictions(executor, find_takes(many_takes.root), out, reporter)
    finally:
        cluster.shutdown()
    assert lost
    assert summary.failures == ()
    assert summary.parts == 24
    assert_same(read_results(out), undisturbed)
    assert not reporter.of(Notice)
