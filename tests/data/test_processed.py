"""The processed layout: JPEG frames and one annotation file a take."""

from __future__ import annotations

import json
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from lmeec.data.processed import FrameFolder, read_tracks
from lmeec.errors import DataError
from tests.support.trees import square_mask, write_processed
from tests.support.videos import picture


@pytest.fixture
def take(tmp_path):
    return write_processed(tmp_path, "uid-1")


def test_tracks_hold_the_masks_and_do_not_know_what_annotators_saw(take):
    tracks = read_tracks(take)
    assert list(tracks) == [("red mug_0", "aria01_214-1"), ("red mug_0", "cam01")]
    track = tracks["red mug_0", "cam01"]
    assert (track.annotated_frames, track.frames, track.size) == (None, (0, 30), (96, 128))
    assert np.array_equal(track.mask(30).decode(), square_mask(30))


def test_frames_are_read_by_number(take):
    with FrameFolder(take / "cam01") as frames:
        assert (frames.height, frames.width, frames.num_frames) == (96, 128, 61)
        assert [frames.has_frame(index) for index in (0, 1, 30, 60, 61)] == [True, False, True, True, False]
        for index, image in frames.read([0, 60]):
            assert image.dtype == np.uint8
            assert np.abs(image.astype(int) - picture(index)).mean() < 4  # JPEG is not exact


def test_frames_are_resized_as_pillow_does_it_by_default(take):
    with FrameFolder(take / "cam01") as whole, FrameFolder(take / "cam01", size=(24, 48)) as small:
        (_, image), (_, resized) = next(whole.read([30])), next(small.read([30]))
    expected = np.asarray(Image.fromarray(image).resize((48, 24)))
    assert np.array_equal(resized, expected)


def test_a_missing_frame_is_named_with_its_neighbours(take):
    with FrameFolder(take / "cam01") as frames, pytest.raises(DataError, match=r"frame 31.*30 and 60"):
        list(frames.read([30, 31]))


def test_numbers_must_ascend(take):
    with FrameFolder(take / "cam01") as frames, pytest.raises(ValueError, match="ascending"):
        list(frames.read([30, 0]))


def test_a_truncated_jpeg_is_named(take):
    path = take / "cam01" / "30.jpg"
    path.write_bytes(path.read_bytes()[:-1500])
    with FrameFolder(take / "cam01") as frames:
        assert next(frames.read([0]))[0] == 0
        with pytest.raises(DataError, match=r"30\.jpg: is not a JPEG file that can be read .*truncated"):
            list(frames.read([30]))


def test_a_file_that_is_no_jpeg_is_named(take):
    (take / "cam01" / "0.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"0\.jpg.*not a JPEG"):
        FrameFolder(take / "cam01")


def test_an_absurd_size_is_refused_before_decoding(take):
    path = take / "cam01" / "0.jpg"
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0") + 5  # start of frame: height and width
    data[at : at + 4] = struct.pack(">HH", 10_000, 8_000)
    path.write_bytes(data)
    with pytest.raises(DataError, match="10000x8000"):
        FrameFolder(take / "cam01")


def test_a_frame_of_another_size_is_named(take):
    cv2.imwrite(str(take / "cam01" / "30.jpg"), picture(30, 48, 64))
    with FrameFolder(take / "cam01") as frames, pytest.raises(DataError, match=r"30\.jpg.*48x64.*96x128"):
        list(frames.read([30]))


def test_a_folder_without_frames_is_refused(tmp_path):
    (tmp_path / "cover.jpg").touch()
    with pytest.raises(DataError, match="no frames"):
        FrameFolder(tmp_path)


def test_a_mask_of_another_size_is_named(take):
    path = take / "annotation.json"
    document = json.loads(path.read_text())
    document["masks"]["red mug_0"]["cam01"]["0"]["size"] = [96, 129]
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"annotation\.json.*'uid-1'.*'red mug_0'.*'cam01'.*frame 0"):
        read_tracks(take)["red mug_0", "cam01"].mask(0)


def test_broken_json_is_named_by_line_and_column(take):
    (take / "annotation.json").write_text('{"masks":\n {]}')
    with pytest.raises(DataError, match=r"annotation\.json.*line 2, column 3"):
        read_tracks(take)
