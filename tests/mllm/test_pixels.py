"""Frames become the encoders' squares as CLIP's own image processor makes them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import lmeec.mllm.hugging_face  # noqa: F401 - keeps torchvision out of what follows
from lmeec.errors import DataError
from lmeec.mllm.backbones import patch_features
from lmeec.mllm.colours import DEVIATION, MEAN, MEAN_COLOUR
from lmeec.mllm.config import MllmConfig
from lmeec.mllm.pixels import frame_indices, square, squares
from tests.support.mllm import TINY, tiny


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def processed(frame, side):
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return processor(Image.fromarray(frame), return_tensors="pt")["pixel_values"][0]


def normalised(frame):
    values = torch.from_numpy(frame.copy()).permute(2, 0, 1).float() / 255
    return (values - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)


@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (77, 77), (61, 109)])
def test_crops_are_those_of_clips_processor(shape):
    frame = noise(*shape)
    assert torch.allclose(normalised(square(frame, 48, "crop")), processed(frame, 48), atol=1e-5)


def test_padded_frames_are_those_of_the_processor_after_padding():
    frame = noise(90, 160)
    padded = np.empty((160, 160, 3), np.uint8)
    padded[:] = MEAN_COLOUR
    padded[35:125] = frame
    made = square(frame, 48, "pad")
    assert torch.allclose(normalised(made), processed(padded, 48), atol=1e-5)
    assert (made[0] == MEAN_COLOUR).all()
    assert np.abs(normalised(made)[:, 0].numpy()).max() < 0.02  # no colour at all to the encoder


def test_the_encoder_sees_what_clips_processor_gives():
    model, frame = tiny(), noise(32, 32)
    frames = torch.from_numpy(square(frame, 32, "pad").copy()).permute(2, 0, 1)[None, None]
    with torch.no_grad():
        hidden = model.ego_encoder(pixel_values=processed(frame, 32)[None]).last_hidden_state
        assert torch.allclose(patch_features(model.ego_encoder, frames)[0, 0], hidden[0, 1:], atol=1e-5)


def test_clips_become_squares_of_the_models_size():
    frames = squares([noise(20, 30)] * 3, TINY)
    assert (frames.shape, frames.dtype) == ((3, 32, 32, 3), np.uint8)
    cut = squares([noise(20, 30)] * 3, replace(TINY, fit="crop"))
    assert not np.array_equal(cut, frames)
    with pytest.raises(DataError, match="without frames"):
        squares([], MllmConfig.nano())


def test_frames_are_the_middles_of_equal_parts():
    assert frame_indices(300, 16) == [round((i + 0.5) * 299 / 16) for i in range(16)]
    assert frame_indices(1, 3) == [0, 0, 0]
    assert frame_indices(5, 2) == [1, 3]
    with pytest.raises(DataError, match="without frames"):
        frame_indices(0, 4)
