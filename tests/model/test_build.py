"""Configurations and the models that they make."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

import lmeec
from lmeec.config import MaskDecoderConfig, MemoryConfig, ModelConfig, TrunkConfig
from lmeec.errors import CheckpointError, ConfigError
from lmeec.model.checkpoint import expected_shapes
from tests.support.tiny import TINY


def test_base_plus_has_the_released_models_tensors():
    shapes = expected_shapes(ModelConfig.base_plus())
    assert len(shapes) == 627
    assert round(sum(shape.numel() for shape in shapes.values()) / 1e6, 1) == 83.6
    assert {"MV_MoE.mlp1.0.weight", "MV_MoE.conv2.2.weight", "maskmem_tpos_enc"} <= set(shapes)
    assert shapes["maskmem_tpos_enc"] == (7, 1, 1, 64)


def test_nano_is_small():
    model = lmeec.load_model("nano", device="cpu")
    assert sum(parameter.numel() for parameter in model.parameters()) <= 3_000_000
    assert not model.training


def test_a_seed_makes_weights_repeatable_and_leaves_the_global_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first, second, other = (lmeec.build_model(TINY, seed=seed).state_dict() for seed in (5, 5, 6))
    assert torch.rand(1) == expected
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("config", [ModelConfig.base_plus(), ModelConfig.nano(), TINY])
def test_configuration_survives_json(config):
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: dataclasses.replace(TINY, image_size=100), ["image_size", "100"]),
        (lambda: dataclasses.replace(TINY, num_maskmem=1), ["num_maskmem", "1"]),
        (lambda: dataclasses.replace(TINY, mask_decoder=MaskDecoderConfig(num_heads=5)), ["hidden_dim", "32", "5"]),
        (lambda: TrunkConfig(stages=(1, 2, 3)), ["stages", "(1, 2, 3)"]),
        (lambda: TrunkConfig(embed_dim=30, num_heads=4), ["num_heads", "4"]),
        (lambda: ModelConfig.from_dict({"imagesize": 480}), ["imagesize"]),
        (lambda: MemoryConfig(policy="lru"), ["policy", "lru", "drop"]),
        (lambda: MemoryConfig(size=0), ["size", "0"]),
        (lambda: MemoryConfig(size=7).entries(ModelConfig.base_plus()), ["size", "7", "at most 6"]),
        (lambda: lmeec.ExecutionConfig(batch_tracks=0), ["batch_tracks", "0"]),
        (lambda: lmeec.PredictConfig(directions=("up",)), ["direction", "up"]),
    ],
)
def test_a_bad_value_is_named(make, words):
    with pytest.raises(ConfigError) as error:
        make()
    assert all(word in str(error.value) for word in words)


def test_an_unknown_model_name_lists_the_known_ones():
    with pytest.raises(CheckpointError, match=r"huge.*nano"):
        lmeec.load_model("huge")


def test_a_block_that_pools_cannot_attend_globally():
    with pytest.raises(ConfigError, match=r"`trunk\.global_att_blocks` is \(2,\).*\[1, 2, 4\]"):
        TrunkConfig(stages=(1, 1, 2, 1), global_att_blocks=(2,))
