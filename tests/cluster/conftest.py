import os

import pytest
from ray.cluster_utils import Cluster

from tests.support.ray_workers import NODE, Workers

# Ray lets its workers give way to everything else on the machine, which makes tests wait.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112


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
