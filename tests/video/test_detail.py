"""Frames at two sizes of one decoding, from every source."""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from lmeec.data.take import Camera
from lmeec.video.file import VideoReader
from lmeec.video.frames import detail_size
from tests.support.released_pixels import BLOCKS

SIZE, LONGER_SIDE = (96, 96), 320
FRAMES = [3, 4, 9]


@pytest.fixture(params=["video", "video of another rate", "released pixels", "folder"])
def camera(request, tmp_path):
    """A camera, and how it is opened besides the size."""
    name = "cam01.mp4"
    if request.param == "folder":
        for number in FRAMES:
            pixels = np.random.default_rng(number).integers(0, 255, (90, 400, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{number}.jpg")
        return Camera("cam01", "exo", tmp_path), {}
    shutil.copy(BLOCKS, tmp_path / name)
    rate = Fraction(75) if request.param == "video of another rate" else Fraction(30)
    options = {"pixels": "released"} if request.param == "released pixels" else {}
    return Camera("cam01", "exo", tmp_path / name, frame_rate=rate), options


def test_a_frame_in_its_own_shape_comes_beside_the_one_that_would_come_alone(camera, monkeypatch):
    camera, options = camera
    with camera.open(SIZE, **options) as reader:
        alone = [image for _, image in reader.read(FRAMES)]
        shape = detail_size(reader.height, reader.width, LONGER_SIDE)
    with camera.open() as reader:
        own = [frame for _, frame in reader.read(FRAMES)]
    found = []
    find = VideoReader._find
    monkeypatch.setattr(VideoReader, "_find", lambda *arguments: found.append(1) or find(*arguments))
    with camera.open(SIZE, **options) as reader:
        both = list(reader.read_detailed(FRAMES, LONGER_SIDE))
        whole = [frame.detail for _, frame in reader.read_detailed(FRAMES, 4000)]
    assert [index for index, _ in both] == FRAMES
    assert max(shape) == LONGER_SIDE
    for (_, frame), image, source, large in zip(both, alone, own, whole, strict=True):
        assert np.array_equal(frame.image, image)
        assert np.array_equal(large, source)
        assert frame.detail.shape == (*shape, 3)
        means = [picture.astype(float).mean((0, 1)) for picture in (frame.detail, source)]
        assert means[0] == pytest.approx(means[1], abs=2)
    decoded = 0 if camera.source.is_dir() else len({image.tobytes() for image in own})
    assert len(found) == 2 * decoded, "once for both, in each of the two readings"


def test_the_longer_side_is_kept_within_bounds_and_the_shape_as_it_is():
    assert detail_size(2160, 3840, 960) == (540, 960)
    assert detail_size(1408, 1408, 960) == (960, 960)
    assert detail_size(448, 796, 960) == (448, 796)
