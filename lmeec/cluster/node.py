"""Whether this machine is still part of the cluster, without which Ray awaits workers for ever."""

from __future__ import annotations

import socket
import time

import ray

from lmeec.errors import ClusterError

_LOOK_EVERY_S = 2.0
_ANSWERS_WITHIN_S = 5.0


class ThisNode:
    """The node of the cluster through which this process, which has joined it, reaches its workers."""

    def __init__(self) -> None:
        mine = ray.get_runtime_context().get_node_id()
        (node,) = (node for node in ray.nodes() if node["NodeID"] == mine)
        self._raylet = node["NodeManagerAddress"], node["NodeManagerPort"]
        self._looked = time.monotonic()

    def check_now_and_then(self) -> None:
        """Check, but not again for some seconds; see `check`."""
        if time.monotonic() - self._looked > _LOOK_EVERY_S:
            self.check()

    def check(self) -> None:
        """Knock at the raylet. The cluster's head would notice after 15 s, when Ray may have ended this process.

        Raises:
            ClusterError: nobody is there.
        """
        self._looked = time.monotonic()
        try:
            socket.create_connection(self._raylet, timeout=_ANSWERS_WITHIN_S).close()
        except ConnectionRefusedError as error:
            raise ClusterError(
                "the Ray cluster was lost: its raylet on this machine has died, perhaps for lack of memory, and takes "
                "the workers along; what is done is kept, run the same command again to go on"
            ) from error
        except OSError:  # it may be busy
            return
