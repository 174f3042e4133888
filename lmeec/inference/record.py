"""Small files beside the parts that say what a run is about and how far it is, for `lmeec status` and for reruns."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from lmeec.errors import OutputError
from lmeec.inference.jobs import Job
from lmeec.inference.progress import Failure, Progress
from lmeec.tables.files import written_whole
from lmeec.tables.storage import is_local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.tables import Output
    from lmeec.tables.storage import Location

PLAN_FILE = "run.json"
HEARTBEAT_FILE = "progress.json"

_BEAT_EVERY_S = {True: 2.0, False: 15.0}
_SILENT_AFTER_S = 90.0

State = Literal["running", "stopped", "finished"]
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What a run has to do: all its takes and directions, also those done before."""

    jobs: list[Job]


@dataclass(frozen=True)
class WorkerBeat:
    """What a worker does, as `WorkerState` has it."""

    name: str
    state: str
    job: str
    frames: int
    done: int
    rate: float


@dataclass(frozen=True)
class Heartbeat:
    """Where a run stood when its driver last said so.

    Attributes:
        state: what the driver does.
        host: the driver's machine.
        pid: the driver's process.
        time: seconds since 1970.
        seconds: how long it had worked.
        frames: predictions to make.
        frames_done: of these, made or no longer needed.
        rate: predictions a second.
        seconds_left: estimated.
        retries: jobs tried again so far.
        failures: jobs set aside.
        workers: what they do.
    """

    state: State
    host: str
    pid: int
    time: float
    seconds: float = 0
    frames: int = 0
    frames_done: int = 0
    rate: float = 0
    seconds_left: float | None = None
    retries: int = 0
    failures: list[Failure] = field(default_factory=list)
    workers: list[WorkerBeat] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether the driver runs, as far as can be told from here."""
        if self.state != "running":
            return False
        if self.host == socket.gethostname():
            return self.pid != os.getpid() and _process_exists(self.pid)
        return time.time() - self.time < _SILENT_AFTER_S


class RunRecord:
    """Writes the files of one run; owns them while the run goes.

    Args:
        directory: folder of the parts.
    """

    def __init__(self, directory: Location) -> None:
        self._directory = directory
        self._next_beat = 0.0
        self._every = _BEAT_EVERY_S[is_local(directory)]

    def claim(self, jobs: Sequence[Job]) -> None:
        """Begin a run.

        Raises:
            OutputError: another run is writing to the same place.
        """
        other = read_heartbeat(self._directory)
        if other is not None and other.alive:
            raise OutputError(
                f"{self._directory}: another run is writing there (process {other.pid} on {other.host}, last heard of "
                f"{time.time() - other.time:.0f} s ago); wait until it ends, stop it, or name another output"
            )
        with written_whole(self._directory / PLAN_FILE) as file:
            file.write(msgspec.json.encode(Plan(list(jobs))))
        self.beat(Progress(), "running")

    def beat(self, progress: Progress, state: State = "running") -> None:
        """Say where the run stands, if it is time to or the state is a last one."""
        now = time.monotonic()
        if state == "running" and now < self._next_beat:
            return
        self._next_beat = now + self._every
        workers = [WorkerBeat(w.name, w.state, w.job, w.frames, w.done, w.rate) for w in progress.workers.values()]
        beat = Heartbeat(
            state=state,
            host=socket.gethostname(),
            pid=os.getpid(),
            time=time.time(),
            seconds=progress.seconds,
            frames=progress.frames,
            frames_done=progress.frames_done,
            rate=progress.rate,
            seconds_left=progress.seconds_left,
            retries=progress.retries,
            failures=progress.failures,
            workers=workers,
        )
        with written_whole(self._directory / HEARTBEAT_FILE) as file:
            file.write(msgspec.json.encode(beat))


def read_plan(directory: Location) -> Plan | None:
    """What the run is about; None where none was recorded.

    Raises:
        OutputError: the file is damaged.
    """
    return _read(directory / PLAN_FILE, Plan)


def read_heartbeat(directory: Location) -> Heartbeat | None:
    """Where the run stood last; None where none was recorded.

    Raises:
        OutputError: the file is damaged.
    """
    return _read(directory / HEARTBEAT_FILE, Heartbeat)


def write_failures(out: Output, failures: Sequence[Failure]) -> None:
    """List what is not in the results beside them; no file if nothing is missing.

    Raises:
        OutputError: the file cannot be written.
    """
    if not failures:
        out.failures.unlink(missing_ok=True)
        return
    with written_whole(out.failures) as file:
        file.write(msgspec.json.format(msgspec.json.encode(list(failures)), indent=2) + b"\n")


def read_failures(out: Output) -> list[Failure]:
    """What is not in the results, by the file beside them.

    Raises:
        OutputError: the file is damaged.
    """
    return _read(out.failures, list[Failure]) or []


def _read(path: Location, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, OSError) as error:
        raise OutputError(f"{path} cannot be read ({error}): remove it") from error


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
