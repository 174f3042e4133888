"""Clips cut on Ray: the same files as in one process, whatever becomes of a worker."""

from __future__ import annotations

import threading
import time

import psutil
import pytest

from lmeec.clips.extract import ExtractConfig, extract_clips
from lmeec.cluster.resources import Wanted
from lmeec.cluster.session import ray_session
from lmeec.cluster.tasks import RayTasks
from lmeec.runs.tasks import TasksInProcess
from tests.support.command import lmeec
from tests.support.described import spoken, write_descriptions


@pytest.fixture
def described(takes):
    """Eight takes with three sentences each."""
    takes.add_copies(6)
    (takes.root / "takes.json").unlink()
    folders = sorted(path.name for path in (takes.root / "takes").iterdir())
    (takes.root / "annotations" / "relations_val.json").unlink()
    write_descriptions(takes.root, {name: [spoken(1.0, 2.0, 3.0)] for name in folders})
    return takes


def shards(folder):
    return {path.name: path.read_bytes() for path in (folder / "shards").glob("*.tar")}


def kill_one_at_work(folder, killed):
    """Kill a worker once the first take is whole."""
    while not killed:
        if shards(folder):
            at_work = [child for child in psutil.Process().children(recursive=True) if "do_job" in _title(child)]
            for child in at_work[:1]:
                child.kill()
                killed.append(child.pid)
        time.sleep(0.05)


def _title(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_neither_a_killed_worker_nor_a_damaged_take_changes_the_others(described, cluster, tmp_path):
    table, out = tmp_path / "clips.parquet", tmp_path / "out"
    call = ["clips", described.root, "--out", table, "--rule", "fixed", "--seconds", 1]
    assert lmeec(*call).status == 0
    extract_clips(table, tmp_path / "here", ExtractConfig(("webdataset",)), TasksInProcess())
    video = described.root / "takes" / "copy_003" / "frame_aligned_videos" / "gp01.mp4"
    data = video.read_bytes()
    start, end = len(data) * 4 // 10, len(data) * 7 // 10
    video.write_bytes(data[:start] + bytes(end - start) + data[end:])
    killed: list[int] = []
    killer = threading.Thread(target=kill_one_at_work, args=(out, killed))
    killer.start()
    try:
        done = lmeec(*call, "--extract", out, "--format", "webdataset", "--workers", 2, "--ray-address", cluster)
    finally:
        undisturbed = not killed
        killed.append(0)
        killer.join()
    assert not undisturbed
    assert done.status == 1
    assert "take 'copy_003', camera 'gp01'" in done.err
    assert "Traceback" not in done.err
    assert "7 of 8 takes are whole" in done.err
    expected = shards(tmp_path / "here")
    del expected["clips-000003.tar"]
    found = shards(out)
    found.pop("clips-000003.partial.tar")  # what could be cut of the damaged take
    assert found == expected


def test_a_worker_that_cannot_do_its_job_is_told(cluster):
    def work(job):
        if job == 2:
            raise RuntimeError("a bug")
        return job * 10

    with ray_session(Wanted(2, address=cluster, device="cpu")) as sizes:
        results = list(RayTasks(sizes)(work, range(4), lambda job, reason: (job, reason)))
    assert sorted(results, key=str) == sorted([0, 10, (2, "RuntimeError: a bug"), 30], key=str)
