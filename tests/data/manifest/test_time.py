"""Cameras that begin at other instants than their take, or whose files lie of their rate."""

from fractions import Fraction

import pytest

from lmeec.data.manifest.numbering import Numbering
from lmeec.data.takes import find_takes
from lmeec.errors import DataError
from lmeec.video.instants import open_video
from tests.support.own import write_manifest
from tests.support.videos import write_video


def nearest(instant, frames, rate, offset):
    """The frame that is shown nearest to an instant of the take, the earlier of two; None where none is that near."""
    apart, number = min((abs(offset + Fraction(number) / rate - instant), number) for number in range(frames))
    return number if apart <= 1 / (2 * rate) else None


@pytest.mark.parametrize(
    "offset", [Fraction(0), Fraction(1, 3), Fraction(-1, 2), Fraction(7, 100), Fraction(-73, 1000)]
)
@pytest.mark.parametrize("own", [Fraction(30), Fraction(25), Fraction(60), Fraction(3001, 100)])
@pytest.mark.parametrize("rate", [Fraction(30), Fraction(24)])
def test_frames_are_those_nearest_in_time(tmp_path, offset, own, rate):
    video = write_video(tmp_path / "a.mp4", 40)
    expected = {frame: nearest(frame / rate, 40, own, offset) for frame in range(120)}
    with open_video(video, rate, offset=offset, own_rate=own) as reader:
        for frame, number in expected.items():
            # Just half a frame from either end there is as much to be said for as against.
            on_the_edge = number in (0, 39) and abs(abs(offset + number / own - frame / rate) - 1 / (2 * own)) == 0
            if not on_the_edge:
                assert reader.has_frame(frame) == (number is not None), frame
            if number is not None and reader.has_frame(frame):
                assert reader.file_frame(frame) == number
    numbering = Numbering(start=offset * rate, step=own / rate)
    for number in range(40):
        reading = [frame for frame, read in expected.items() if read == number]
        if reading:  # of several frames of the take that read it, the nearest
            assert numbering.frame(number) in reading
        elif numbering.frame(number) is not None:
            assert offset + number / own > 119 / rate


def manifest(folder, **camera):
    write_video(folder / "head.mp4", 40)
    write_video(folder / "side.mp4", 40)
    cameras = [
        {"name": "head", "view": "ego", "video": "head.mp4"},
        {"name": "side", "view": "exo", "video": "side.mp4"} | camera,
    ]
    return write_manifest(folder / "recordings.yaml", {"name": "a", "cameras": cameras})


@pytest.mark.parametrize("said", [{"offset_frames": -12}, {"offset_seconds": -0.4}])
def test_an_offset_is_said_in_frames_or_seconds(tmp_path, said):
    with find_takes(manifest(tmp_path, **said))[0].cameras["side"].open() as side:
        assert [side.file_frame(frame) for frame in (0, 1, 27)] == [12, 13, 39]
        assert not side.has_frame(28)


def test_a_rate_that_is_said_counts_in_place_of_the_files(tmp_path):
    with find_takes(manifest(tmp_path, frame_rate=60))[0].cameras["side"].open() as side:
        assert [side.file_frame(frame) for frame in (0, 1, 19)] == [0, 2, 38]
        assert side.notice is None


def test_a_camera_that_ends_before_its_take_begins_is_named(tmp_path):
    camera = find_takes(manifest(tmp_path, offset_seconds=-10))[0].cameras["side"]
    with pytest.raises(DataError, match=r"side\.mp4: ends before its take begins"):
        camera.open()
