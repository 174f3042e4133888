"""One training over several workers, by Ray Train: each has the whole model and computes its share of every batch.

Ray Train starts the workers, joins them with `torch.distributed`, and starts all of them again when one is lost; they
go on from the last saved state then, as any training does that is run again.
"""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import ray
import ray.train
import torch
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lmeec.cluster.node import ThisNode
from lmeec.errors import ClusterError, LmeecError
from lmeec.training.group import Group
from lmeec.training.output.folder import SCRATCH
from lmeec.training.output.progress import Note, TrainingEvent, TrainingReporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ray import ObjectRef
    from ray.actor import ActorHandle

    from lmeec.cluster.resources import Sizes
    from lmeec.runs.stop import Stop

Answer = TypeVar("Answer")

_TICK_S = 0.5
_RESTARTS = 3
_PATIENCE_S = 24 * 3600
"""Workers wait for each other while one still decodes takes or judges its share of them."""


def train_on_ray(job: Job, sizes: Sizes, reporter: TrainingReporter, stop: Stop | None = None) -> bool:
    """Train on a Ray cluster that is joined already; see `lmeec.training.run` and `lmeec.mllm.train`.

    Args:
        job: what to train; its paths are the same on all machines.
        sizes: how many workers and what each gets.
        reporter: is told how it goes.
        stop: lets the caller save and end.

    Raises:
        ClusterError: the workers cannot be started, or die again and again.
        LmeecError: as the training itself.
    """
    # Here, as on another machine it would be lost with that machine, and the training with it.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    made = ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
    mailbox = cast("ActorHandle[_Mailbox]", made)  # Ray's types say that it may be the class itself
    scratch = job.out / SCRATCH
    trainer = TorchTrainer(
        _work,
        train_loop_config={"job": job, "mailbox": mailbox, "threads": sizes.cpus},
        scaling_config=ScalingConfig(
            num_workers=sizes.workers,
            use_gpu=sizes.gpus > 0,
            resources_per_worker={"CPU": sizes.cpus, **({"GPU": sizes.gpus} if sizes.gpus else {})},
        ),
        torch_config=TorchConfig(timeout_s=_PATIENCE_S),
        run_config=RunConfig(storage_path=str(scratch), failure_config=FailureConfig(max_failures=_RESTARTS)),
    )
    node, fit = ThisNode(), _Fit(trainer)
    try:
        while fit.is_alive():
            fit.join(_TICK_S)
            node.check_now_and_then()
            if stop is not None and stop.requested:
                mailbox.stop.remote()
            events: list[TrainingEvent] = _answer(mailbox.take.remote(), node)
            for event in events:
                reporter.event(event)
        reference: ObjectRef[_Outcome] = mailbox.outcome.remote()
        outcome = _answer(reference, node)
    except RayError as error:
        raise ClusterError(f"the Ray cluster was lost: {_reason(error)}; the last saved state is kept") from error
    finally:
        ray.kill(mailbox)
        shutil.rmtree(scratch, ignore_errors=True)
    if outcome.error is not None:
        raise outcome.error
    if outcome.finished is None:
        raise ClusterError(f"the workers of the training died: {fit.why}; the last saved state is kept")
    return outcome.finished


def _answer(reference: ObjectRef[Answer], node: ThisNode) -> Answer:
    """What an actor answers; it may have died with the node, of which Ray hears later."""
    while not ray.wait([reference], timeout=_TICK_S, fetch_local=False)[0]:
        node.check_now_and_then()
    return ray.get(reference)


class Job(Protocol):
    """A training that can be sent to other processes."""

    @property
    def out(self) -> Path:
        """Its folder."""

    def run(self, reporter: TrainingReporter, group: Group | None, stopping: Callable[[], bool]) -> bool:
        """Train, or go on; False if stopped before the end."""


class _Fit(threading.Thread):
    """Runs Ray Train, which in the main thread would take Ctrl-C for itself."""

    def __init__(self, trainer: TorchTrainer) -> None:
        super().__init__(daemon=True)
        self._trainer = trainer
        self.why = ""
        self.start()

    def run(self) -> None:
        try:
            self._trainer.fit()
        except Exception as error:
            self.why = _reason(error)


def _reason(error: Exception) -> str:
    """The last line of an error's text, which is what a worker died of."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@dataclass
class _Outcome:
    """How a training ended.

    Attributes:
        finished: what `run_training` returned; None if it did not.
        error: what it raised, for the user.
    """

    finished: bool | None = None
    error: LmeecError | None = None


@dataclass
class _Mailbox:
    """An actor between the workers and the driver."""

    events: list[TrainingEvent] = field(default_factory=list)
    ended: _Outcome = field(default_factory=_Outcome)
    stopped: bool = False

    def put(self, event: TrainingEvent) -> None:
        """A worker tells of an event."""
        self.events.append(event)

    def take(self) -> list[TrainingEvent]:
        """The events since the last time."""
        taken, self.events = self.events, []
        return taken

    def stop(self) -> None:
        """The workers shall save and end."""
        self.stopped = True

    def stopping(self) -> bool:
        """Whether they shall."""
        return self.stopped

    def end(self, outcome: _Outcome) -> None:
        """A worker tells how the training ended; the first one counts."""
        if self.ended == _Outcome():
            self.ended = outcome

    def outcome(self) -> _Outcome:
        """How it ended."""
        return self.ended


class _ToDriver:
    """Reports to the mailbox: everything of the leading worker, of the others what the user must know."""

    def __init__(self, mailbox: Any, leads: bool) -> None:
        self._mailbox, self._leads = mailbox, leads

    def event(self, event: TrainingEvent) -> None:
        """See `TrainingReporter`."""
        if self._leads or isinstance(event, Note):
            self._mailbox.put.remote(event)


def _work(settings: dict[str, Any]) -> None:
    """What each worker does."""
    job, mailbox = settings["job"], settings["mailbox"]
    if ray.get(mailbox.outcome.remote()).error is not None:
        return  # begun again by Ray after an error that would come again
    torch.set_num_threads(settings["threads"])
    context = ray.train.get_context()
    group = Group(context.get_world_rank(), context.get_world_size())

    def stopping() -> bool:
        wanted: bool = ray.get(mailbox.stopping.remote())
        return wanted

    try:
        finished = job.run(_ToDriver(mailbox, group.leads), group, stopping)
    except LmeecError as error:
        ray.get(mailbox.end.remote(_Outcome(error=error)))
        raise
    if group.leads:
        ray.get(mailbox.end.remote(_Outcome(finished=finished)))
