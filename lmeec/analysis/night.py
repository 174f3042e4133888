"""What the trace of a run tells: how busy the workers were, what took long, what went wrong, and where."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lmeec.files.names import plain
from lmeec.tables.trace import MADE_PARTS, NETWORK_PARTS, STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from lmeec.tables.trace import Attempt, Session, Trace

_BUSY_S = 1e-9


@dataclass(frozen=True)
class Lane:
    """What one worker of a session did.

    Attributes:
        session: the session.
        worker: its name.
        host: its machine; empty where it never got a job.
        attempts: in their order.
        busy: seconds with a job.
        before: seconds from the session's start to its first job; all of them without one.
        after: seconds from its last job's end to the session's.
        between: seconds between jobs.
    """

    session: str
    worker: str
    host: str
    attempts: Sequence[Attempt]
    busy: float
    before: float
    after: float
    between: float


@dataclass(frozen=True)
class Span:
    """When a session went.

    Attributes:
        session: the session.
        began: seconds since 1970.
        ended: the same; of one that goes on, or ended without a word, the last that is known of it.
        finished: whether it came to its end.
    """

    session: Session
    began: float
    ended: float
    finished: bool

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended - self.began


@dataclass(frozen=True)
class Host:
    """What became of the attempts on one machine.

    Attributes:
        name: the machine.
        attempts: all that ended.
        bad: of these, those that made no part.
        busy: seconds that its workers had jobs.
        predictions: in parts.
        peak_memory: most bytes of one of its workers; None if that is not known.
        peak_gpu_memory: most bytes on a GPU of one of its workers; None without.
    """

    name: str
    attempts: int
    bad: int
    busy: float
    predictions: int
    peak_memory: int | None
    peak_gpu_memory: int | None

    @property
    def rate(self) -> float:
        """Predictions a second of a worker at work."""
        return self.predictions / self.busy if self.busy > _BUSY_S else 0.0


@dataclass(frozen=True)
class Reason:
    """Why attempts made no part, or not all of it.

    Attributes:
        outcome: what became of them.
        reason: in words.
        count: how many.
        example: one of their jobs.
    """

    outcome: str
    reason: str
    count: int
    example: str


@dataclass(frozen=True)
class Idle:
    """Shares of the workers' time, 0 to 1, in which they had no job.

    Attributes:
        before: before their first job, as while they loaded the weights.
        between: between jobs.
        after: after their last.
    """

    before: float = 0.0
    between: float = 0.0
    after: float = 0.0

    @property
    def whole(self) -> float:
        """All of it."""
        return self.before + self.between + self.after


@dataclass(frozen=True)
class Night:
    """A run, summed up.

    Attributes:
        spans: of its sessions, in order.
        lanes: of all workers of all sessions.
        attempts: all of them, in the order in which they were started.
        outcomes: how many attempts came to which end.
        predictions: in parts.
        at_work: seconds of all sessions.
        idle: of the workers.
        slowest: attempts that made parts, the longest first.
        hosts: the machines, those first of whose attempts most went wrong, then the slow ones.
        reasons: why attempts made no part, the most frequent first.
        stages: seconds of the stages, in all; they overlap.
        network: seconds of the parts of the network.
        made_s: seconds of the attempts that these are of.
        torn: lines that could not be read.
    """

    spans: Sequence[Span]
    lanes: Sequence[Lane]
    attempts: Sequence[Attempt]
    outcomes: Mapping[str, int]
    predictions: int
    at_work: float
    idle: Idle
    slowest: Sequence[Attempt]
    hosts: Sequence[Host]
    reasons: Sequence[Reason]
    stages: Mapping[str, float] = field(default_factory=dict)
    network: Mapping[str, float] = field(default_factory=dict)
    made_s: float = 0.0
    torn: int = 0


def label_of(attempt: Attempt) -> str:
    """How an attempt's job is called before the user."""
    return " ".join([plain(attempt.take_name), attempt.direction, *map(plain, attempt.cameras)])


def sum_up(trace: Trace, until: float | None = None) -> Night:
    """Sum a trace up.

    Args:
        trace: settled (`Trace.settled`).
        until: the driver's last sign of life, in seconds since 1970, which is how long a session lasts that has not
            come to its end; None takes the last that the trace knows.
    """
    by_session: dict[str, list[Attempt]] = defaultdict(list)
    for one in trace.attempts:
        by_session[one.session].append(one)
    spans = [_span(session, by_session[session.session], None) for session in trace.sessions]
    if spans and not spans[-1].finished:
        spans[-1] = _span(trace.sessions[-1], by_session[trace.sessions[-1].session], until)
    lanes = [lane for span in spans for lane in _lanes(span, by_session[span.session.session])]
    made = [one for one in trace.attempts if one.outcome in MADE_PARTS]
    return Night(
        spans=spans,
        lanes=lanes,
        attempts=trace.attempts,
        outcomes=Counter(one.outcome for one in trace.attempts),
        predictions=sum(one.predictions or 0 for one in made),
        at_work=sum(span.seconds for span in spans),
        idle=_idle(lanes),
        slowest=sorted(made, key=lambda one: -(one.seconds or 0.0)),
        hosts=_hosts(trace.attempts),
        reasons=_reasons(trace.attempts),
        stages=_totals(made, STAGES),
        network=_totals(made, NETWORK_PARTS),
        made_s=sum(one.seconds or 0.0 for one in made),
        torn=trace.torn,
    )


