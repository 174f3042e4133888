"""Learning rates by depth and step, and weight decay."""

from __future__ import annotations

import pytest

from lmeec.errors import ConfigError
from lmeec.model.build import build_model
from lmeec.training.clips.config import ClipConfig
from lmeec.training.config import OptimiserConfig, ScratchConfig, TrainConfig
from lmeec.training.optimiser import base_rate, make_optimiser, schedule, weight_decay
from tests.support.tiny import TINY

CONFIG = OptimiserConfig(lr=2.0, encoder_lr=1.0, layer_decay=0.5)


@pytest.fixture(scope="module")
def tiny_model():
    return build_model(TINY, seed=1)


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        # Five blocks. SAM 2 gives block i a factor of decay^(5 - i), the patch embedding decay^6.
        ("image_encoder.trunk.blocks.4.attn.qkv.weight", 1 / 2),
        ("image_encoder.trunk.blocks.3.norm1.bias", 1 / 4),
        ("image_encoder.trunk.blocks.0.mlp.layers.0.weight", 1 / 32),
        ("image_encoder.trunk.patch_embed.proj.weight", 1 / 64),
        ("image_encoder.trunk.pos_embed", 1.0),
        ("image_encoder.trunk.pos_embed_window", 1.0),
        ("image_encoder.neck.convs.0.conv.weight", 1.0),
        ("memory_attention.layers.0.linear1.weight", 2.0),
        ("MV_MoE.mlp1.0.weight", 2.0),
    ],
)
def test_rates_by_depth(tiny_model, name, rate):
    assert name in dict(tiny_model.named_parameters())
    assert base_rate(tiny_model, name, CONFIG) == rate


@pytest.mark.parametrize(
    ("name", "decay"),
    [
        ("MV_MoE.mlp1.0.weight", 0.1),
        ("MV_MoE.mlp1.0.bias", 0.0),
        ("memory_attention.layers.0.norm1.weight", 0.0),
        ("image_encoder.trunk.blocks.0.norm1.weight", 0.0),
        # Two-dimensional norms, layer scales and embeddings decay.
        ("memory_encoder.fuser.layers.0.norm.weight", 0.1),
        ("memory_encoder.fuser.layers.0.gamma", 0.1),
        ("image_encoder.trunk.pos_embed", 0.1),
        ("no_obj_ptr", 0.1),
    ],
)
def test_biases_and_layer_norms_have_no_weight_decay(tiny_model, name, decay):
    assert name in dict(tiny_model.named_parameters())
    assert weight_decay(tiny_model, name, CONFIG) == decay


def test_every_parameter_is_in_one_group(tiny_model):
    optimiser = make_optimiser(tiny_model, CONFIG)
    counted = [id(parameter) for group in optimiser.param_groups for parameter in group["params"]]
    assert sorted(counted) == sorted(map(id, tiny_model.parameters()))
    assert {group["lr"] for group in optimiser.param_groups} == {2.0, 1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64}


def test_schedule_warms_up_and_falls_to_a_tenth():
    config = OptimiserConfig(warmup=4)
    # The last of 104 steps is a step before the end.
    shares = [schedule(step, 104, config) for step in range(105)]
    assert shares[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert shares[4] == 1
    assert shares[54] == pytest.approx(0.55)
    assert shares[104] == pytest.approx(0.1)
    assert shares[4:] == sorted(shares[4:], reverse=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OptimiserConfig(lr=0), r"`optimiser\.lr` is 0, but must be positive"),
        (lambda: OptimiserConfig(layer_decay=1.5), r"`optimiser\.layer_decay` is 1\.5"),
        (lambda: ClipConfig(frames=1), r"`clips\.frames` is 1"),
        (lambda: ClipConfig(directions=("sideways",)), "sideways"),
        (lambda: TrainConfig(batch=0), "`batch` is 0"),
        (lambda: TrainConfig(preset="released"), r"`clips\.train_absent` is True"),
        (lambda: TrainConfig(model="huge"), "`model` is 'huge'"),
        (lambda: TrainConfig(scratch=ScratchConfig(annotated_memory=2)), r"`scratch\.annotated_memory` is 2"),
    ],
)
def test_settings_that_cannot_be_are_named(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
