"""Reading backwards, of whatever reads forwards."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from lmeec.data.processed import FrameFolder
from lmeec.errors import DataError
from lmeec.video.backwards import read_backwards
from lmeec.video.instants import VideoAtRate, open_video
from tests.support.trees import write_processed
from tests.support.videos import plain_decode, write_video


class Counted:
    """A reader that knows how many of its frames are held, with key frames at some distance."""

    def __init__(self, distance: int) -> None:
        self._distance = distance
        self._frames: list[weakref.ref] = []
        self.most = 0

    def decodes_from(self, index: int) -> int:
        return index // self._distance

    def read(self, indices):
        for index in indices:
            frame = np.full(3, index)
            self._frames = [one for one in self._frames if one() is not None] + [weakref.ref(frame)]
            self.most = max(self.most, len(self._frames))
            yield index, frame


@pytest.mark.parametrize("distance", [1, 30, 250, 10**9])
@pytest.mark.parametrize("length", [300, 5_000])
def test_no_more_is_held_of_a_long_video_than_of_a_short_one(distance, length):
    reader = Counted(distance)
    for expected, (index, frame) in zip(range(length)[::-1], read_backwards(reader, range(length)[::-1]), strict=True):
        assert index == expected == frame[0]
        del frame
    assert reader.most <= 2 * 64 + 1


def test_a_folder_of_frames(tmp_path):
    folder = FrameFolder(write_processed(tmp_path, "take") / "cam01")
    forwards = list(folder.read([0, 30, 60]))
    for (index, frame), (other, expected) in zip(read_backwards(folder, [60, 30, 0]), forwards[::-1], strict=True):
        assert index == other
        assert (frame == expected).all()


def test_a_video_of_another_rate(tmp_path):
    path = write_video(tmp_path / "a.mp4", 60)
    decoded = plain_decode(path)
    with open_video(path, rate=10) as video:
        assert isinstance(video, VideoAtRate)
        found = dict(read_backwards(video, range(20)[::-1], longest=3))
    assert list(found) == list(range(20))[::-1]
    for index, frame in found.items():
        assert (frame == decoded[3 * index]).all()


def test_nothing_is_read_of_nothing_and_what_cannot_be_read_is_named(tmp_path):
    path = write_video(tmp_path / "a.mp4", 40)
    with open_video(path, rate=30) as video:
        assert list(read_backwards(video, [])) == []
        with pytest.raises(DataError, match=r"a.mp4: frame 50 is asked for"):
            list(read_backwards(video, [50, 3]))
        with pytest.raises(ValueError, match="ascending"):
            list(read_backwards(video, [3, 5]))
