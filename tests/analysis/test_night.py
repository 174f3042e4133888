"""What is said of a night agrees with sums that are made one second after the other."""

from __future__ import annotations

import pytest

from lmeec.analysis.night import sum_up, throughput
from lmeec.tables.trace import Session, Trace
from tests.support.nights import BEGAN, attempt, drawn_night


def naive_idle(trace, end_of, step=0.5):
    """Shares of the workers' time, told by a look at each worker at every instant."""
    counts = {"before": 0, "between": 0, "after": 0, "busy": 0}
    for session in trace.sessions:
        of_session = [one for one in trace.attempts if one.session == session.session]
        for worker in range(session.workers):
            mine = [one for one in of_session if one.worker == str(worker)]
            when = session.began + step / 2
            while when < end_of[session.session]:
                if any(one.started <= when and (one.ended is None or when < one.ended) for one in mine):
                    kind = "busy"
                elif not any(one.started <= when for one in mine):
                    kind = "before"
                elif not any(when < one.started for one in mine):
                    kind = "after"
                else:
                    kind = "between"
                counts[kind] += 1
                when += step
    return {kind: count / sum(counts.values()) for kind, count in counts.items()}


def test_shares_and_sums_are_those_of_a_naive_count():
    trace = drawn_night(jobs=60, workers=3).settled(running=False)
    night = sum_up(trace)
    ends = {}
    for session in trace.sessions:
        times = [one.ended or one.started for one in trace.attempts if one.session == session.session]
        ends[session.session] = session.ended or max(times)
    naive = naive_idle(trace, ends)
    for kind in ("before", "between", "after"):
        assert getattr(night.idle, kind) == pytest.approx(naive[kind], abs=0.003)
    assert night.idle.whole == pytest.approx(1 - naive["busy"], abs=0.003)
    done = [one for one in trace.attempts if one.outcome == "done"]
    assert night.predictions == sum(one.predictions for one in done)
    assert night.stages["network"] == pytest.approx(sum(one.network_s for one in done))
    assert night.slowest[0].seconds == max(one.ended - one.started for one in done)
    assert sum(host.attempts for host in night.hosts) == len(trace.attempts)
    assert sum(host.bad for host in night.hosts) == len(trace.attempts) - len(done)
    assert sum(one.count for one in night.reasons) == len(trace.attempts) - len(done)


def test_throughput_adds_up_to_all_predictions():
    night = sum_up(drawn_night(jobs=60, workers=3).settled(running=False))
    edges, rate = throughput(night, 50)
    assert float((rate * (edges[1:] - edges[:-1])).sum()) == pytest.approx(night.predictions)


def test_machines_come_in_the_order_of_what_went_wrong():
    attempts = [
        attempt(0, host="good"),
        attempt(1, host="slow", predictions=10),
        attempt(2, host="bad", outcome="retried", reason="its worker died"),
        attempt(3, host="bad"),
    ]
    trace = Trace([Session(session="one", host="head", pid=1, began=BEGAN, workers=1, ended=BEGAN + 40)], attempts)
    assert [host.name for host in sum_up(trace).hosts] == ["bad", "slow", "good"]


def test_workers_that_never_got_a_job_were_idle_all_the_time():
    trace = Trace([Session(session="one", host="head", pid=1, began=BEGAN, workers=4, ended=BEGAN + 9)], [attempt(0)])
    assert sum_up(trace).idle.whole == pytest.approx(0.75)


def test_a_session_that_goes_on_lasts_until_its_driver_last_spoke():
    session = Session(session="one", host="head", pid=1, began=BEGAN, workers=1)
    trace = Trace([session], [attempt(0, ended=None, outcome="running")])
    night = sum_up(trace.settled(running=True), until=BEGAN + 60)
    assert night.at_work == 60
    assert night.idle.whole == 0
    assert night.outcomes == {"running": 1}
