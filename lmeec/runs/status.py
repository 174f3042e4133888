"""How far a run is, read from what it has written; for another terminal, or the morning after."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmeec.errors import OutputError
from lmeec.files.locations import names_in
from lmeec.files.stamps import stamps_in
from lmeec.runs.claim import find_owner, is_alive
from lmeec.runs.heartbeat import Heartbeat, read_heartbeat, read_plan
from lmeec.runs.jobs import remaining
from lmeec.tables import Output, read_contents, read_metadata, read_part_infos
from lmeec.tables.failures import Failure, read_failures
from lmeec.tables.index import read_notes, that_hold
from lmeec.tables.parts import is_part, part_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lmeec.files.locations import Location
    from lmeec.runs.jobs import Job
    from lmeec.tables.coverage import Pair

State = Literal["running", "stopped", "complete", "incomplete"]


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes:
        out: the results.
        state: `complete` when every take is in the table, `incomplete` when some are not and nothing runs, `stopped`
            before a table was made; a driver that was killed counts as stopped.
        jobs: takes and directions of the run.
        done: of these, predicted.
        frames: predictions to make in the present or last session, estimated; None once they are joined.
        frames_done: of these, made.
        failures: what was set aside.
        remaining: takes and directions that are neither done nor set aside.
        heartbeat: what the driver said last.
        silent_s: seconds since then; None for a driver on another machine, whose clock may differ.
        cautions: what must be known before the results are used, in words.
    """

    out: str
    state: State
    jobs: int
    done: int
    frames: int | None
    frames_done: int | None
    failures: tuple[Failure, ...]
    remaining: tuple[str, ...]
    heartbeat: Heartbeat | None
    silent_s: float | None
    cautions: tuple[str, ...]


def read_status(out: Location | str, watching: Callable[[str], None] = lambda _text: None) -> RunStatus:
    """Read how far the run of an output is.

    Args:
        out: the results that the run writes.
        watching: is told, in words, when it takes a while to see whether a driver on another machine lives.

    Raises:
        OutputError: there is no run of that name.
    """
    output = Output.of(out)
    plan = read_plan(output.parts)
    if plan is None:
        return _of_table(output)
    owner = find_owner(output.parts)
    alive = owner is not None and is_alive(output.parts, owner, watching)
    heartbeat = _heartbeat(output.parts)
    done = _done(output.parts, plan.jobs)
    failures = tuple(heartbeat.failures) if heartbeat else tuple(read_failures(output))
    failed = {(failure.take_uid, failure.direction) for failure in failures}
    left = {job.key for job in remaining(plan.jobs, done)}
    undone = {job.key: job.label for job in plan.jobs if job.key in left | failed}
    finished = heartbeat is not None and heartbeat.state == "finished"
    return RunStatus(
        out=str(output),
        state="running" if alive else "incomplete" if finished else "stopped",
        jobs=len(plan.jobs),
        done=len(plan.jobs) - len(undone),
        frames=heartbeat.frames if heartbeat else None,
        frames_done=heartbeat.frames_done if heartbeat else None,
        failures=failures,
        remaining=tuple(name for key, name in undone.items() if key not in failed),
        heartbeat=heartbeat,
        silent_s=time.time() - heartbeat.time if heartbeat and heartbeat.host == socket.gethostname() else None,
        cautions=plan.cautions,
    )


def _heartbeat(parts: Location) -> Heartbeat | None:
    """What the driver said last; None if that is damaged: parts and the list of failures tell enough without it."""
    try:
        return read_heartbeat(parts)
    except OutputError:
        return None


def _done(parts: Location, jobs: Iterable[Job]) -> dict[tuple[str, str], frozenset[Pair]]:
    """What parts hold. Those of whole jobs are known by their names; what they lack is among the failures."""
    names = set(names_in(parts))
    done: dict[tuple[str, str], frozenset[Pair]] = {}
    wholes: dict[tuple[str, str], frozenset[Pair]] = {}
    for job in jobs:
        whole = part_path(parts, job.take_uid, job.direction).name
        if whole in names:
            wholes[job.key] = job.pairs
            names.discard(whole)
    pieces = [name for name in names if is_part(name)]
    noted = that_hold(read_notes(parts), stamps_in(parts)) if pieces else {}
    looked_into = read_part_infos([parts / name for name in pieces if name not in noted], skip_damaged=True)
    held = [(info.take_uid, info.direction, info.coverage) for info in looked_into]
    held += [(noted[name].take_uid, noted[name].direction, noted[name].coverage) for name in pieces if name in noted]
    for take_uid, direction, coverage in held:
        done[take_uid, direction] = done.get((take_uid, direction), frozenset()) | frozenset(coverage.pairs)
    return done | wholes


def _of_table(output: Output) -> RunStatus:
    if not output.path.exists():
        raise OutputError(f"{output}: there is neither a result nor a run of that name")
    contents, failures = read_contents(output.path), tuple(read_failures(output))
    failed = {(failure.take_uid, failure.direction) for failure in failures}
    return RunStatus(
        out=str(output),
        state="incomplete" if failures else "complete",
        jobs=contents.count,
        done=contents.count - len(failed),
        frames=None,
        frames_done=None,
        failures=failures,
        remaining=(),
        heartbeat=None,
        silent_s=None,
        cautions=read_metadata(output.path).cautions,
    )
