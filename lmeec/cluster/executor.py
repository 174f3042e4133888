"""Runs the jobs of a run on Ray actors, one a worker.

Ray places the actors, loads them where there is room, restarts those that die and tells when a node is lost. What is
left to do here is which job a free worker gets, and what a job's end means for the run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, cast

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from lmeec.cluster.actor import Message, Ready, Unfit, WorkerActor
from lmeec.cluster.node import ThisNode
from lmeec.errors import ClusterError, LmeecError
from lmeec.runs.outcome import JobError, ModelInfo, PartResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from ray import ObjectRef, ObjectRefGenerator
    from ray.actor import ActorHandle

    from lmeec.cluster.resources import Sizes
    from lmeec.config import Direction, PredictConfig
    from lmeec.runs.ledger import Assignment, Ledger
    from lmeec.runs.worker import Worker

DEFAULT_TAKE_TIMEOUT_S = 1800.0

_TICK_S = 0.5
_PLACED_WITHIN_S = 30.0
_STRIKES = 3
"""A worker that fails to start so many times in a row is given up."""


class RayExecutor:
    """A pool of workers on a Ray cluster that is joined already; a context manager that ends them.

    Args:
        make_worker: makes a worker; is sent to each process.
        config: the run's settings.
        sizes: how many workers and what each gets.
        take_timeout: seconds that a job may go without a new prediction before its worker is replaced.
    """

    def __init__(
        self,
        make_worker: Callable[[], Worker],
        config: PredictConfig,
        sizes: Sizes,
        take_timeout: float = DEFAULT_TAKE_TIMEOUT_S,
    ) -> None:
        self.config = config
        self.workers = sizes.workers
        self._timeout = take_timeout
        self._models: Mapping[Direction, ModelInfo] | None = None
        self._why_given_up = ""
        self._node = ThisNode()
        options = {"num_cpus": sizes.cpus, "num_gpus": sizes.gpus, "max_restarts": -1}
        actors = ray.remote(WorkerActor).options(**options)
        # Ray's types say that it may be the class itself.
        make_actor = lambda: cast("ActorHandle[WorkerActor]", actors.remote(make_worker, sizes.cpus))  # noqa: E731
        self._slots = [_Slot(str(number), make_actor) for number in range(sizes.workers)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for slot in self._slots:
            slot.end()

    def describe(self) -> Mapping[Direction, ModelInfo]:
        """See `Executor`; waits for the first worker.

        Raises:
            ClusterError: no worker can be started, or the cluster is lost.
            CheckpointError, ConfigError: a model cannot be loaded.
        """
        while self._models is None:
            self._hear(ledger=None, timeout=_TICK_S)
        return self._models

    def wait_for_all(self) -> None:
        """Wait until every worker is up or given up, which a run need not.

        Raises:
            ClusterError: no worker can be started, or the cluster is lost.
        """
        while any(slot.pending is not None for slot in self._slots):
            self._hear(ledger=None, timeout=_TICK_S)

    def run(self, ledger: Ledger) -> None:
        """See `Executor`.

        Raises:
            ClusterError: no worker is left, or the cluster is lost.
        """
        self.describe()
        for slot in self._slots:
            ledger.progress.set_state(slot.name, "idle" if slot.idle else "starting")
        waiting_since = time.monotonic()
        while True:
            self._assign(ledger)
            working = [slot for slot in self._slots if slot.assignment is not None]
            if not working and not ledger.waiting:
                return
            self._hear(ledger, _TICK_S)
            self._end_stalled(ledger)
            ledger.tick()
            if working:
                waiting_since = time.monotonic()
            elif time.monotonic() - waiting_since > _PLACED_WITHIN_S:
                ledger.notice("no worker is up; waiting for Ray to find room for one")
                waiting_since = time.monotonic()

    def _assign(self, ledger: Ledger) -> None:
        for slot in self._slots:
            if slot.idle and (assignment := ledger.next_job()) is not None:
                slot.give(assignment, ledger)

    def _hear(self, ledger: Ledger | None, timeout: float) -> None:
        """Wait for messages of workers and settle what they say."""
        self._node.check_now_and_then()
        pending = {slot.pending: slot for slot in self._slots if slot.pending is not None}
        if not pending:
            raise ClusterError(f"no worker is left: {self._why_given_up}")
        ready, _ = ray.wait(list(pending), num_returns=1, timeout=timeout, fetch_local=False)
        for pending_one in ready:
            slot = pending[pending_one]
            if slot.assignment is None:
                self._settle_start(slot, ledger)
            elif ledger is not None:
                self._settle_message(slot, slot.assignment, ledger)

    def _settle_start(self, slot: _Slot, ledger: Ledger | None) -> None:
        try:
            ready = slot.started()
        except RayTaskError as error:
            if isinstance(error.cause, LmeecError) and self._models is None:
                raise error.cause from None
            self._strike(slot, ledger, f"it cannot load the models: {_cause(error)}")
        except RayError as error:
            self._strike(slot, ledger, f"it died while it loaded the models: {_first_line(error)}")
        else:
            self._admit(slot, ready, ledger)

    def _admit(self, slot: _Slot, ready: Ready, ledger: Ledger | None) -> None:
        slot.strikes, slot.ready = 0, ready
        self._models = self._models or ready.models
        if _of_results(ready.models) != _of_results(self._models):
            mine, theirs = _of_results(ready.models), _of_results(self._models)
            self._give_up(slot, ledger, f"on {ready.node} it has {mine}, others have {theirs}; they are not mixed")
        elif ledger is not None:
            ledger.progress.set_state(slot.name, "idle")

    def _settle_message(self, slot: _Slot, assignment: Assignment, ledger: Ledger) -> None:
        job = assignment.job
        try:
            message = slot.message()
        except (RayError, StopIteration) as error:
            self._node.check()
            slot.recover(replace=isinstance(error, ActorDiedError))
            ledger.failed(slot.name, job, JobError(f"its worker died: {_first_line(error)}"))
            ledger.progress.set_state(slot.name, "starting")
            return
        match message:
            case int():
                ledger.advanced(slot.name, message)
            case PartResult():
                slot.free()
                ledger.finished(slot.name, job, message)
            case JobError():
                slot.free()
                ledger.failed(slot.name, job, message)
                if message.fresh_worker:
                    slot.recover(replace=True)
                    ledger.progress.set_state(slot.name, "starting")
            case Unfit():
                slot.free()
                ledger.put_back(slot.name, job, message.reason)
                self._give_up(slot, ledger, message.reason)

    def _strike(self, slot: _Slot, ledger: Ledger | None, reason: str) -> None:
        slot.strikes += 1
        if slot.strikes >= _STRIKES:
            self._give_up(slot, ledger, reason)
            return
        slot.recover(replace=True)
        if ledger is not None:
            ledger.progress.set_state(slot.name, "starting")

    def _give_up(self, slot: _Slot, ledger: Ledger | None, reason: str) -> None:
        slot.end()
        self._why_given_up = reason
        if ledger is not None:
            ledger.progress.workers.pop(slot.name, None)
            ledger.notice(f"worker {slot.name} is given up: {reason}")

    def _end_stalled(self, ledger: Ledger) -> None:
        for slot in self._slots:
            if slot.assignment is not None and time.monotonic() - slot.heard > self._timeout:
                job = slot.assignment.job
                slot.recover(replace=True)
                ledger.failed(
                    slot.name,
                    job,
                    JobError(f"no new prediction for {self._timeout:.0f} s (take timeout), its worker was ended"),
                )
                ledger.progress.set_state(slot.name, "starting")


class _Slot:
    """A worker's place: the actor that fills it, and what is awaited of it.

    Attributes:
        name: of the worker.
        assignment: its job.
        heard: when it last sent a message, in seconds of the monotonic clock.
        strikes: how often in a row it failed to start.
        ready: where it is, and its models; None until it is up for the first time.
    """

    def __init__(self, name: str, make_actor: Callable[[], ActorHandle[Any]]) -> None:
        self.name = name
        self.assignment: Assignment | None = None
        self.heard = time.monotonic()
        self.strikes = 0
        self.ready: Ready | None = None
        self._make_actor = make_actor
        self._actor: ActorHandle[Any] | None = make_actor()
        self._starting: ObjectRef[Ready] | None = None
        self._messages: ObjectRefGenerator | None = None
        self._start()

    @property
    def pending(self) -> ObjectRef[Ready] | ObjectRefGenerator | None:
        """What is awaited: the start of the actor or messages of its job; None if nothing is."""
        return self._starting if self._starting is not None else self._messages

    @property
    def idle(self) -> bool:
        """Whether it can be given a job."""
        return self._actor is not None and self.pending is None

    def give(self, assignment: Assignment, ledger: Ledger) -> None:
        """Begin a job."""
        assert self._actor is not None
        assert self.ready is not None
        self.assignment = assignment
        self.heard = time.monotonic()
        job = assignment.job
        ledger.started(self.name, job, self.ready.node, self.ready.models[job.direction].computes_on)
        self._messages = self._actor.predict.options(num_returns="streaming", max_task_retries=0).remote(
            assignment.take, job, ledger.directory, ledger.run
        )

    def started(self) -> Ready:
        """The outcome of starting, when it is there."""
        assert self._starting is not None
        starting, self._starting = self._starting, None
        return ray.get(starting)

    def message(self) -> Message:
        """The next message, when it is there."""
        assert self._messages is not None
        self.heard = time.monotonic()
        message: Message = ray.get(next(self._messages))
        return message

    def free(self) -> None:
        """The job has ended."""
        self._starting = self._messages = self.assignment = None

    def recover(self, *, replace: bool) -> None:
        """Await the actor's restart by Ray, or put another in its place."""
        self.free()
        if replace:
            self.end()
            self._actor = self._make_actor()
        self._start()

    def end(self) -> None:
        """End the actor's process."""
        self.free()
        if self._actor is not None:
            ray.kill(self._actor)
            self._actor = None

    def _start(self) -> None:
        # Retried by Ray for as long as it takes to place the actor again, on another node if its own is lost.
        assert self._actor is not None
        self._starting = self._actor.start.options(max_task_retries=-1).remote()


def _of_results(models: Mapping[Direction, ModelInfo]) -> dict[str, tuple[str, str]]:
    return {direction: (model.digest[:12], model.dtype) for direction, model in models.items()}


def _cause(error: RayTaskError) -> str:
    cause = error.cause
    return str(cause) if isinstance(cause, LmeecError) else f"{type(cause).__name__}: {cause}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
