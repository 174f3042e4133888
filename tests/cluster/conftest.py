import os
import shutil
import tempfile
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.support.ray_workers import NODE, Workers
from tests.support.traces import Traces

# Ray lets its workers give way to everything else on the machine, which makes tests wait.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
# A process that joins one cluster after another, as this one does, has an exporter of Ray's metrics left of each, and
# died of them once. The test of metrics turns them on in a process of its own.
os.environ["RAY_enable_metrics_collection"] = "0"  # noqa: SIM112


@pytest.fixture(scope="session")
def cluster():
    """Address of a Ray cluster of one node with two CPUs."""
    made = Cluster(initialize_head=True, head_node_args=NODE)
    yield made.address
    made.shutdown()


@pytest.fixture
def many_takes(takes):
    """Twelve takes in all."""
    takes.add_copies(10)
    return takes


@pytest.fixture
def workers():
    return Workers()


@pytest.fixture
def traces(monkeypatch):
    """What commands that the test starts leave behind; their Ray has a folder of its own."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # paths of sockets are short
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield Traces(folder)
    shutil.rmtree(folder)
