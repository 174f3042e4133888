"""Augmentation moves pictures and masks together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmeec.training.clips.augment import AugmentConfig, augment, crop
from lmeec.training.clips.clip import Clip

STILL = AugmentConfig(0, 0, 0, (1, 1), 0, 0, 0, 0, 0, 0, 0, 0)
SIZE = 64


@pytest.fixture
def clip():
    """A bright square in each view, marked by the masks; a second object that the target view does not show."""
    query_masks, target_masks = np.zeros((2, 2, 3, SIZE, SIZE), bool)
    query_masks[0, :, 20:40, 24:44] = True
    query_masks[1, :, 4:10, 4:10] = True
    target_masks[0, :, 16:30, 30:50] = True
    query, target = (
        np.where(m[0, ..., None], 250, 10).repeat(3, -1).astype(np.uint8) for m in (query_masks, target_masks)
    )
    return Clip(query, target, query_masks, target_masks, np.ones((2, 3), bool), 3)


def agreement(frames, masks):
    bright = frames[..., 0] > 185
    return (bright & masks).sum() / max((bright | masks).sum(), 1)


@pytest.mark.parametrize("seed", range(5))
def test_masks_stay_on_their_objects(clip, seed):
    strong = AugmentConfig(degrees=25, shear=20, scale=(0.8, 1.3), shift=0.1)
    changed = augment(clip, strong, np.random.default_rng(seed))
    assert not np.array_equal(changed.query, clip.query)
    assert agreement(changed.query, changed.query_masks[0]) > 0.85
    assert agreement(changed.target, changed.target_masks[0]) > 0.85
    # One change for all frames of a view.
    assert np.array_equal(changed.query_masks[:, 0], changed.query_masks[:, 2])
    assert np.array_equal(augment(clip, STILL, np.random.default_rng(seed)).query, clip.query)


def test_objects_that_leave_the_query_view_are_left_out(clip):
    far = replace(STILL, shift=0.45)
    counts = set()
    for seed in range(30):
        changed = augment(clip, far, np.random.default_rng(seed))
        assert changed.query_masks.any((2, 3)).all()
        assert len(changed.annotated) == len(changed.query_masks) == len(changed.target_masks)
        counts.add(len(changed.annotated))
    assert counts == {1, 2}


def test_crops_show_the_object_in_both_views(clip):
    first = replace(
        clip,
        query_masks=clip.query_masks[:1],
        target_masks=clip.target_masks[:1],
        annotated=clip.annotated[:1],
    )
    for seed in range(20):
        cut = crop(first, 32, (1.0, 1.5), 0.2, np.random.default_rng(seed))
        assert cut is not None
        assert cut.query.shape == (3, 32, 32, 3)
        assert cut.query_masks.any((2, 3)).all()
        assert cut.target_masks.any()


def test_crops_leave_out_objects_that_the_query_does_not_show(clip):
    cuts = [crop(clip, 32, (1.0, 1.5), 0.2, np.random.default_rng(seed)) for seed in range(20)]
    assert {len(cut.annotated) for cut in cuts} <= {1, 2}
    for cut in cuts:
        assert cut.query_masks.any((2, 3)).all()
        assert len(cut.annotated) == len(cut.query_masks) == len(cut.target_masks)
