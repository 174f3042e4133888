"""How far the cutting of clips is, added up over whoever cuts."""

from __future__ import annotations

import threading
from fractions import Fraction

from lmeec.clips import counting
from lmeec.clips.counting import FrameCount, Way, WayCounter
from lmeec.clips.cutting import Cut, count_frames, cut_video
from tests.support.videos import write_video


def test_takes_at_work_count_what_they_have_read_and_those_that_ended_all(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "_EVERY_S", 0.01)
    told, heard = [], threading.Event()

    def hear(way):
        told.append(way)
        if way.done == 14:
            heard.set()

    with WayCounter(tmp_path, [10, 20], hear) as counter:
        counter.end(0, 10)
        assert counter.way == Way(10, 30, 10)
        count = FrameCount(tmp_path, 1)
        count._last -= 1  # as if it were a second ago
        for _ in range(3):
            count.add()
        (tmp_path / "000001.frames").write_text("4")
        assert heard.wait(10)
        counter.end(1, 20)
        assert counter.way == Way(30, 30, 30)
    assert {way.frames for way in told} == {30}
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_has_noted_is_not_read_by_this_one(tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "_EVERY_S", 0.01)
    (tmp_path / "000000.frames").write_text("7")
    told = threading.Event()
    with WayCounter(tmp_path, [10, 20], lambda _way: told.set()) as counter:
        assert told.wait(10)
        assert counter.way == Way(0, 30, 0)


def test_an_end_leaves_what_others_have_noted(tmp_path):
    with WayCounter(tmp_path, [10, 20], lambda _way: None) as counter:
        (tmp_path / "000001.frames").write_text("4")
        counter.end(0, 10)
        assert counter.way == Way(14, 30, 14)


def test_what_is_left_goes_by_what_this_run_has_read():
    assert Way(done=900, frames=1000, read=0).seconds_left(3.0) is None
    assert Way(done=950, frames=1000, read=50).seconds_left(25.0) == 25.0


def test_every_frame_of_a_video_is_told_once(tmp_path):
    video = tmp_path / "cam.mp4"
    write_video(video, 30)
    cuts = [Cut(2, 10, tmp_path / "a.mp4"), Cut(5, 14, tmp_path / "b.mp4")]
    seen = []
    cut_video(video, cuts, 64, Fraction(30), threads=1, on_frame=lambda: seen.append(1))
    assert len(seen) == count_frames(cuts) == 12
