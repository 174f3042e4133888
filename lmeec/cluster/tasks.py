"""Independent jobs on Ray: Ray places them, and tries those again whose worker dies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from lmeec.cluster.node import ThisNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lmeec.cluster.resources import Sizes

Job = TypeVar("Job")
Result = TypeVar("Result")

_TICK_S = 0.5
_RETRIES = 2


class RayTasks:
    """Does jobs on a Ray cluster that is joined already, so many at a time as there are workers.

    Args:
        sizes: How many workers and what each gets.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.threads = sizes.cpus
        self._workers, self._gpus = sizes.workers, sizes.gpus

    def __call__(
        self, work: Callable[[Job], Result], jobs: Iterable[Job], died: Callable[[Job, str], Result]
    ) -> Iterator[Result]:
        """Yield results in the order in which jobs end.

        Args:
            work: Does a job; is sent to each process.
            jobs: Are taken one at a time, when a worker is free.
            died: Makes the result of a job that killed its workers, or raised.

        Raises:
            ClusterError: the cluster is lost.
        """

        def do_job(job: Job) -> Result:  # a function of its own, as Ray takes no others
            return work(job)

        node = ThisNode()
        task: Any = ray.remote(num_cpus=self.threads, num_gpus=self._gpus, max_retries=_RETRIES)(do_job)
        waiting = iter(jobs)
        at_work: dict[Any, Job] = {}
        while True:
            while len(at_work) < self._workers and (job := next(waiting, None)) is not None:
                at_work[task.remote(job)] = job
            if not at_work:
                return
            node.check_now_and_then()
            # Not for longer, so that signals are heard.
            ended, _ = ray.wait(list(at_work), num_returns=1, timeout=_TICK_S)
            for one in ended:
                job = at_work.pop(one)
                try:
                    yield ray.get(one)
                except RayError as error:
                    node.check()
                    yield died(job, _reason(error))


def _reason(error: RayError) -> str:
    if isinstance(error, RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
