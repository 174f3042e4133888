"""The model that is arranged for a CPU computes what the plain one does."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import lmeec
from lmeec.config import ModelConfig, TrunkConfig
from lmeec.errors import ConfigError
from lmeec.model.build import build_model, read_model
from lmeec.model.checkpoint import weights_digest
from lmeec.model.cpu import optimise_for_cpu
from lmeec.model.cpu.attention import blockwise_attention
from tests.support.reference import SMALL, small_model


@pytest.fixture(scope="module")
def optimised():
    return optimise_for_cpu(small_model())


@pytest.mark.parametrize("group", ["drop", "mean", "fifo", "kmeans"])
def test_optimised_model_equals_the_released_one(group, optimised, reference):
    policy = {"mean": "merge"}.get(group, group)
    track = lmeec.track(
        optimised, reference["query"], reference["target"], reference["masks"], lmeec.MemoryConfig(policy=policy)
    )
    np.testing.assert_allclose(track.mask_logits, reference[f"{group}/logits"], atol=1e-3, rtol=0)
    np.testing.assert_allclose(track.object_score, reference[f"{group}/object_score"], atol=1e-3, rtol=0)
    np.testing.assert_allclose(track.object_pointer, reference[f"{group}/obj_ptr"], atol=1e-3, rtol=0)


def test_state_dict_stays_the_same(optimised):
    assert weights_digest(optimised.state_dict()) == weights_digest(small_model().state_dict())


@pytest.mark.parametrize(
    ("image_size", "window_spec"),
    [
        (480, (8, 4, 14, 7)),  # the released trunk: windows reach over the edge in stages three and four
        (160, (8, 4, 14, 7)),  # a grid smaller than a window
        (128, (8, 4, 8, 4)),  # windows that fit
        (224, (8, 4, 6, 3)),  # a block that pools has a window at the edge
    ],
)
def test_windows_at_the_edge(image_size, window_spec):
    trunk = TrunkConfig(
        embed_dim=16, num_heads=1, stages=(1, 1, 2, 1), global_att_blocks=(3,), window_spec=window_spec,
        window_pos_embed_bkg_spatial_size=(7, 7),
    )  # fmt: skip
    plain = build_model(replace(SMALL, image_size=image_size, trunk=trunk), seed=3)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    arranged = optimise_for_cpu(copy.deepcopy(plain))
    images = torch.randn(2, 3, image_size, image_size)
    with torch.inference_mode():
        expected, found = plain.encode(images), arranged.encode(images)
    for name in ("coarse", "middle", "fine"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("keys", [1, 767, 768, 2000])
@pytest.mark.parametrize("sharpness", [0.1, 30.0])
def test_blockwise_attention_is_attention(keys, sharpness):
    generator = torch.Generator().manual_seed(keys)
    query = sharpness * torch.randn(33, 16, generator=generator)
    key, memory = torch.randn(keys, 16, generator=generator), torch.randn(keys, 5, generator=generator)
    exact = F.scaled_dot_product_attention(*(x.double()[None] for x in (query, key, memory)))[0]
    torch.testing.assert_close(blockwise_attention(query, key, memory).double(), exact, atol=1e-5, rtol=1e-5)


def test_loaded_models_are_arranged_for_the_cpu():
    model = lmeec.load_model("nano", device="cpu")
    assert type(model.memory_attention).__name__ == "CpuMemoryAttention"
    assert model.config == ModelConfig.nano()


def test_loaded_models_refuse_to_be_trained():
    """Packed products have no gradient: a training would go on with those of the few layers that are left."""
    model = lmeec.load_model("nano", device="cpu")
    for train in (model.train, model.requires_grad_):
        with pytest.raises(ConfigError, match="read_model reads the same weights to be trained"):
            train()
    assert not model.eval().training
    assert not any(parameter.requires_grad for parameter in model.requires_grad_(False).parameters())
    images = torch.randn(1, 3, model.config.image_size, model.config.image_size)
    with pytest.raises(RuntimeError, match="does not require grad"):
        model.encode(images).coarse.sum().backward()
    plain, _ = read_model("nano")
    plain.train().encode(images).coarse.sum().backward()
    assert plain.image_encoder.trunk.blocks[0].attn.qkv.weight.grad.abs().sum() > 0


def test_bfloat16_stays_close(reference):
    model = small_model()
    model.compute_dtype = torch.bfloat16
    track = lmeec.track(optimise_for_cpu(model), reference["query"], reference["target"], reference["masks"])
    agreement = ((track.mask_logits > 0) == torch.from_numpy(reference["drop/logits"] > 0)).float().mean()
    assert agreement > 0.97
