"""Frame i is the instant i/30 s in every camera, whatever the video's own frame rate."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmeec.data.take import Camera
from lmeec.errors import DataError
from lmeec.video.file import VideoReader
from lmeec.video.frames import ReadingCounts
from lmeec.video.instants import VideoAtRate, open_video
from tests.support.videos import TIME_BASE, picture, write_video

EVERY_TENTH_MISSING = [tick for frame, tick in enumerate(range(0, 1200, 10)) if frame % 10 != 7]
"""Times of frames in 1/600 s: 60 a second, but for some that a camera dropped."""


def video_of(path, rate, seconds=2.0, **options):
    """A video of `picture(0)`, `picture(1)`, ... at a rate that 1/600 s can tell."""
    step = TIME_BASE.denominator / Fraction(rate)
    return timed(path, [int(i * step) for i in range(int(rate * seconds))], **options)


def timed(path, timestamps, **options):
    return write_video(path, len(timestamps), timestamps=timestamps, **options)


def shown(video, indices):
    """Which `picture` each of the frames is."""
    found = []
    for index, image in video.read(indices):
        assert index == indices[len(found)]
        found.append(min(range(120), key=lambda i: np.abs(image.astype(int) - picture(i)).mean()))
    return found


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(60, [0, 2, 4, 6, 58, 118]), (20, [0, 1, 1, 2, 19, 39]), (15, [0, 0, 1, 1, 14, 29]), (24, [0, 1, 2, 2, 23, 47])],
)
def test_another_rate_is_read_at_its_nearest_frames(tmp_path, rate, expected):
    """Of two that are as near, the earlier: at 15 frames a second every other instant is between two."""
    with open_video(video_of(tmp_path / "a.mp4", rate), Fraction(30)) as video:
        assert (video.num_frames, video.frame_rate) == (60, 30)
        indices = [0, 1, 2, 3, 29, 59]
        assert [video.file_frame(index) for index in indices] == expected
        assert shown(video, indices) == expected
        assert f"has {rate} frames a second where the take counts 30" in video.notice


def test_no_frame_is_decoded_twice_and_a_repeated_one_is_a_copy(tmp_path, monkeypatch):
    asked = []
    read = VideoReader.read
    monkeypatch.setattr(VideoReader, "read", lambda self, indices: read(self, (asked.append(i) or i for i in indices)))
    with open_video(video_of(tmp_path / "a.mp4", 10), Fraction(30)) as video:
        images = [image for _, image in video.read(range(9))]
    assert asked == [0, 1, 2, 3]
    assert np.array_equal(images[0], images[1])
    assert not np.shares_memory(images[0], images[1])


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(30), Fraction(30030, 1001) * Fraction(1003, 1000)])
def test_an_ordinary_rate_is_read_frame_by_frame(tmp_path, rate):
    """As 29.97 frames a second of an Ego-Exo4D camera: by time, the last frame of ten minutes would be 18 off."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate)
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        for index in range(400):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), index % 250, np.uint8))))
        file.mux(stream.encode())
    with open_video(path, Fraction(30)) as video:
        assert isinstance(video, VideoReader)
        assert (video.num_frames, video.file_frame(399), video.notice) == (400, 399, None)


class Constant:
    """What is asked of a video whose frames come at equal intervals."""

    has_constant_rate = True

    def __init__(self, num_frames, frame_rate):
        self.path, self.num_frames, self.frame_rate = "a.mp4", num_frames, frame_rate
        self.height = self.width = 64
        self.counts = ReadingCounts()


@settings(deadline=None)
@given(st.integers(9, 120), st.integers(1, 3), st.integers(1, 20))
def test_the_nearest_frame_is_the_nearest_for_any_rate(rate, parts, num_frames):
    own = Fraction(rate, parts)
    video = VideoAtRate(Constant(num_frames, own), Fraction(30))
    for index in range(video.num_frames):
        away = [abs(Fraction(index, 30) - number / own) for number in range(num_frames)]
        assert video.file_frame(index) == away.index(min(away))
    past = Fraction(video.num_frames, 30)
    assert past - (num_frames - 1) / own > 1 / (2 * own)


