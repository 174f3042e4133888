"""Whether this machine is still part of the cluster, without which Ray awaits workers for ever."""

from __future__ import annotations

import time

import ray

from lmeec.errors import ClusterError

_LOOK_EVERY_S = 5.0


class ThisNode:
    """The node of the cluster through which this process, which has joined it, reaches its workers."""

    def __init__(self) -> None:
        self._id = ray.get_runtime_context().get_node_id()
        self._looked = time.monotonic()

    def check_now_and_then(self) -> None:
        """Check, but not again for some seconds; see `check`."""
        if time.monotonic() - self._looked > _LOOK_EVERY_S:
            self.check()

    def check(self) -> None:
        """Ask the cluster's head, which notices after about 15 s that a node is gone.

        Raises:
            ClusterError: the node is lost.
        """
        self._looked = time.monotonic()
        if not any(node["NodeID"] == self._id and node["Alive"] for node in ray.nodes()):
            raise self.lost()

    def lost(self) -> ClusterError:
        """What to say where it is known already."""
        return ClusterError(
            "the Ray cluster was lost: its raylet on this machine has died, perhaps for lack of memory, and took the "
            "workers along; what is done is kept, run the same command again to go on"
        )
