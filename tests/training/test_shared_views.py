"""Clips that show the same views are computed once, with the gradients of clips that are computed apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from torch.testing import assert_close

from lmeec.model.build import build_model
from lmeec.training.clips.clip import Clip, collate
from lmeec.training.config import TrainConfig
from lmeec.training.group import Group
from lmeec.training.losses import LossWeights
from lmeec.training.step import accumulate_gradients
from lmeec.training.task import Pass
from tests.support.moving import moving_clip
from tests.support.tiny import TINY

if TYPE_CHECKING:
    import torch

STEADY = replace(TINY, memory_attention=replace(TINY.memory_attention, dropout=0.0))
WEIGHTS = LossWeights(focal=6, dice=4, iou=1, object_score=2, balanced=0.3, correspondence=1)


def directed_pairs(frames: int) -> list[Clip]:
    """An ego view and two exo views of the same objects: four clips of three arrays of frames."""
    ego = moving_clip(1, frames=frames, absent=False)
    exo = moving_clip(2, frames=frames, absent=False)
    views = [(ego.query, ego.query_masks), (exo.query, exo.query_masks), (exo.target, exo.target_masks)]
    return [
        Clip(*(views[side][0] for side in pair), *(views[side][1] for side in pair), ego.annotated, frames + 2)
        for pair in ((0, 1), (0, 2), (1, 0), (2, 0))
    ]


def apart(clip: Clip) -> Clip:
    arrays = {name: getattr(clip, name).copy() for name in ("query", "target", "query_masks", "target_masks")}
    return replace(clip, **arrays)


def gradients(clips: list[Clip], recompute: bool) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    model = build_model(STEADY, seed=1).train()
    config = TrainConfig(losses=WEIGHTS, micro_batch=len(clips), recompute=recompute, drop_path=0)
    losses = accumulate_gradients(model, clips, config, Pass(0, Group(), lambda: False))
    return losses, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
def test_shared_views_have_the_gradients_of_views_apart(frames, recompute):
    named = [replace(clip, identity=np.arange(len(clip.annotated))) for clip in directed_pairs(frames)]
    assert len(collate(named).views) == 3
    assert len(collate(named).shown) == 3 * len(named[0].annotated)
    alone = [apart(clip) for clip in named]
    assert len(collate(alone).views) == 8
    assert len(collate(alone).shown) == 4 * len(named[0].annotated)
    (losses, shared), (losses_apart, separate) = gradients(named, recompute), gradients(alone, recompute)
    assert losses == pytest.approx(losses_apart, rel=1e-5)
    assert shared.keys() == separate.keys()
    for name, gradient in shared.items():
        assert_close(gradient, separate[name], rtol=1e-4, atol=1e-5 * float(separate[name].abs().max()) + 1e-7)


def test_an_object_in_two_pairs_is_not_told_from_itself():
    """Its features in two pairs are equal: as two objects, they would never be told apart."""
    pairs = directed_pairs(1)[:2]
    weights = replace(WEIGHTS, focal=0, dice=0, iou=0, object_score=0, balanced=0)
    model = build_model(STEADY, seed=1).train()
    config = TrainConfig(losses=weights, micro_batch=2)
    named = [replace(clip, identity=np.arange(len(clip.annotated))) for clip in pairs]
    losses = [accumulate_gradients(model, clips, config, Pass(0, Group(), lambda: False)) for clips in (pairs, named)]
    assert losses[1]["correspondence"] < losses[0]["correspondence"]
