"""Joining a Ray cluster, or starting one on this machine that is gone afterwards."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import ray

from lmeec.cluster.alone import keep_token_private, on_loopback, own_folder
from lmeec.cluster.resources import Node, Sizes, Wanted, sizes, this_machine
from lmeec.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECT_STORE_BYTES = 256 * 2**20
"""For takes on their way to workers, which are some megabytes each; Ray would take a third of the memory."""

_ANSWERS_WITHIN_S = 15.0


@contextlib.contextmanager
def ray_session(wanted: Wanted) -> Iterator[Sizes]:
    """Have a Ray cluster and say what workers fit it.

    A cluster that was started here ends with the block, with all of its processes; one that was joined stays.

    Raises:
        ClusterError: it cannot be started or joined.
    """
    if wanted.address is None:
        with _started(wanted) as fit:
            yield fit
        return
    _check_reachable(wanted.address)
    _init(wanted.address)
    try:
        yield sizes(wanted, _nodes())
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _started(wanted: Wanted) -> Iterator[Sizes]:
    # A tool that starts Ray for its user does not report to Ray's authors in the user's name.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    fit = sizes(wanted, [this_machine()])
    keep_token_private()
    with contextlib.ExitStack() as ending:
        try:
            folder = ending.enter_context(own_folder())
        except OSError as error:
            raise ClusterError(f"cannot start a Ray cluster here: {error}") from error
        ending.callback(ray.shutdown)  # also of what a start that failed has left
        with on_loopback():
            _init(
                "local",
                num_cpus=max(this_machine().cpus, fit.workers * fit.cpus),
                object_store_memory=_OBJECT_STORE_BYTES,
                include_dashboard=False,
                _metrics_export_port=wanted.metrics_port,
                _temp_dir=str(folder),
            )
        yield fit


def _init(address: str, **more: Any) -> None:
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **more)
    except Exception as error:  # of no kind in particular where the machine is too busy to start in time
        what = "start a Ray cluster here" if address == "local" else f"join the Ray cluster at {address}"
        raise ClusterError(f"cannot {what}: {error}") from error


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes before it says that nobody answers.

    Raises:
        ClusterError: nobody does.
    """
    if "://" in address:
        raise ClusterError(
            f"cannot join the Ray cluster at {address}: run lmeec on a machine of the cluster and give HOST:PORT or "
            "auto"
        )
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWERS_WITHIN_S).close()
    except (OSError, ValueError) as error:
        raise ClusterError(f"cannot join the Ray cluster at {address}: {error}; is it up?") from error


def _nodes() -> list[Node]:
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(int(r.get("CPU", 0)), int(r.get("GPU", 0))) for r in resources]
