"""Videos that are read by ranges: the same frames, few bytes, and failures that are not taken for the end."""

from __future__ import annotations

import numpy as np
import pytest

from lmeec.errors import DataError
from lmeec.files.places import place
from lmeec.files.remote.cache import FileCache
from lmeec.video.file import VideoReader
from tests.support.stores import serve_files
from tests.support.videos import write_video

FRAMES, EVERY = 180, 30
NOISY = "keyint=30:min-keyint=30:scenecut=0:bframes=2:crf=1"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr("lmeec.files.remote.attempts.FIRST_WAIT_S", 0.001)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A video of some megabytes with a key frame a second and its index at the end."""
    return write_video(tmp_path_factory.mktemp("web") / "large.mp4", FRAMES, size=(360, 480), x264=NOISY)


def same_frames(path, url, numbers, **settings):
    with VideoReader(path, threads=1) as here, VideoReader(place(url), threads=1, **settings) as there:
        assert here.num_frames == there.num_frames
        for (one, image), (other, other_image) in zip(here.read(numbers), there.read(numbers), strict=True):
            assert one == other
            assert np.array_equal(image, other_image)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("end.mp4", {}),
        ("start.mp4", {"movflags": "faststart"}),
        ("pieces.mp4", {"movflags": "frag_keyframe"}),
        ("a.mkv", {}),
    ],
)
def test_the_same_frames_wherever_the_index_is(tmp_path, name, options):
    path = write_video(tmp_path / name, 60, options=options)
    with serve_files(tmp_path) as (url, _):
        same_frames(path, f"{url}/{name}", [0, 7, 8, 30, 59])


def test_a_frame_a_second_reads_little(large):
    size = large.stat().st_size
    with serve_files(large.parent) as (url, traffic):
        same_frames(large, f"{url}/large.mp4", range(0, FRAMES, EVERY))
    assert size > 2e6
    assert traffic.sent < 0.6 * size
    assert len(traffic.requests) < 6 + 8, "one or two for each frame, the beginning, and the index at once"


def test_front_to_back_reads_all_once_in_growing_pieces(large):
    size = large.stat().st_size
    with serve_files(large.parent) as (url, traffic):
        same_frames(large, f"{url}/large.mp4", range(FRAMES))
    assert traffic.sent < 1.1 * size
    assert len(traffic.requests) < 14


def test_a_failure_is_no_end_of_the_video(large):
    with serve_files(large.parent) as (url, traffic):
        reader = VideoReader(place(f"{url}/large.mp4"), threads=1)
        frames = reader.read(range(0, FRAMES, EVERY))
        next(frames)
        traffic.faults = lambda _method, _path: "500"
        with pytest.raises(DataError, match=r"large\.mp4: cannot be read: the store gave no answer in 5 att") as caught:
            list(frames)
        assert isinstance(caught.value.__cause__, OSError), "it may be tried again"
        with pytest.raises(DataError, match="no answer"):
            VideoReader(place(f"{url}/large.mp4"))


@pytest.mark.parametrize("after", [1, 2])
def test_a_failure_while_the_index_is_read_is_none_of_the_file(large, after):
    with serve_files(large.parent) as (url, traffic):
        traffic.faults = lambda _method, _path: "500" if len(traffic.requests) > after else None
        with pytest.raises(DataError, match="cannot be read: the store gave no answer"):
            VideoReader(place(f"{url}/large.mp4"))


def test_a_video_that_is_replaced_while_it_is_read(large, tmp_path):
    (tmp_path / "large.mp4").write_bytes(large.read_bytes())
    with serve_files(tmp_path) as (url, _), VideoReader(place(f"{url}/large.mp4"), threads=1) as reader:
        frames = reader.read([0, 150])
        next(frames)
        (tmp_path / "large.mp4").write_bytes(large.read_bytes() + bytes(8))
        with pytest.raises(DataError, match=r"large\.mp4: cannot be read: it was changed while it was read"):
            next(frames)


def test_whole_files_are_kept(large, tmp_path):
    cache = FileCache(tmp_path / "cache")
    with serve_files(large.parent) as (url, traffic):
        for _ in range(2):
            with VideoReader(place(f"{url}/large.mp4", cache), threads=1) as reader:
                assert reader.num_frames == FRAMES
                next(reader.read([150]))
                (kept,) = cache.folder.glob("*.mp4")
        assert traffic.sent < 1.01 * large.stat().st_size
    assert kept.read_bytes() == large.read_bytes()


def test_a_server_without_ranges_needs_a_cache(large, tmp_path):
    with serve_files(large.parent, in_ranges=False) as (url, _):
        with pytest.raises(DataError, match=r"large\.mp4: cannot be read: its server gives whole files alone"):
            VideoReader(place(f"{url}/large.mp4"))
        with VideoReader(place(f"{url}/large.mp4", FileCache(tmp_path / "cache")), threads=1) as reader:
            assert reader.num_frames == FRAMES


def test_what_is_no_video_is_told_as_of_a_local_file(tmp_path):
    (tmp_path / "text.mp4").write_bytes(b"no video at all" * 100)
    (tmp_path / "cut.mp4").write_bytes(write_video(tmp_path / "whole.mp4", 60).read_bytes()[:2000])
    with serve_files(tmp_path) as (url, _):
        for name in ("text.mp4", "cut.mp4"):
            with pytest.raises(DataError) as here:
                VideoReader(tmp_path / name)
            with pytest.raises(DataError) as there:
                VideoReader(place(f"{url}/{name}"))
            assert str(there.value).removeprefix(url) == str(here.value).removeprefix(str(tmp_path))
