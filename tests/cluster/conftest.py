import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster

sys.path.insert(0, str(Path(__file__).parent))

# Ray lets its workers give way to everything else on the machine, which makes tests wait.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112

NODE = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}


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


class Workers:
    """The worker processes of clusters that this process has started."""

    def pids(self) -> list[int]:
        children = psutil.Process().children(recursive=True)
        return [child.pid for child in children if _title(child).startswith("ray::WorkerActor")]

    def at_work(self) -> list[int]:
        return [pid for pid in self.pids() if "predict" in _title(psutil.Process(pid))]

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to a worker that is at work on a take."""
        for pid in self.at_work():
            os.kill(pid, number)
            return True
        return False


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return ""


@pytest.fixture
def workers():
    return Workers()
