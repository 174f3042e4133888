"""Embeddings of pixels: they begin as nothing, and the loss on them draws together what is one thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch.testing import assert_close

import lmeec
from lmeec.model.build import build_model
from lmeec.model.pixels import Pixels
from lmeec.training.clips.clip import Clip, collate
from lmeec.training.dense import dense_loss
from lmeec.training.forward import run_clips
from tests.support.moving import moving_clip
from tests.support.tiny import TINY

FINE = replace(TINY, mask_decoder=replace(TINY.mask_decoder, pixel_channels=8))


def fine_model():
    """The tiny model's weights, with embeddings of pixels besides."""
    model = build_model(FINE, seed=2)
    model.load_state_dict({**model.state_dict(), **build_model(TINY, seed=1).state_dict()})
    return model


def awake(model):
    """With embeddings that change what is predicted."""
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in (model.pixel_decoder.prompt, model.pixel_decoder.weights.layers[-1]):
            layer.weight.normal_(std=0.3)
    return model


def clip_of_things(seed: int) -> Clip:
    clip = replace(moving_clip(seed, frames=2, absent=False), identity=np.array([1, 2]), scenes=(seed, seed))
    things = [
        32 + np.max(masks * np.array([1, 2])[:, None, None, None], axis=0)
        for masks in (clip.query_masks, clip.target_masks)
    ]
    return replace(clip, things=(things[0].astype(np.uint8), things[1].astype(np.uint8)))


def test_it_begins_as_the_model_without():
    clip = moving_clip(1, frames=4, absent=False)
    coarse = lmeec.track(build_model(TINY, seed=1), clip.query, clip.target, clip.query_masks[0])
    fine = lmeec.track(fine_model(), clip.query, clip.target, clip.query_masks[0])
    assert fine.mask_logits.shape[-1] == 2 * coarse.mask_logits.shape[-1] == TINY.image_size // 2
    doubled = torch.nn.functional.interpolate(coarse.mask_logits[:1, None], scale_factor=2, mode="bilinear")[:, 0]
    assert_close(fine.mask_logits[:1], doubled, rtol=0, atol=1e-4)
    assert_close(fine.object_score[0], coarse.object_score[0], rtol=0, atol=1e-4)


def test_training_and_tracking_refine_alike():
    model = awake(fine_model())
    clips = [replace(moving_clip(seed, frames=4, absent=False), track_length=4) for seed in (1, 2)]
    with torch.inference_mode():
        steps = [model.gate(step) for step in run_clips(model, collate(clips)).steps]
    plain = lmeec.track(fine_model(), clips[1].query, clips[1].target, clips[1].query_masks[0])
    track = lmeec.track(model, clips[1].query, clips[1].target, clips[1].query_masks[0])
    row = len(clips[0].annotated)
    for k, step in enumerate(steps):
        assert_close(step.mask_logits[row], track.mask_logits[k], rtol=0, atol=1e-3)
    assert (track.mask_logits - plain.mask_logits).abs().max() > 0.01


def test_rows_of_pixels_read_their_own_view():
    torch.manual_seed(0)
    embeddings = torch.randn(3, 4, 6, 6)
    pixels = Pixels(embeddings).rows(torch.tensor([2, 0, 2, 1]))
    vectors, masks = torch.randn(4, 4), torch.rand(4, 12, 12) > 0.5
    expected = torch.einsum("bp,bphw->bhw", vectors, embeddings[[2, 0, 2, 1]])
    assert_close(pixels.dot(vectors), expected)
    shares = torch.nn.functional.avg_pool2d(masks[:, None].float(), 2)
    means = torch.nn.functional.normalize((embeddings[[2, 0, 2, 1]] * shares).sum((2, 3)), dim=1)
    assert_close(pixels.mean(masks), means)
    assert not Pixels(embeddings).mean(torch.zeros(3, 12, 12, dtype=torch.bool)).any()


def test_the_dense_loss_falls_when_pixels_name_their_thing():
    batch = collate([clip_of_things(1), clip_of_things(2)])
    outputs = run_clips(fine_model(), batch)
    names = batch.things[:, :, ::2, ::2].long() - 32 + 3 * (batch.scenes[:, None, None, None] - 1)
    named = torch.eye(8)[names].permute(0, 1, 4, 2, 3)

    def loss(embeddings):
        views = [replace(one, pixels=Pixels(embeddings[:, k])) for k, one in enumerate(outputs.views)]
        torch.manual_seed(0)
        return float(dense_loss(replace(outputs, views=views), batch))

    noise = torch.nn.functional.normalize(torch.randn_like(named), dim=2)
    assert loss(named) < 0.8 * loss(noise)
    assert float(dense_loss(outputs, replace(batch, things=None))) == 0
