"""A Ray cluster of the test's own, whose raylet is killed."""

from __future__ import annotations

import time
from contextlib import contextmanager

import psutil
import pytest
from ray.cluster_utils import Cluster

from lmeec.cluster.resources import Wanted
from lmeec.cluster.session import ray_session
from lmeec.errors import ClusterError

_TOLD_WITHIN_S = 30
_NODE = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}


def _raylets():
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
    """Give the raylet and the workers' sizes; the block must end with an error that says so, and soon."""
    others = _raylets()
    # Joined, not started by the session: Ray starts no actors where a process goes back to a cluster that it had joined
    # before it started one itself.
    made = Cluster(initialize_head=True, head_node_args=_NODE)
    try:
        with ray_session(Wanted(workers=2, address=made.address, device="cpu")) as sizes:
            (process,) = _raylets() - others
            victim = Victim(process)
            with pytest.raises(ClusterError, match=r"its raylet on this machine has died.*run the same command again"):
                yield victim, sizes
            assert time.monotonic() - victim.killed < _TOLD_WITHIN_S
    finally:
        made.shutdown()
