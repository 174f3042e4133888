"""The trace of a run in words, for `lmeec status --trace`."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING, Any

from lmeec.analysis.night import label_of
from lmeec_cli.words import counted, duration, in_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lmeec.analysis.night import Host, Night
    from lmeec.tables.trace import Attempt

_WIDTH = 80
_SHOWN = 5
_ENDS = {
    "done": "done",
    "partial": "done in part",
    "retried": "tried again",
    "failed": "set aside",
    "returned": "given back",
    "lost": "lost with their driver",
    "running": "under way",
}


def lines_of(night: Night) -> Iterator[str]:
    """What to say of a run, in lines of at most 80 columns."""
    first, last = night.spans[0].began, max(span.ended for span in night.spans)
    drivers = counted(len(night.spans), "driver")
    yield f"trace: {drivers}, {_clock(first)} to {_clock(last)}, {duration(night.at_work)} at work"
    ends = ", ".join(f"{night.outcomes[end]:,} {words}" for end, words in _ENDS.items() if night.outcomes.get(end))
    yield from _wrapped(f"attempts: {ends}; {counted(night.predictions, 'prediction')}")
    if night.torn:
        yield from _wrapped(f"{counted(night.torn, 'line')} of the trace cannot be read, as where a driver was killed")
    idle = night.idle
    yield from _wrapped(
        f"workers: {_share(idle.whole)} of their time idle: {_share(idle.before)} before the first job, "
        f"{_share(idle.between)} between jobs, {_share(idle.after)} after the last"
    )
    if night.made_s:
        yield from _wrapped(f"where the time went (stages overlap): {_shares(night.stages, night.made_s)}")
        yield from _wrapped(f"of it in the network: {_shares(night.network, night.made_s)}")
    yield from _slowest(night)
    yield from _hosts(night)
    yield from _reasons(night)


def as_json(night: Night) -> dict[str, Any]:
    """The same for programs; times in seconds since 1970."""
    return {
        "sessions": [
            {
                "session": span.session.session,
                "host": span.session.host,
                "pid": span.session.pid,
                "workers": span.session.workers,
                "began": span.began,
                "ended": span.ended,
                "finished": span.finished,
            }
            for span in night.spans
        ],
        "attempts": sum(night.outcomes.values()),
        "outcomes": dict(night.outcomes),
        "retries": night.outcomes.get("retried", 0),
        "predictions": night.predictions,
        "seconds_at_work": night.at_work,
        "idle_share": night.idle.whole,
        "idle_before_share": night.idle.before,
        "idle_between_share": night.idle.between,
        "idle_after_share": night.idle.after,
        "stage_seconds": dict(night.stages),
        "network_seconds": dict(night.network),
        "slowest": [
            {
                "job": label_of(one),
                "seconds": one.seconds,
                "predictions": one.predictions,
                "worker": one.worker,
                "host": one.host,
            }
            for one in night.slowest[:_SHOWN]
        ],
        "hosts": [
            {
                "host": one.name,
                "attempts": one.attempts,
                "without_part": one.bad,
                "predictions_per_second": one.rate,
                "peak_memory": one.peak_memory,
                "peak_gpu_memory": one.peak_gpu_memory,
            }
            for one in night.hosts
        ],
        "reasons": [
            {"outcome": one.outcome, "reason": one.reason, "count": one.count, "example": one.example}
            for one in night.reasons
        ],
        "torn_lines": night.torn,
    }


def _slowest(night: Night) -> Iterator[str]:
    if not night.slowest:
        return
    yield ""
    rows = [
        (label_of(one), in_time(one.seconds or 0), f"{one.predictions or 0:,}", _rate(one), one.worker, one.host)
        for one in night.slowest[:_SHOWN]
    ]
    yield from _table(("slowest jobs", "time", "predictions", "per s", "worker", "machine"), rows, left=(0, 5))


def _hosts(night: Night) -> Iterator[str]:
    if not night.hosts:
        return
    yield ""
    rows = [
        (one.name, f"{one.attempts:,}", f"{one.bad:,}", f"{one.rate:.1f}", _size(one.peak_memory), _gpu(one))
        for one in night.hosts[:_SHOWN]
    ]
    head = ("machines, the worst first", "attempts", "no part", "per s", "memory", "GPU")
    yield from _table(head, rows, left=(0,))
    if len(night.hosts) > _SHOWN:
        yield f"and {counted(len(night.hosts) - _SHOWN, 'machine')} more, see --json"


def _reasons(night: Night) -> Iterator[str]:
    if not night.reasons:
        return
    yield ""
    for one in night.reasons[:_SHOWN]:
        reason = one.reason if len(one.reason) <= 2 * _WIDTH else f"{one.reason[: 2 * _WIDTH - 3]}..."
        as_in = f"as {one.example}" if one.count > 1 else one.example
        yield from _wrapped(f"{one.count:,} {_ENDS.get(one.outcome, one.outcome)} ({as_in}): {reason}")
    if len(night.reasons) > _SHOWN:
        yield f"and {counted(len(night.reasons) - _SHOWN, 'reason')} more, see --json"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> Iterator[str]:
    """Columns two spaces apart; of those on the left, the first is cut to fit, and the others to twelve characters."""
    cells = [[_cut(cell, 12) if place in left and place else cell for place, cell in enumerate(row)] for row in rows]
    widths = [max(len(row[place]) for row in (head, *cells)) for place in range(len(head))]
    widths[0] = min(widths[0], _WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
    for row in (head, *cells):
        fitted = (
            _cut(cell, width).ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(fitted).rstrip()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ")


def _clock(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


def _shares(seconds: Mapping[str, float], whole: float) -> str:
    most = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {_share(spent / whole)}" for name, spent in most)


def _share(part: float) -> str:
    return f"{part:.1%}"


def _rate(attempt: Attempt) -> str:
    return f"{(attempt.predictions or 0) / attempt.seconds:.1f}" if attempt.seconds else ""


def _gpu(host: Host) -> str:
    return "" if host.peak_gpu_memory is None else _size(host.peak_gpu_memory)


def _size(number: int | None) -> str:
    return "?" if number is None else f"{number / 2**30:.1f} GB"
