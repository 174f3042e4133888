"""Traces of nights that never were."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lmeec.tables.trace import Attempt, Session, Trace, write_trace
from tests.support.rows import RUN

if TYPE_CHECKING:
    from lmeec.tables import Output

BEGAN = 1_795_993_200.0


def attempt(number: int, **values) -> Attempt:
    given = {
        "session": "one",
        "number": number,
        "take_uid": f"uid-{number}",
        "take_name": f"take {number}",
        "direction": "ego2exo",
        "worker": "0",
        "host": "node-0",
        "device": "cpu",
        "queued": BEGAN,
        "started": BEGAN + 10 * number,
        "ended": BEGAN + 10 * number + 9,
        "outcome": "done",
        "predictions": 100,
        "network_s": 8.0,
        "decode_s": 4.0,
        "image_encoder_s": 3.0,
        "peak_memory": 2**30,
    }
    return Attempt(**{**given, **values})


def drawn_night(jobs: int = 400, workers: int = 6, name: str = "take {}") -> Trace:
    """Two drivers: the first is killed half way; some jobs fail, and one is tried again in vain."""
    drawn = random.Random(0)
    attempts, sessions, at, number = [], [], BEGAN, 0
    for driver, share in (("one", jobs // 2), ("two", jobs - jobs // 2)):
        free = [at + 40 + drawn.random() * 20 for _ in range(workers)]
        begin, count = at, 0
        while count < share:
            worker = min(range(workers), key=lambda one: free[one])
            seconds = min(drawn.lognormvariate(4.5, 0.8), 1200)
            bad = drawn.random() < (0.1 if worker == 3 else 0.01)
            outcome = "retried" if bad else "failed" if drawn.random() < 0.005 else "done"
            more = {"reason": "its worker died: out of memory"} if outcome == "retried" else {}
            more |= {"reason": "gp01.mp4: frame 70 cannot be decoded"} if outcome == "failed" else {}
            attempts.append(
                attempt(
                    number,
                    session=driver,
                    take_name=name.format(number),
                    worker=str(worker),
                    host=f"node-{worker // 2}",
                    started=free[worker] + 0.5,
                    ended=free[worker] + 0.5 + seconds,
                    outcome=outcome,
                    predictions=round(3 * seconds),
                    network_s=0.8 * seconds,
                    decode_s=0.5 * seconds,
                    image_encoder_s=0.4 * seconds,
                    **more,
                )
            )
            free[worker] += seconds + 1
            number += 1
            count += 1
        end = max(free)
        if driver == "one":  # killed before what is under way ended
            cut = sorted(free)[0]
            lost = {"ended": None, "outcome": "running", "reason": None, "predictions": None, "network_s": None}
            attempts = [one if one.ended < cut else attempt(one.number, **(_given(one) | lost)) for one in attempts]
            sessions.append(Session(session=driver, host="head", pid=100, began=begin, workers=workers))
            at = cut + 600
        else:
            sessions.append(Session(session=driver, host="head", pid=200, began=begin, workers=workers, ended=end))
    return Trace(sessions, attempts, torn=1)


def _given(one: Attempt) -> dict:
    kept = ("session", "take_name", "worker", "host", "started")
    return {name: getattr(one, name) for name in kept}


def write_night_of(out: Output, trace: Trace) -> None:
    write_trace(out, trace, RUN)