def test_a_video_whose_rate_nothing_tells_is_refused():
    with pytest.raises(DataError, match=r"a\.mp4: neither the file nor its packets say how many frames a second"):
        VideoAtRate(Constant(10, None), Fraction(30))


def test_labels_of_rates_are_told_from_rates(tmp_path):
    """59.94 is 60, as 29.97 is 30: frames of one are every other frame of the other, however long the take."""
    timestamps = [round(i * 1001 / 100) for i in range(1300)]
    path = timed(tmp_path / "a.mp4", timestamps, size=(32, 32))
    with open_video(path, Fraction(30000, 1001)) as video:
        assert [video.file_frame(index) for index in (1, 600, 649)] == [2, 1200, 1298]


def test_a_short_video_has_its_rate_and_not_one_frame_more(tmp_path):
    """A container counts the time after the last frame too, or does not know it."""
    with VideoReader(video_of(tmp_path / "a.mp4", 30, seconds=0.2)) as video:
        assert video.frame_rate == pytest.approx(30, rel=1e-3)


def test_a_varying_rate_is_read_by_its_time_stamps(tmp_path):
    path = timed(tmp_path / "a.mp4", EVERY_TENTH_MISSING)
    expected = [int(np.abs(np.array(EVERY_TENTH_MISSING) - 20 * i).argmin()) for i in range(60)]
    assert expected != [round(i * 1.8) for i in range(60)]
    with open_video(path, Fraction(30)) as video:
        assert [video.file_frame(index) for index in range(video.num_frames)] == expected
        assert shown(video, [0, 7, 30, 59]) == [expected[i] for i in (0, 7, 30, 59)]


def test_a_varying_rate_without_time_stamps_is_refused(tmp_path):
    """Packets in the order that they are stored in, as careless writers time them, do not tell when each is shown."""
    ticks = iter(EVERY_TENTH_MISSING)
    path = write_video(tmp_path / "a.mp4", len(EVERY_TENTH_MISSING), times=lambda _packet: next(ticks))
    with pytest.raises(DataError, match=r"a\.mp4: its frame rate varies.*encode it anew"):
        open_video(path, Fraction(30))
    VideoReader(path).close()  # by its own numbers it can be read


@pytest.mark.parametrize("instants", [None, EVERY_TENTH_MISSING], ids=["constant", "varying"])
def test_what_a_video_says_of_its_frames_does_not_say_how_much_memory_is_taken(tmp_path, instants):
    path = timed(tmp_path / "a.mp4", instants) if instants else write_video(tmp_path / "a.mp4", 6)
    with pytest.raises(DataError, match=r"a\.mp4: its time stamps make it .* frames .* damaged"):
        open_video(path, Fraction(10**15))


def test_frames_past_the_end_are_named_as_the_take_counts_them(tmp_path):
    with open_video(video_of(tmp_path / "a.mp4", 60), Fraction(30)) as video:
        assert [video.has_frame(index) for index in (-1, 0, 59, 60)] == [False, True, True, False]
        frames = video.read([58, 59, 60])
        assert [next(frames)[0], next(frames)[0]] == [58, 59]
        with pytest.raises(DataError, match=r"frame 60 is asked for, the video has 60 frames at 30 a second"):
            next(frames)
        with pytest.raises(ValueError, match="ascending"):
            list(video.read([3, 2]))


@pytest.mark.parametrize("pixels", ["fast", "released"])
def test_a_camera_counts_as_its_take_does(tmp_path, pixels):
    path = video_of(tmp_path / "cam01.mp4", 60)
    with Camera("cam01", "exo", path).open((48, 64), pixels=pixels) as video:
        assert (video.num_frames, video.file_frame(10)) == (60, 20)
        assert "60 frames a second" in video.notice
    with Camera("cam01", "exo", path, frame_rate=Fraction(60)).open((48, 64), pixels=pixels) as video:
        assert (video.num_frames, video.file_frame(10), video.notice) == (120, 10, None)
