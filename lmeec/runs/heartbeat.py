"""Small files beside the parts that say what a run is about and how far it is, for `lmeec status` and for reruns."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from lmeec.errors import OutputError
from lmeec.files.json import read_record
from lmeec.files.locations import is_local
from lmeec.files.whole import written_whole
from lmeec.runs.claim import HEARTBEAT_FILE, SILENT_AFTER_S, Claim
from lmeec.runs.jobs import Job
from lmeec.runs.progress import Standing
from lmeec.tables import remove_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from lmeec.files.locations import Location
    from lmeec.runs.progress import Progress

PLAN_FILE = "run.json"

_BEAT_EVERY_S = {True: 2.0, False: 15.0}

State = Literal["running", "stopped", "finished"]


@dataclass(frozen=True)
class Plan:
    """What a run has to do.

    Attributes:
        jobs: all its takes and directions, also those done before.
        cautions: what must be known before its results are used, in words.
    """

    jobs: list[Job]
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Standing):
    """Where a run stood when its driver last said so.

    Attributes:
        state: what the driver does.
        host: the driver's machine.
        pid: the driver's process.
        time: seconds since 1970, by that machine's clock.
    """

    state: State
    host: str
    pid: int
    time: float


class RunRecord:
    """Writes the files of one run and owns its output while the run goes; a context manager.

    A thread says every few seconds where the run stands, whatever the driver is busy with: others take an output that
    says nothing for theirs.

    Args:
        directory: folder of the parts.
        progress: what beats tell of.
        notice: is told, in words, when it takes a while to see whether another owner lives.

    Raises:
        OutputError: on entering, when another run owns the output, or it cannot be written to.
    """

    def __init__(self, directory: Location, progress: Progress, notice: Callable[[str], None]) -> None:
        self._directory = directory
        self._progress = progress
        self._notice = notice
        self._every = _BEAT_EVERY_S[is_local(directory)]
        self._ending = threading.Event()
        self._lost = False
        self._last: State | None = "stopped"
        self._also: Sequence[Callable[[], None]] = ()

    def __enter__(self) -> Self:
        self._claim = Claim(self._directory, self._notice)
        self._thread = threading.Thread(target=self._beat_on, name="lmeec-heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        if not self._lost:
            if self._last is not None:
                with suppress(OutputError):  # a full disk, which is told of already
                    self._beat(self._last)
            self._claim.release()

    def plan(self, jobs: Sequence[Job], cautions: Sequence[str] = ()) -> None:
        """Say what the run is about.

        Raises:
            OutputError: it cannot be written.
        """
        with written_whole(self._directory / PLAN_FILE) as file:
            file.write(msgspec.json.encode(Plan(list(jobs), tuple(cautions))))

    def beat_with(self, *also: Callable[[], None]) -> None:
        """Have other things written at each beat, in its thread."""
        self._also = also

    def check(self) -> None:
        """Make sure that the output is still this run's.

        Raises:
            OutputError: another driver took it over, as this one had given no sign of life.
        """
        if self._lost or not self._claim.held():
            self._lost = True
            raise OutputError(
                f"{self._directory}: another run took this output over, as this one had given no sign of life for "
                f"{SILENT_AFTER_S:.0f} s; it goes on there"
            )

    @property
    def lost(self) -> bool:
        """Whether the last beat found that another driver took the output over."""
        return self._lost

    def remove_files(self) -> None:
        """The run is over and whole, nobody needs its files any more.

        Raises:
            OutputError: one cannot be removed.
        """
        remove_parts(self._directory)
        self._ending.set()
        self._thread.join()
        self._last = None
        remove_parts(self._directory, also=(PLAN_FILE, HEARTBEAT_FILE))

    def finish(self) -> None:
        """The run is over, but its files are needed for a rerun."""
        self._last = "finished"

    def _beat_on(self) -> None:
        while True:
            try:
                if not self._claim.held():
                    self._lost = True
                    return
                self._beat("running")
            except Exception:  # a disk or network that may be back for the next beat
                pass
            for also in self._also:
                with suppress(Exception):
                    also()
            if self._ending.wait(self._every):
                return

    def _beat(self, state: State) -> None:
        owner, standing = self._claim.owner, self._progress.standing()
        beat = Heartbeat(state=state, host=owner.host, pid=owner.pid, time=time.time(), **vars(standing))
        with written_whole(self._directory / HEARTBEAT_FILE) as file:
            file.write(msgspec.json.encode(beat))


def read_plan(directory: Location) -> Plan | None:
    """What the run is about; None where none was recorded.

    Raises:
        OutputError: the file is damaged.
    """
    return read_record(directory / PLAN_FILE, Plan)


def read_heartbeat(directory: Location) -> Heartbeat | None:
    """Where the run stood last; None where none was recorded.

    Raises:
        OutputError: the file is damaged.
    """
    return read_record(directory / HEARTBEAT_FILE, Heartbeat)
