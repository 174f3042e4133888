"""What is trained is what predicts: the pass over clips equals the tracker's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import lmeec
from lmeec.errors import ConfigError
from lmeec.model.build import build_model
from lmeec.training.clips.augment import AugmentConfig, augment
from lmeec.training.clips.clip import collate
from lmeec.training.forward import run_clips
from tests.support.moving import moving_clip
from tests.support.tiny import TINY


@pytest.mark.parametrize("score_bias", [0.0, -50.0], ids=["as it is", "absent"])
def test_the_pass_over_clips_equals_the_tracker(score_bias):
    model = build_model(TINY, seed=1)
    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += score_bias
    clips = [replace(moving_clip(seed, frames=7, absent=False), track_length=7) for seed in (1, 2)]
    batch = collate(clips)
    with torch.inference_mode():
        steps = [model.gate(step) for step in run_clips(model, batch).steps]
    row = 0
    for clip in clips:
        for masks in clip.query_masks:
            track = lmeec.track(model, clip.query, clip.target, masks)
            for k, step in enumerate(steps):
                assert_close(step.mask_logits[row], track.mask_logits[k], rtol=0, atol=1e-4)
                assert_close(step.object_score[row], track.object_score[k], rtol=0, atol=1e-4)
                assert_close(step.object_pointer[row], track.object_pointer[k], rtol=0, atol=1e-4)
            row += 1


@pytest.mark.parametrize(("dropout", "passes"), [(0.0, 4), (0.1, 7)])
def test_each_pass_of_memory_attention_draws_its_own_dropout(dropout, passes, monkeypatch):
    """As in SAM 2, where both are whole; without dropout they share what does not depend on the memory."""
    attention = replace(TINY.memory_attention, dropout=dropout)
    model = build_model(replace(TINY, memory_attention=attention), seed=1).train()
    drawn, prepare = [], model.memory_attention.prepare

    def watched(*arguments):
        drawn.append(prepare(*arguments))
        return drawn[-1]

    monkeypatch.setattr(model.memory_attention, "prepare", watched)
    run_clips(model, collate([moving_clip(1, frames=4)]))
    assert len(drawn) == passes


def test_clips_longer_than_the_memory_are_refused():
    batch = collate([moving_clip(1, frames=9)])
    with pytest.raises(ConfigError, match="at most 8 frames"):
        run_clips(build_model(TINY, seed=1), batch)


def test_augmentation_keeps_masks_on_their_pictures():
    """Objects are the only colourful pixels: after any change of geometry they are where the masks say."""
    clip = replace(moving_clip(3, frames=4, objects=1, absent=False))
    strong = AugmentConfig(brightness=0, contrast=0, saturation=0, flicker=0, grayscale=0)
    moved = 0
    for seed in range(6):
        changed = augment(clip, strong, np.random.default_rng(seed))
        for pictures, masks in ((changed.query, changed.query_masks), (changed.target, changed.target_masks)):
            spread = pictures.max(-1).astype(int) - pictures.min(-1)
            colourful = spread > 70
            agreement = (colourful & masks[0]).sum((1, 2)) / (colourful | masks[0]).sum((1, 2)).clip(1)
            shown = masks[0].sum((1, 2)) > 50
            assert (agreement[shown] > 0.75).all(), (seed, agreement)
        moved += not np.array_equal(changed.query_masks, clip.query_masks)
    assert moved >= 4


def test_attention_in_training_is_that_of_inference():
    """On a CPU it mixes memories before it projects them."""
    model = build_model(replace(TINY, memory_attention=replace(TINY.memory_attention, dropout=0.0)), seed=1)
    batch = collate([moving_clip(1, frames=4)])
    expected = run_clips(model.eval(), batch).steps
    for step, same in zip(run_clips(model.train(), batch).steps, expected, strict=True):
        assert_close(step.mask_logits, same.mask_logits, rtol=0, atol=1e-4)
