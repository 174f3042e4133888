import threading
import time

import pytest

from lmeec.inference.pipeline import Stage, StageTimes


def threads():
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("lmeec-")}


def test_stages_hand_items_on_in_order():
    times = StageTimes()
    with Stage("a", range(100), 2, times) as a, Stage("b", (2 * x for x in a), 2, times) as b:
        assert list(b) == [2 * x for x in range(100)]
    assert not threads()


def test_a_slow_taker_holds_the_stages_back():
    made = []

    def numbers():
        for i in range(1000):
            made.append(i)
            yield i

    with Stage("numbers", numbers(), 2, StageTimes()) as stage:
        taken = iter(stage)
        next(taken)
        time.sleep(0.3)
        assert len(made) <= 5, "one taken, two waiting, one being handed on, and one made"
    assert not threads()


@pytest.mark.parametrize("failing", ["first", "second", "taker"])
def test_an_error_anywhere_stops_every_stage_and_is_the_one_reported(failing):
    def first():
        for i in range(10_000):
            if failing == "first" and i == 5:
                raise ValueError("first failed")
            yield i

    def second(items):
        for i in items:
            if failing == "second" and i == 5:
                raise ValueError("second failed")
            yield i

    times = StageTimes()
    with (
        pytest.raises(ValueError, match=f"{failing} failed"),
        Stage("first", first(), 2, times) as one,
        Stage("second", second(one), 2, times) as two,
    ):
        for i in two:
            if failing == "taker" and i == 5:
                raise ValueError("taker failed")
    assert not threads()


def test_an_abandoned_iteration_leaves_no_thread():
    with Stage("endless", iter(int, 1), 1, StageTimes()) as stage:
        next(iter(stage))
    assert not threads()


def test_times_count_work_and_not_waiting():
    def slow():
        for i in range(4):
            time.sleep(0.05)
            yield i

    times = StageTimes()
    with Stage("slow", slow(), 1, times) as a, Stage("quick", (x for x in a), 1, times) as b:
        assert list(b) == [0, 1, 2, 3]
    assert times.busy["slow"] >= 0.2
    assert times.busy["quick"] < 0.1
