"""The page about how a run went: who was at work when, how fast, on what, and what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from lmeec.analysis.night import label_of, throughput
from lmeec.files.whole import written_whole
from lmeec.report import charts
from lmeec.report.template import fill
from lmeec.tables.merge import check_free

if TYPE_CHECKING:
    from lmeec.analysis.night import Lane, Night, Span
    from lmeec.files.locations import Location
    from lmeec.tables.trace import Attempt, Outcome

_BINS = 80
_TICKS = 4
_TOUCH = 0.1
"""Percent of the width under which bars of jobs that are done are drawn as one."""

_LANES = 64
_ROWS = 100
_SLOWEST = 20

OUTCOMES: dict[Outcome, str] = {
    "done": "done",
    "partial": "done, but for a video that cannot be read",
    "running": "under way",
    "retried": "failed, tried again",
    "returned": "given back by its worker",
    "failed": "set aside",
    "lost": "lost with its driver",
}


@dataclass(frozen=True)
class Bar:
    """Jobs of a lane.

    Attributes:
        outcome: what became of them.
        left: where it begins, in percent of the width.
        width: in percent.
        said: what it is, in words.
    """

    outcome: str
    left: float
    width: float
    said: str


@dataclass(frozen=True)
class _Row:
    name: str
    host: str
    idle: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class _Group:
    """The lanes of one session."""

    words: str
    left: float
    width: float
    rows: Sequence[_Row]
    more: int


def write_night(name: str, state: str, night: Night, page: Location, *, overwrite: bool = False) -> None:
    """Write the page about how a run went.

    It is one file that needs nothing else; names are escaped, and it forbids scripts.

    Args:
        name: the output of the run, for the heading.
        state: how far the run is, in a word.
        night: of at least one session.
        page: HTML file to write.
        overwrite: replace an existing file.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    check_free(page, overwrite=overwrite)
    scale = _Scale(night)
    bad = [one for one in night.attempts if one.outcome not in ("done", "running")]
    values = {
        "name": name,
        "state": state,
        "night": night,
        "zone": time.strftime("%Z", time.localtime(scale.begin)),
        "begin": scale.clock(scale.begin, day=True),
        "end": scale.clock(scale.end, day=True),
        "groups": list(_groups(night, scale)),
        "ticks": [scale.clock(scale.begin + scale.seconds * place / _TICKS) for place in range(_TICKS + 1)],
        "outcomes": {key: words for key, words in OUTCOMES.items() if night.outcomes.get(key)},
        "charts": dict(_charts(night, scale)),
        "bad": [_failure(one, scale) for one in bad[:_ROWS]],
        "more_bad": len(bad) - _ROWS,
        "slowest": night.slowest[:_SLOWEST],
    }
    filters: dict[str, Callable[..., object]] = {
        "label": label_of,
        "span": _in_words,
        "share": "{:.1%}".format,
        "memory": _memory,
        "rate": _rate,
    }
    text = fill("night.html", filters, values)
    with written_whole(page) as file:
        file.write(text)


class _Scale:
    """Times as places on the page."""

    def __init__(self, night: Night) -> None:
        self.begin = night.spans[0].began
        self.end = max(span.ended for span in night.spans)
        self.seconds = max(self.end - self.begin, 1e-3)

    def place(self, when: float) -> float:
        """Percent of the width."""
        return min(max(100 * (when - self.begin) / self.seconds, 0.0), 100.0)

    def clock(self, when: float, *, day: bool = False) -> str:
        """A time of day, as exact as the length of the night asks for."""
        shape = "%H:%M:%S" if self.seconds < 600 else "%H:%M"
        day = day or self.seconds > 86_400
        return time.strftime(f"%Y-%m-%d {shape}" if day else shape, time.localtime(when))


def _groups(night: Night, scale: _Scale) -> Iterator[_Group]:
    for number, span in enumerate(night.spans, 1):
        lanes = [lane for lane in night.lanes if lane.session == span.session.session]
        left = scale.place(span.began)
        yield _Group(
            words=_of_session(number, span, scale),
            left=left,
            width=scale.place(span.ended) - left,
            rows=[_row(lane, span, scale) for lane in lanes[:_LANES]],
            more=len(lanes) - _LANES,
        )


def _of_session(number: int, span: Span, scale: _Scale) -> str:
    end = "" if span.finished else ", then nothing more is known of it"
    process = f"process {span.session.pid} on {span.session.host}"
    return f"Driver {number} ({process}), {scale.clock(span.began)} to {scale.clock(span.ended)}{end}"


def _row(lane: Lane, span: Span, scale: _Scale) -> _Row:
    share = lane.busy / span.seconds if span.seconds else 0.0
    return _Row(lane.worker or "-", lane.host, f"{max(1 - share, 0):.0%} idle", list(_bars(lane, span, scale)))


def _bars(lane: Lane, span: Span, scale: _Scale) -> Iterator[Bar]:
    """A bar a job; those done one after the other that could not be told apart are one."""
    alike: list[Attempt] = []
    for one in lane.attempts:
        joins = one.outcome == "done" and alike and alike[-1].outcome == "done"
        if joins and scale.place(one.ended or span.ended) - scale.place(alike[0].started) < 2 * _TOUCH:
            alike.append(one)
            continue
        if alike:
            yield _bar(alike, span, scale)
        alike = [one]
    if alike:
        yield _bar(alike, span, scale)


def _bar(attempts: Sequence[Attempt], span: Span, scale: _Scale) -> Bar:
    first, last = attempts[0], attempts[-1]
    end = span.ended if last.ended is None else last.ended
    left = scale.place(first.started)
    what = label_of(first) if len(attempts) == 1 else f"{len(attempts)} jobs"
    said = f"{what}: {OUTCOMES[first.outcome]}, {scale.clock(first.started)} to {scale.clock(end)}"
    why = "" if first.reason is None else f": {first.reason}"
    return Bar(first.outcome, left, scale.place(end) - left, f"{said}{why}")


def _charts(night: Night, scale: _Scale) -> Iterator[tuple[str, Markup]]:
    if night.predictions:
        edges, rate = throughput(night, _BINS)
        ticks = [scale.begin + scale.seconds * place / _TICKS for place in range(_TICKS + 1)]
        yield "throughput", Markup(charts.over_time(edges, rate, {tick: scale.clock(tick) for tick in ticks}))
    if night.made_s:
        for name, seconds in (("stages", night.stages), ("network", night.network)):
            if seconds:
                shares = {part: spent / night.made_s for part, spent in seconds.items()}
                yield name, Markup(charts.shares(shares))


def _failure(attempt: Attempt, scale: _Scale) -> dict[str, str]:
    return {
        "when": scale.clock(attempt.started if attempt.ended is None else attempt.ended),
        "job": label_of(attempt),
        "attempt": str(attempt.attempt),
        "where": f"{attempt.worker} on {attempt.host}",
        "outcome": OUTCOMES[attempt.outcome],
        "reason": attempt.reason or "",
    }


def _in_words(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _memory(number: int | None) -> str:
    return "" if number is None else f"{number / 2**30:.1f} GB"


def _rate(attempt: Attempt) -> str:
    return f"{(attempt.predictions or 0) / attempt.seconds:.1f}" if attempt.seconds else ""
