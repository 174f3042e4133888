"""Frames by number: whatever the container does, frame i is the i-th of a plain front-to-back decode."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from lmeec.errors import DataError
from lmeec.video.backwards import read_backwards
from lmeec.video.decoding import DecodingRun
from lmeec.video.file import VideoReader
from tests.support.memory import peak_of_process
from tests.support.places import ASSETS
from tests.support.videos import TICKS, packets, patch_edits, plain_decode, remux, write_video

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = ASSETS / "video/03_blocks.mp4"
CLOSED = "keyint=20:min-keyint=20:scenecut=0:bframes=3"
OPEN = f"{CLOSED}:open-gop=1"
CUTTING = {"avoid_negative_ts": "disabled", "use_editlist": "1"}


def uneven_times(frames: int) -> list[int]:
    steps = random.Random(1).choices([5, 20, 33, 70], k=frames - 1)
    return list(itertools.accumulate([0, *steps]))


def with_edits(path: Path, x264: str, *edits: tuple[int, int]) -> Path:
    return patch_edits(write_video(path, x264=x264, shift=50 * TICKS), list(edits))


VIDEOS = {
    "b-frames": write_video,
    "deep b-frames": lambda path: write_video(path, 80, x264="keyint=40:scenecut=0:bframes=8:b-pyramid=normal:ref=6"),
    "no b-frames": lambda path: write_video(path, x264="keyint=20:bframes=0"),
    "open gop": lambda path: write_video(path, x264=OPEN),
    "one key frame": lambda path: write_video(path, x264="keyint=infinite:scenecut=0:bframes=3"),
    "intra refresh": lambda path: write_video(path, 90, x264="keyint=30:intra-refresh=1:bframes=0:scenecut=0"),
    "edit list drops 7": lambda path: write_video(path, shift=-7 * TICKS, options=CUTTING),
    "edit list drops 27": lambda path: write_video(path, x264=OPEN, shift=-27 * TICKS, options=CUTTING),
    "edit list leaves out the middle": lambda path: with_edits(path, CLOSED, (0, 10), (33, 20)),
    "edit list leaves out the middle, open gop": lambda path: with_edits(path, OPEN, (7, 12), (19, 30)),
    "edit list repeats": lambda path: with_edits(path, OPEN, (5, 20), (5, 20)),
    "edit list goes back": lambda path: with_edits(path, CLOSED, (40, 15), (3, 15)),
    "non-zero start": lambda path: write_video(path, shift=50 * TICKS),
    "variable times": lambda path: write_video(path, timestamps=uneven_times(60)),
    "header first": lambda path: write_video(path, options={"movflags": "faststart"}),
    "fragmented": lambda path: write_video(path, options={"movflags": "frag_keyframe+empty_moov"}),
    "cut at an open gop": lambda path: remux(write_video(path.with_name("whole.mp4"), x264=OPEN), path, first=39),
    "cut between key frames": lambda path: remux(write_video(path.with_name("whole.mp4"), x264=OPEN), path, first=3),
    "times in the order of the file": lambda path: write_video(path, x264=OPEN, times=lambda packet: packet.dts),
    "no times": lambda path: write_video(path, times=lambda packet: 0),
    "matroska": lambda path: write_video(path.with_suffix(".mkv"), x264=OPEN),
    "mpeg-4 part 2": lambda path: write_video(path, codec="mpeg4"),
}


@pytest.fixture(scope="module", params=VIDEOS, ids=lambda name: name.replace(" ", "-"))
def video(request, tmp_path_factory):
    path = VIDEOS[request.param](tmp_path_factory.mktemp("video") / "a.mp4")
    return path, plain_decode(path)


def assert_equal(read, expected):
    numbers = []
    for index, image in read:
        assert np.array_equal(image, expected[index]), f"frame {index}"
        numbers.append(index)
    return numbers


def test_every_frame_in_order(video):
    path, expected = video
    with VideoReader(path) as reader:
        assert reader.num_frames == len(expected)
        assert (reader.height, reader.width) == (96, 128)
        assert [reader.has_frame(index) for index in (-1, 0, len(expected) - 1, len(expected))] == [0, 1, 1, 0]
        assert assert_equal(reader.read(range(len(expected))), expected) == list(range(len(expected)))


def test_every_frame_by_itself_in_any_order(video):
    path, expected = video
    order = random.Random(0).sample(range(len(expected)), len(expected))
    with VideoReader(path, threads=2) as reader:
        for index in order:
            assert assert_equal(reader.read([index]), expected) == [index]


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_frames_at_intervals_and_at_random(video, threads):
    path, expected = video
    chance = random.Random(2)
    with VideoReader(path, threads=threads) as reader:
        for step in (2, 7, 30):
            assert_equal(reader.read(range(step // 2, len(expected), step)), expected)
        for _ in range(20):
            chosen = sorted(chance.sample(range(len(expected)), chance.randint(1, 8)))
            assert assert_equal(reader.read(chosen), expected) == chosen


@pytest.mark.parametrize("longest", [1, 7, 64])
def test_frames_backwards(video, longest):
    path, expected = video
    with VideoReader(path, threads=2) as reader:
        for step in (1, 7):
            chosen = list(range(0, len(expected), step))[::-1]
            assert assert_equal(read_backwards(reader, chosen, longest=longest), expected) == chosen


def test_backwards_no_frame_is_decoded_twice_where_stretches_end_at_key_frames(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 200)
    decoded, next_frame = [], DecodingRun.next_frame
    monkeypatch.setattr(
        DecodingRun, "next_frame", lambda *arguments: decoded.append(next_frame(*arguments)) or decoded[-1]
    )
    with VideoReader(path) as reader:
        decoded.clear()  # opening looks at some
        assert len(list(read_backwards(reader, range(200)[::-1], longest=50))) == 200
    # Two stretches of 20 frames between key frames fit into 50, and each but the last meets its neighbour's key frame.
    assert len(decoded) <= 205


def test_the_open_gop_video_has_frames_that_are_shown_before_their_key_frame(tmp_path):
    rows = packets(write_video(tmp_path / "a.mp4", x264=OPEN))
    leading = [
        sum(later[3] < row[3] for later in rows[place:]) for place, row in enumerate(rows) if row[2] and place > 0
    ]
    assert max(leading) > 0


def test_a_real_clip_is_the_same_by_number():
    chosen = [0, 1, 2, 30, 60, 149, 150, 151, 249, 250, 251, 260, 290, 291]
    with av.open(str(BLOCKS)) as container:
        expected = {
            index: frame.to_ndarray(format="rgb24")
            for index, frame in enumerate(container.decode(video=0))
            if index in chosen
        }
    with VideoReader(BLOCKS) as reader:
        assert (reader.height, reader.width, reader.num_frames) == (720, 1280, 292)
        assert assert_equal(reader.read(chosen), expected) == chosen
        for index in (291, 250, 149, 2):
            assert assert_equal(reader.read([index]), expected) == [index]


def test_frames_are_decoded_when_they_are_asked_for():
    with VideoReader(BLOCKS, size=(36, 64)) as reader:
        assert [index for index, _ in itertools.islice(reader.read(itertools.count(0, 10)), 3)] == [0, 10, 20]


@pytest.mark.parametrize("size", [(480, 480), (270, 480)])
def test_resizing_is_as_good_as_antialiased_bilinear(size):
    height, width = size
    with VideoReader(BLOCKS) as whole, VideoReader(BLOCKS, size=size) as small:
        for (_, image), (_, resized) in zip(whole.read([0, 100]), small.read([0, 100]), strict=True):
            assert resized.shape == (height, width, 3)
            expected = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
            error = np.mean((resized.astype(float) - expected) ** 2)
            assert 10 * np.log10(255**2 / error) > 40


def damage(path: Path, places: list[int], keep: int = 0) -> Path:
    """Overwrite packets with zeros, which no decoder takes, except for the first `keep` bytes."""
    data = bytearray(path.read_bytes())
    rows = packets(path)
    for place in places:
        position, size = rows[place][:2]
        data[position + keep : position + size] = bytes(size - keep)
    path.write_bytes(data)
    return path


def test_a_frame_that_cannot_be_decoded_is_named_and_those_before_and_after_are_right(tmp_path):
    path = write_video(tmp_path / "a.mp4", x264=OPEN)
    expected = plain_decode(path)
    place = next(place for place, row in enumerate(packets(path)) if place > 22 and row[1] > 250)
    damage(path, [place])
    with VideoReader(path) as reader:
        good = []
        with pytest.raises(DataError) as caught:
            for index, image in reader.read(range(60)):
                good.append(np.array_equal(image, expected[index]))
        assert str(path) in str(caught.value)
        assert f"frame {len(good)} cannot be decoded" in str(caught.value)
        assert len(good) >= 20
        assert all(good)
        assert assert_equal(reader.read([0, 19, 45, 59]), expected) == [0, 19, 45, 59]


def test_what_is_not_needed_is_not_decoded(tmp_path):
    """Packets between the key frames are destroyed, so that decoding any of them would fail."""
    path = write_video(tmp_path / "a.mp4", 100)
    expected = plain_decode(path)
    keys = [place for place, row in enumerate(packets(path)) if row[2]]
    damage(path, [place for place in range(100) if place not in keys])
    with VideoReader(path) as reader:
        assert assert_equal(reader.read(range(0, 100, 20)), expected) == [0, 20, 40, 60, 80]


def test_frames_that_nothing_refers_to_are_left_out(tmp_path):
    path = write_video(tmp_path / "a.mp4", x264=f"{CLOSED}:b-pyramid=none:b-adapt=0")
    expected = plain_decode(path)
    order = np.argsort(np.argsort([row[3] for row in packets(path)]))  # the frame number of every packet
    damage(path, [int(place) for place in np.flatnonzero(np.isin(order, [1, 2, 3, 5, 6, 7]))], keep=5)
    with VideoReader(path) as reader:
        assert assert_equal(reader.read([0, 4, 8, 9]), expected) == [0, 4, 8, 9]
        with pytest.raises(DataError, match="frame 5 cannot be decoded"):
            list(reader.read([5]))


@pytest.mark.parametrize("x264", [CLOSED, OPEN])
def test_a_truncated_video_counts_the_frames_that_are_there(tmp_path, x264):
    path = write_video(tmp_path / "a.mp4", x264=x264, options={"movflags": "faststart"})
    expected, data, rows = plain_decode(path), path.read_bytes(), packets(path)
    for place in range(10, 60, 7):
        position, size = rows[place][:2]
        for end in (position, position + 1, position + size - 1):
            path.write_bytes(data[:end])
            with VideoReader(path) as reader:
                assert place - 3 <= reader.num_frames <= place
                count = reader.num_frames
                assert assert_equal(reader.read(range(count)), expected) == list(range(count))
                assert assert_equal(reader.read([count - 1]), expected) == [count - 1]
                with pytest.raises(DataError, match=f"has {count} frames"):
                    list(reader.read([count]))


def test_a_video_shorter_than_its_annotations_says_how_long_it_is():
    with VideoReader(BLOCKS, size=(36, 64)) as reader:
        read = reader.read([0, 300])
        assert next(read)[0] == 0
        with pytest.raises(DataError, match=r"03_blocks\.mp4: frame 300 is asked for, the video has 292 frames"):
            next(read)


def test_a_video_that_lost_its_end_says_how_to_mend_it(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"a\.mp4: is not a video.*download it again"):
        VideoReader(path)


@pytest.mark.parametrize("data", [b"", b"hello", bytes(5000), b"\0\0\0\x18ftypmp42" + bytes(12)])
def test_what_is_not_a_video_is_named(tmp_path, data):
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.mp4: is not a video"):
        VideoReader(path)


def test_a_missing_file_and_a_file_with_sound_alone_are_named(tmp_path):
    with pytest.raises(DataError, match=r"a\.mp4: there is no such file"):
        VideoReader(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux([*stream.encode(frame), *stream.encode()])
    with pytest.raises(DataError, match=r"a\.mp4: holds no video"):
        VideoReader(tmp_path / "a.mp4")


def test_a_video_without_a_whole_frame_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: packets(path)[0][0] + 10])
    with pytest.raises(DataError, match="holds no frame"):
        VideoReader(path)


def test_frames_of_an_absurd_size_are_refused(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 8016, 8192, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        frame = av.VideoFrame(8192, 8016, "yuv420p")
        container.mux([*stream.encode(frame), *stream.encode()])
    assert peak_of_process(refuse_absurd_frames, path) < 50e6  # a frame takes 98e6


def refuse_absurd_frames(path):
    with pytest.raises(DataError, match=r"a\.mp4: frames of 8016x8192"):
        VideoReader(path)


def test_frame_numbers_must_ascend():
    with VideoReader(BLOCKS, size=(36, 64)) as reader:
        for numbers in ([3, 3], [3, 1], [-1]):
            with pytest.raises(ValueError, match="ascending"):
                list(reader.read(numbers))


def test_reading_video_needs_no_torch():
    code = "import sys, lmeec.data.takes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_decoding_on_a_gpu_gives_the_same_frames_and_falls_back_where_there_is_none(tmp_path):
    path = write_video(tmp_path / "video.mp4", x264=OPEN)
    with VideoReader(path) as on_cpu, VideoReader(path, gpu=True) as on_gpu:
        wanted = [3, 4, 30, 59]
        for (index, image), (other, same) in zip(on_cpu.read(wanted), on_gpu.read(wanted), strict=True):
            assert index == other
            np.testing.assert_array_equal(image, same)


def test_what_is_no_video_is_named_with_a_gpu_too(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(DataError, match=r"video\.mp4: is not a video"):
        VideoReader(path, gpu=True)
