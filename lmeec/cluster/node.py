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
        context = ray.get_runtime_context()
        mine = context.get_node_id()
        (node,) = (node for node in ray.nodes() if node["NodeID"] == mine)
        self._needed = {"raylet": (node["NodeManagerAddress"], node["NodeManagerPort"])}
        host, _, port = context.gcs_address.rpartition(":")
        if host == node["NodeManagerAddress"]:  # elsewhere it may be started again, as KubeRay does
            self._needed["control store"] = host, int(port)
        self._looked = time.monotonic()

    def check_now_and_then(self) -> None:
        """Check, but not again for some seconds; see `check`."""
        if time.monotonic() - self._looked > _LOOK_EVERY_S:
            self.check()

    def check(self) -> None:
        """Knock at the raylet, and at the cluster's control store if it is here. Ray would end this process unheard.

        It does so 15 s after the raylet's end, when the head has noticed, and a minute after the control store's.

        Raises:
            ClusterError: nobody is there.
        """
        self._looked = time.monotonic()
        for name, address in self._needed.items():
            try:
                socket.create_connection(address, timeout=_ANSWERS_WITHIN_S).close()
            except ConnectionRefusedError as error:
                raise ClusterError(
                    f"the Ray cluster was lost: its {name} on this machine has died, perhaps for lack of memory, and "
                    "takes the workers along; what is done is kept, run the same command again to go on"
                ) from error
            except OSError:  # it may be busy
                continue
