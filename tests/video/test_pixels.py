"""Pixels and masks are those of the released scripts (OpenCV 5.0.0 and 4.10.0, Pillow 13.0.0, PyAV 18.1.0)."""

from __future__ import annotations

import io
import shutil
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from lmeec.data.naming import view_by_name
from lmeec.data.processed import FrameFolder
from lmeec.data.take import Camera
from lmeec.errors import DataError
from lmeec.inference.outputs import fetch_outputs
from lmeec.masks import RunLengthMask
from lmeec.model.lmeec import Decoded
from lmeec.model.query_masks import query_mask
from tests.support.released_pixels import BLOCKS, released

SIZE = (480, 480)


@pytest.fixture
def camera(tmp_path):
    """Gives a camera of this name whose video is the clip `blocks`."""

    def make(name, folder="."):
        path = tmp_path / folder / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(BLOCKS, path)
        return Camera(name, view_by_name(name), path)

    return make


def frames_of(camera, indices, **options):
    with camera.open(SIZE, **options) as reader:
        return [image for _, image in reader.read(indices)]


def difference(image, expected):
    return float(np.abs(image.astype(int) - expected).mean())


def test_a_jpeg_frame_is_resized_exactly_as_released(tmp_path):
    (tmp_path / "30.jpg").write_bytes(released()["cups/jpeg_30"].tobytes())
    with FrameFolder(tmp_path, SIZE) as frames:
        ((_, image),) = frames.read([30])
    assert np.array_equal(image[released()["rows"]], released()["cups/image_rows"][0])
    assert zlib.crc32(image.tobytes()) == released()["cups/image_crc32"][0]


def test_full_size_video_goes_through_the_released_chain(camera):
    """Another JPEG encoder or decoder may differ by a level or two; resizing otherwise differs by more than three."""
    wanted = released()["blocks/frames"].tolist()
    for image, expected in zip(
        frames_of(camera("aria01_214-1"), wanted, pixels="released"), released()["blocks/image_rows"], strict=True
    ):
        assert image.shape == (*SIZE, 3)
        assert difference(image[released()["rows"]], expected) < 0.5


def test_fast_pixels_differ_from_the_released_ones_by_what_the_readme_says(camera):
    wanted = released()["blocks/frames"].tolist()
    for image, expected in zip(frames_of(camera("aria01_214-1"), wanted), released()["blocks/image_rows"], strict=True):
        assert 3 < difference(image[released()["rows"]], expected) < 4


def test_an_exo_camera_is_reduced_to_a_quarter(camera):
    """Step by step and with Pillow's JPEG encoder; the clip that the vectors of an exo camera are of is not stored."""
    with camera("cam01").open() as reader:
        ((_, frame),) = reader.read([60])
    file = io.BytesIO()
    small = cv2.resize(frame, (320, 180), interpolation=cv2.INTER_LINEAR)
    Image.fromarray(small).save(file, "JPEG", quality=95, subsampling="4:2:0")
    expected = np.asarray(Image.open(file).resize(SIZE, Image.Resampling.BICUBIC))
    (image,) = frames_of(camera("cam01"), [60], pixels="released")
    assert difference(image, expected) < 0.5
    assert difference(image, frames_of(camera("aria01_214-1"), [60], pixels="released")[0]) > 3


def test_released_pixels_are_not_made_from_the_small_video(camera):
    small = camera("cam01", "frame_aligned_videos/downscaled/448")
    with pytest.raises(DataError, match=r"downscaled/448/cam01\.mp4: is a video of 448 pixels.*full size"):
        small.open(SIZE, pixels="released")
    small.open(SIZE).close()


def test_mask_logits_are_resized_before_the_threshold_as_released():
    decoded = Decoded(torch.from_numpy(released()["masks/logits"]), torch.zeros(4), torch.zeros(4), torch.zeros(4, 1))
    masks = fetch_outputs(decoded, [SIZE] * 4).get().masks
    assert np.array_equal(np.stack(masks), released()["masks/mask_480"])
    encoded = [RunLengthMask.encode(mask) for mask in masks]
    assert [mask.area for mask in encoded] == released()["masks/area"].tolist()
    assert [mask.counts for mask in encoded] == released()["masks/rle_counts"].tolist()


def test_a_query_mask_is_resized_as_released():
    mask = released()["query/mask"]
    assert np.array_equal(query_mask(RunLengthMask.encode(mask), 480).numpy(), released()["query/mask_480"])
