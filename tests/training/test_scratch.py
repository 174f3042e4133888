"""The beginning from nothing, the losses that help it, and pictures of several sizes for the same parameters."""

from __future__ import annotations

from dataclasses import replace

import torch

from lmeec.model.build import build_model
from lmeec.training.clips.clip import collate
from lmeec.training.correspondence import cell_loss, object_loss
from lmeec.training.forward import run_clips
from lmeec.training.scratch import prepare_from_scratch
from tests.support.moving import MovingClips
from tests.support.tiny import TINY


def test_memory_attention_compares_appearance_from_the_start():
    torch.manual_seed(0)
    model = build_model(TINY, seed=1)
    prepare_from_scratch(model)
    c, grid = TINY.hidden_dim, TINY.grid
    features = torch.randn(1, c, grid, grid)
    nothing = torch.zeros(1, TINY.image_size, TINY.image_size, dtype=torch.bool)
    attention = model.memory_attention.layers[0].cross_attn_image
    keys = attention.k_proj(model.view_memory(features, nothing))[0]
    tokens = model.memory_attention.layers[0].norm2(features.flatten(2).transpose(1, 2))[0]
    scores = attention.q_proj(tokens) @ keys.T
    own = scores.diagonal()
    others = (scores.sum(1) - own) / (len(scores) - 1)
    assert (own > others).all()
    # Where the object is does not change what is compared, but it is passed on.
    somewhere = nothing.clone()
    somewhere[:, : TINY.image_size // 2] = True
    marked = model.view_memory(features, somewhere)
    assert torch.allclose(attention.k_proj(marked)[0], keys, atol=1e-4)
    assert not torch.allclose(
        attention.v_proj(marked), attention.v_proj(model.view_memory(features, nothing)), atol=1e-3
    )


def test_correspondence_losses_fall_when_features_name_the_objects():
    batch = collate(MovingClips(3).batch(0))
    grid = TINY.grid

    def named(masks):
        shares = torch.nn.functional.interpolate(masks.float(), (grid, grid), mode="area")
        colours = torch.eye(len(masks))[:, None, :, None, None] * shares[:, :, None]
        clips = [colours[batch.clip == clip].sum(0) for clip in range(len(batch.query))]
        return torch.stack(clips) + 0.01

    right = named(batch.query_masks), named(batch.target_masks)
    torch.manual_seed(0)
    wrong = torch.randn(2, *right[0].shape)
    for loss in (object_loss, cell_loss):
        assert loss(*right, batch) < 0.7 * loss(*wrong, batch)


def test_sizes_share_parameters():
    model = build_model(TINY, seed=1).train()
    smaller = model.at_size(TINY.image_size - 32)
    assert smaller.config == replace(TINY, image_size=TINY.image_size - 32)
    assert smaller is model.at_size(smaller.config.image_size)
    assert {id(p) for p in model.parameters()} == {id(p) for p in smaller.parameters()}
    assert model.state_dict().keys() == smaller.state_dict().keys()
    assert all(torch.equal(value, smaller.state_dict()[name]) for name, value in model.state_dict().items())
    assert model.eval().at_size(smaller.config.image_size).training is False
    batch = collate(MovingClips(2, size=smaller.config.image_size).batch(0))
    outputs = run_clips(model, batch)
    assert outputs.steps[0].mask_logits.shape[-1] == smaller.config.logits_size
