"""Who does the work of a job: this process, or workers on a Ray cluster that is joined, or started for it alone.

Ray is imported here and below only, and only where workers are wanted.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lmeec.cluster.resources import Wanted, in_process_reason, needs_ray_to_train
from lmeec.errors import ClusterError
from lmeec.extras import how_to_install
from lmeec.runs.executor import InProcess
from lmeec.runs.tasks import TasksInProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from lmeec.cluster.resources import Sizes
    from lmeec.cluster.train import Job
    from lmeec.runs.events import Reporter
    from lmeec.runs.executor import Executor
    from lmeec.runs.stop import Stop
    from lmeec.runs.tasks import TaskExecutor
    from lmeec.runs.work import WorkerJob
    from lmeec.training.output.progress import TrainingReporter

    Train: TypeAlias = Callable[[Job, TrainingReporter, Stop], bool]


def _untold(_text: str) -> None:
    pass


@contextlib.contextmanager
def executor_for(
    job: WorkerJob,
    wanted: Wanted | None = None,
    *,
    take_timeout: float | None = None,
    notice: Callable[[str], None] = _untold,
    waiting: Callable[[str], None] = _untold,
) -> Iterator[Executor]:
    """Have somebody who does a job of predictions, or of round trips, until the block ends.

    Args:
        job: what is to be done.
        wanted: how many workers, and where; the default suits this machine.
        take_timeout: seconds that a take may go without a new prediction before its worker is replaced; needs workers.
        notice: is told, in words, who it is.
        waiting: is told, in words, what it is that takes a while, before each such thing.

    Raises:
        ClusterError: there are to be workers, and Ray is not installed, or cannot be started or joined.
        CheckpointError, ConfigError: a model cannot be loaded.
    """
    wanted = wanted or Wanted(device=job.execution.device)
    reason = in_process_reason(wanted, needs_workers=take_timeout is not None)
    if reason is not None:
        if wanted.workers != 0:
            notice(f"predicting in this process: {reason}")
        waiting("loading the weights")
        yield InProcess(job.make_worker())
        return
    waiting(_of_ray(wanted))
    with _ray(wanted, instead=0) as sizes:
        from lmeec.cluster.executor import DEFAULT_TAKE_TIMEOUT_S, RayExecutor

        where = "here" if wanted.address is None else f"on the Ray cluster at {wanted.address}"
        gpus = f"{sizes.gpus:g} GPUs and " if sizes.gpus else ""
        notice(f"predicting with {sizes.workers} workers {where}, each with {gpus}{sizes.cpus} CPUs")
        _tell_of_metrics(wanted, notice)
        waiting("starting the workers, which load the weights")
        with RayExecutor(job.make_worker, job.config, sizes, take_timeout or DEFAULT_TAKE_TIMEOUT_S) as executor:
            yield executor


@contextlib.contextmanager
def task_executor(
    wanted: Wanted, *, notice: Callable[[str], None] = _untold, waiting: Callable[[str], None] = _untold
) -> Iterator[TaskExecutor]:
    """Have somebody who does independent jobs, such as cutting clips, until the block ends.

    Args:
        wanted: how many workers, and where.
        notice: is told, in words, who it is.
        waiting: as for `executor_for`.

    Raises:
        ClusterError: as for `executor_for`.
    """
    if in_process_reason(wanted, needs_workers=False) is not None:
        yield TasksInProcess()
        return
    waiting(_of_ray(wanted))
    with _ray(wanted, instead=0) as sizes:
        from lmeec.cluster.tasks import RayTasks

        notice(f"working with {sizes.workers} workers, each with {sizes.cpus} CPUs")
        yield RayTasks(sizes)


@contextlib.contextmanager
def trainer_for(
    wanted: Wanted, *, notice: Callable[[str], None] = _untold, waiting: Callable[[str], None] = _untold
) -> Iterator[Train]:
    """Have somebody who trains, until the block ends: a function of a job, a reporter and the wish to stop.

    Args:
        wanted: how many workers, and where.
        notice: is told, in words, where metrics are.
        waiting: as for `executor_for`.

    Raises:
        ClusterError: as for `executor_for`.
    """
    if not needs_ray_to_train(wanted):
        yield lambda job, reporter, stop: job.run(reporter, None, lambda: stop.requested)
        return
    waiting(_of_ray(wanted))
    with _ray(wanted, instead=1) as sizes:
        from lmeec.cluster.train import train_on_ray

        _tell_of_metrics(wanted, notice)
        yield lambda job, reporter, stop: train_on_ray(job, sizes, _counted_training(reporter, wanted), stop)


def counted(reporter: Reporter, wanted: Wanted) -> Reporter:
    """A reporter of a run that keeps its metrics too, if they are wanted; for a block of `executor_for`."""
    if not wanted.metrics:
        return reporter
    from lmeec.cluster.metrics import RunMetrics

    return RunMetrics(reporter)


def _counted_training(reporter: TrainingReporter, wanted: Wanted) -> TrainingReporter:
    if not wanted.metrics:
        return reporter
    from lmeec.cluster.metrics import TrainingMetrics

    return TrainingMetrics(reporter)


def _tell_of_metrics(wanted: Wanted, notice: Callable[[str], None]) -> None:
    if wanted.metrics:
        from lmeec.cluster.metrics import where_metrics_are

        notice(f"metrics for Prometheus are at {where_metrics_are()}")


def _of_ray(wanted: Wanted) -> str:
    return "starting Ray" if wanted.address is None else f"joining the Ray cluster at {wanted.address}"


@contextlib.contextmanager
def _ray(wanted: Wanted, *, instead: int) -> Iterator[Sizes]:
    try:
        from lmeec.cluster.session import ray_session
    except ImportError as error:
        raise ClusterError(
            f"workers need ray, which cannot be imported ({error}): {how_to_install('ray')}, or use "
            f"`workers={instead}`",
            settings=["workers"],
        ) from error
    if wanted.metrics:
        from lmeec.cluster.metrics import check_metrics

        check_metrics(wanted.metrics_port)
    with ray_session(wanted) as sizes:
        yield sizes
