"""Independent jobs of any kind, done in this process or in others behind the same protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Job = TypeVar("Job")
Result = TypeVar("Result")


class TaskExecutor(Protocol):
    """Does jobs and gives results as they come.

    Attributes:
        threads: of each worker; 0 means as many as it likes.
    """

    threads: int

    def __call__(
        self, work: Callable[[Job], Result], jobs: Iterable[Job], died: Callable[[Job, str], Result]
    ) -> Iterator[Result]:
        """Yield the result of every job; `died` makes one of a job whose worker died."""
        ...


class TasksInProcess:
    """Does one job after the other in this process."""

    threads = 0

    def __call__(
        self, work: Callable[[Job], Result], jobs: Iterable[Job], died: Callable[[Job, str], Result]
    ) -> Iterator[Result]:
        """See `TaskExecutor`."""
        yield from map(work, jobs)