def throughput(night: Night, bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predictions a second along the night; those of an attempt count as made evenly while it lasted.

    Returns:
        The edges of bins in seconds since 1970, float64 [bins + 1], and the rate in each, float64 [bins].
    """
    begin, end = night.spans[0].began, max(span.ended for span in night.spans)
    edges = np.linspace(begin, max(end, begin + 1e-3), bins + 1)
    done = [one for one in night.attempts if one.outcome in MADE_PARTS and one.ended is not None and one.predictions]
    starts = np.array([one.started for one in done])
    ends = np.maximum(np.array([one.ended for one in done], dtype=np.float64), starts + 1e-6)
    predictions = np.array([one.predictions for one in done], dtype=np.float64)
    made = [float((predictions * np.clip((edge - starts) / (ends - starts), 0, 1)).sum()) for edge in edges]
    return edges, np.diff(made) / np.diff(edges)


def _span(session: Session, attempts: Sequence[Attempt], until: float | None) -> Span:
    if session.ended is not None:
        return Span(session, session.began, session.ended, finished=True)
    known = [session.began, *(one.ended or one.started for one in attempts), *([] if until is None else [until])]
    return Span(session, session.began, max(known), finished=False)


def _lanes(span: Span, attempts: Iterable[Attempt]) -> list[Lane]:
    of_worker: dict[str, list[Attempt]] = defaultdict(list)
    for one in attempts:
        of_worker[one.worker].append(one)
    never = span.session.workers - len(of_worker)  # as where there were fewer jobs
    lanes = [_lane(span, worker, some) for worker, some in sorted(of_worker.items(), key=lambda item: _order(item[0]))]
    return [*lanes, *(Lane(span.session.session, "", "", (), 0.0, span.seconds, 0.0, 0.0) for _ in range(never))]


def _lane(span: Span, worker: str, attempts: Sequence[Attempt]) -> Lane:
    busy = sum((span.ended if one.ended is None else one.ended) - one.started for one in attempts)
    before = attempts[0].started - span.began
    last = attempts[-1].ended
    after = 0.0 if last is None else span.ended - last
    between = max(span.seconds - before - busy - after, 0.0)
    return Lane(span.session.session, worker, attempts[-1].host, attempts, busy, before, after, between)


def _order(worker: str) -> tuple[int, str]:
    return (int(worker), "") if worker.isdecimal() else (1 << 30, worker)


def _idle(lanes: Sequence[Lane]) -> Idle:
    whole = sum(lane.busy + lane.before + lane.between + lane.after for lane in lanes)
    if whole <= _BUSY_S:
        return Idle()
    return Idle(*(sum(getattr(lane, name) for lane in lanes) / whole for name in ("before", "between", "after")))


def _hosts(attempts: Iterable[Attempt]) -> list[Host]:
    of_host: dict[str, list[Attempt]] = defaultdict(list)
    for one in attempts:
        if one.outcome != "running":
            of_host[one.host].append(one)
    hosts = [
        Host(
            name=name,
            attempts=len(some),
            bad=sum(one.outcome not in MADE_PARTS for one in some),
            busy=sum(one.seconds or 0.0 for one in some),
            predictions=sum(one.predictions or 0 for one in some if one.outcome in MADE_PARTS),
            peak_memory=_most(one.peak_memory for one in some),
            peak_gpu_memory=_most(one.peak_gpu_memory for one in some),
        )
        for name, some in of_host.items()
    ]
    return sorted(hosts, key=lambda host: (-host.bad / host.attempts, host.rate))


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _reasons(attempts: Iterable[Attempt]) -> list[Reason]:
    alike: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for one in attempts:
        if one.outcome not in ("done", "running"):
            alike[one.outcome, one.reason or ""].append(one)
    reasons = [Reason(outcome, why, len(some), label_of(some[0])) for (outcome, why), some in alike.items()]
    return sorted(reasons, key=lambda one: -one.count)


def _totals(attempts: Iterable[Attempt], columns: Mapping[str, str]) -> dict[str, float]:
    totals = dict.fromkeys(columns, 0.0)
    for one in attempts:
        for name, column in columns.items():
            totals[name] += getattr(one, column) or 0.0
    return {name: seconds for name, seconds in totals.items() if seconds}
