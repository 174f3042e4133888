"""How many workers a run has and what each of them gets; decided without Ray."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Literal

import torch

from lmeec.config import Device
from lmeec.errors import ConfigError, require
from lmeec.extras import how_to_install

_CPUS_A_WORKER = 2
"""Without a GPU. More threads a worker bring little; more workers take more memory."""


@dataclass(frozen=True)
class Wanted:
    """What the user asks for.

    Attributes:
        workers: how many; 0 stays in this process, `auto` takes one for each GPU, or for some CPUs without any.
        gpus_per_worker: may be a fraction; None means 1 where there are GPUs.
        cpus_per_worker: threads of each; None divides what there is.
        address: of a Ray cluster; None starts one here.
        device: where to compute.
        metrics: whether Ray shall serve the run's metrics for Prometheus, which takes workers.
        metrics_port: where, on the loopback, of a cluster that is started here; None leaves it to Ray.

    Raises:
        ConfigError: a number is out of range, or settings do not go together.
    """

    workers: int | Literal["auto"] = "auto"
    gpus_per_worker: float | None = None
    cpus_per_worker: int | None = None
    address: str | None = None
    device: Device = "auto"
    metrics: bool = False
    metrics_port: int | None = None

    def __post_init__(self) -> None:
        require(self.workers == "auto" or self.workers >= 0, "workers", self.workers, "auto or a number from 0")
        gpus, cpus = self.gpus_per_worker, self.cpus_per_worker
        require(gpus is None or gpus >= 0, "gpus_per_worker", gpus, "zero or more")
        require(cpus is None or cpus >= 1, "cpus_per_worker", cpus, "at least 1")
        port = self.metrics_port
        require(port is None or 0 < port < 65536, "metrics_port", port, "a port from 1 to 65535")
        if self.metrics and self.workers == 0:
            raise ConfigError(
                "`metrics` are served by Ray, which runs workers: use `workers=1` or more",
                settings=["metrics", "workers"],
            )
        if port is not None and not self.metrics:
            raise ConfigError("`metrics_port` is for `metrics=True`", settings=["metrics_port", "metrics"])
        if port is not None and self.address is not None:
            raise ConfigError(
                "`metrics_port` is of a cluster that is started here; one that is joined serves metrics where it was "
                "told to by `ray start`",
                settings=["metrics_port"],
            )


@dataclass(frozen=True)
class Node:
    """What a machine has."""

    cpus: int
    gpus: int


@dataclass(frozen=True)
class Sizes:
    """The workers of a run.

    Attributes:
        workers: how many.
        gpus: of each.
        cpus: of each, and its threads.
    """

    workers: int
    gpus: float
    cpus: int


def this_machine() -> Node:
    """What this machine has, as torch sees it."""
    return Node(len(os.sched_getaffinity(0)), torch.cuda.device_count())


def sizes(wanted: Wanted, nodes: list[Node]) -> Sizes:
    """Decide on the workers.

    Example:
        >>> sizes(Wanted(), [Node(cpus=64, gpus=8)])
        Sizes(workers=8, gpus=1, cpus=8)
        >>> sizes(Wanted(), [Node(cpus=16, gpus=0)])
        Sizes(workers=8, gpus=0, cpus=2)
        >>> sizes(Wanted(workers=4), [Node(cpus=2, gpus=0)])
        Sizes(workers=4, gpus=0, cpus=1)
        >>> sizes(Wanted(workers=1), [Node(cpus=8, gpus=0), Node(cpus=8, gpus=0)])
        Sizes(workers=1, gpus=0, cpus=8)
    """
    on_gpu = wanted.device in ("auto", "cuda") and any(node.gpus for node in nodes)
    gpus = wanted.gpus_per_worker if wanted.gpus_per_worker is not None else int(on_gpu)
    if gpus:
        counts = [int(node.gpus / gpus) for node in nodes]
        with_gpu = [node for node in nodes if node.gpus]
        share = min((node.cpus // max(int(node.gpus / gpus), 1) for node in with_gpu), default=1)
        count = sum(counts)
    else:
        share = min(_CPUS_A_WORKER, max((node.cpus for node in nodes), default=1))
        count = sum(node.cpus // (wanted.cpus_per_worker or share) for node in nodes)
    if wanted.workers != "auto":
        count = wanted.workers
        if not gpus:
            share = _share_for(count, [node.cpus for node in nodes])
    return Sizes(max(count, 1), gpus, wanted.cpus_per_worker or max(share, 1))


def _share_for(workers: int, cpus: list[int]) -> int:
    """The most CPUs that each worker can have when every worker is on one node; at least 1."""
    shares = range(max(cpus, default=1), 1, -1)
    return next((share for share in shares if sum(count // share for count in cpus) >= workers), 1)


def needs_ray_to_train(wanted: Wanted) -> bool:
    """Whether a training has more than one worker, or another machine, or is to be watched by Prometheus."""
    if wanted.address is not None or wanted.metrics:
        return True
    gpus = this_machine().gpus if wanted.device in ("auto", "cuda") else 0
    return (gpus if wanted.workers == "auto" else wanted.workers) > 1


def in_process_reason(wanted: Wanted, *, needs_workers: bool) -> str | None:
    """Why a run stays in this process, for the user; None if it uses workers.

    Args:
        wanted: what the user asks for.
        needs_workers: something was asked for that only a worker's own process allows.
    """
    if wanted.workers == 0:
        return "no workers are asked for"
    if wanted.workers != "auto" or wanted.address is not None or wanted.metrics or needs_workers:
        return None
    if sizes(wanted, [this_machine()]).workers == 1:
        return "there would be one worker only"
    if importlib.util.find_spec("ray") is None:
        return f"ray is not installed, which runs several workers: {how_to_install('ray')}"
    return None
