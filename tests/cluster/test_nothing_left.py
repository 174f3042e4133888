"""A run's processes, shared memory and folder are gone after it, however it ended."""

from __future__ import annotations

import subprocess
import sys

import pytest
import ray

from lmeec.cluster.resources import Wanted
from lmeec.cluster.session import ray_session
from lmeec.errors import ClusterError

_DRIVER = """
import time
from lmeec.cluster.resources import Wanted
from lmeec.cluster.session import ray_session
from lmeec.cluster.tasks import RayTasks

with ray_session(Wanted(workers=1, device="cpu")) as sizes:
    for _ in RayTasks(sizes)(lambda seconds: time.sleep(seconds), [0, 600], died=lambda job, reason: reason):
        print("at work", flush=True)
"""


@pytest.mark.parametrize("victim", ["gcs_server", "raylet"])
def test_after_the_loss_of_the_head_node(victim, traces):
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert driver.stdout.readline() == "at work\n"
    traces.look()
    assert traces.memory
    (killed,) = [process for process in traces.processes if process.name() == victim]
    killed.kill()
    _, err = driver.communicate(timeout=90)
    assert driver.returncode == 1
    assert "the Ray cluster was lost" in err
    traces.wait_until_nothing_is_left(within=90)
    assert not list(traces.folder.glob("*/*"))


def test_after_a_start_that_failed(traces, monkeypatch):
    def too_late(*_arguments, **_options):
        raise Exception("The current node timed out during startup.")  # of no kind in particular, as Ray does

    monkeypatch.setattr(ray, "init", too_late)
    with (
        pytest.raises(ClusterError, match="cannot start a Ray cluster here: The current node timed out"),
        ray_session(Wanted(workers=1, device="cpu")),
    ):
        pass
    assert not list(traces.folder.glob("*/*"))
