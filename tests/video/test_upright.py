"""Videos of phones that were held upright: their files say how frames are turned."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from lmeec.data.take import Camera
from lmeec.video.file import VideoReader
from tests.support.videos import write_video

_TO_MATRIX = {0: 40, 1: 52}  # from the beginning of a `tkhd` box's fields, by version (ISO/IEC 14496-12, 8.3.2)


def turned(path, degrees):
    """A video that is to be shown turned clockwise."""
    write_video(path, 12, size=(96, 128))
    data = bytearray(path.read_bytes())
    fields = data.index(b"tkhd") + 4
    place = fields + _TO_MATRIX[data[fields]]
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    one = 2**16
    data[place : place + 36] = struct.pack(
        ">9i", cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 2**30
    )
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [None, (48, 32)])
def test_frames_are_turned_as_players_do(tmp_path, degrees, size):
    lying = size and (size[::-1] if degrees % 180 else size)
    with VideoReader(turned(tmp_path / "a.mp4", degrees), lying) as plain:
        expected = {index: np.rot90(image, -degrees // 90) for index, image in plain.read([0, 3, 9])}
    with VideoReader(tmp_path / "a.mp4", size, upright=True) as reader:
        assert (reader.height, reader.width) == ((128, 96) if degrees % 180 else (96, 128))
        for index, image in reader.read([0, 3, 9]):
            np.testing.assert_array_equal(image, expected[index])


def test_details_are_turned_too(tmp_path):
    camera = Camera("phone", "exo", turned(tmp_path / "a.mp4", 90), upright=True, frame_rate=Fraction(30))
    with camera.open((48, 48)) as reader:
        (_, found), *_ = reader.read_detailed([0, 3], 64)
        assert found.image.shape == (48, 48, 3)
        assert found.detail.shape == (64, 48, 3)
