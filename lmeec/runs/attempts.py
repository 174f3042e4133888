"""Who is at work on which job: makes the rows of the trace of a run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lmeec.files.names import plain
from lmeec.tables.trace import NETWORK_PARTS, STAGES, Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.runs.jobs import Job
    from lmeec.runs.outcome import PartResult
    from lmeec.tables.trace import Line, Outcome


def _unwritten(_line: Line) -> None:
    pass


class Attempts:
    """The attempts of a session.

    Args:
        session: its name.
        write: is given each attempt when it starts, and again when it has ended.
    """

    def __init__(self, session: str = "", write: Callable[[Line], None] = _unwritten) -> None:
        self._session = session
        self._write = write
        # A clock that is set anew in the night changes no durations.
        self._zero = time.time() - time.monotonic()
        self._began = self.now()
        self._count = 0
        self._under_way: dict[str, Attempt] = {}
        self._predictions: dict[str, int] = {}

    def now(self) -> float:
        """Seconds since 1970, to the microsecond."""
        return round(self._zero + time.monotonic(), 6)

    def start(self, worker: str, job: Job, host: str, device: str) -> None:
        """A worker begins a job."""
        attempt = Attempt(
            session=self._session,
            number=self._count,
            take_uid=job.take_uid,
            take_name=job.take_name,
            direction=job.direction,
            cameras=() if job.whole else tuple(share.camera for share in job.shares),
            attempt=job.attempt,
            worker=worker,
            host=host,
            device=device,
            queued=self._began if job.queued is None else job.queued,
            started=self.now(),
        )
        self._count += 1
        self._under_way[worker] = attempt
        self._predictions[worker] = 0
        self._write(attempt)

    def advance(self, worker: str, predictions: int) -> None:
        """A worker made so many more predictions."""
        if worker in self._predictions:
            self._predictions[worker] += predictions

    def finish(self, worker: str, result: PartResult) -> Attempt:
        """A worker has written the part of its job, perhaps without what needs a video that cannot be read."""
        broken = "; ".join(error.reason for error in result.broken.values())
        stages, network = result.profile.stages, result.profile.network
        return self._end(
            worker,
            outcome="partial" if broken else "done",
            reason=plain(broken) or None,
            tracks=result.tracks,
            predictions=result.rows,
            missing=result.missing,
            frames_decoded=result.profile.frames_decoded,
            bytes_read=result.profile.bytes_read,
            peak_memory=result.peak_memory,
            peak_gpu_memory=result.peak_gpu_memory,
            **{column: round(stages[name], 6) for name, column in STAGES.items() if name in stages},
            **{column: round(network[name], 6) for name, column in NETWORK_PARTS.items() if name in network},
        )

    def give_up(self, worker: str, outcome: Outcome, reason: str) -> Attempt:
        """A worker did not do its job."""
        made = self._predictions.get(worker, 0)
        return self._end(worker, outcome=outcome, reason=plain(reason), predictions=made)

    def _end(self, worker: str, **known: object) -> Attempt:
        attempt = msgspec.structs.replace(self._under_way.pop(worker), ended=self.now(), **known)
        self._write(attempt)
        return attempt
