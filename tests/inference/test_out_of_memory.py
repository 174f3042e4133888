"""A GPU whose memory runs out anywhere within a step: the step is done once, with smaller batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lmeec.config import MemoryConfig
from lmeec.inference.plan import PlannedTrack
from lmeec.inference.tracker import Tracker
from lmeec.model.build import build_model
from tests.support.scarce import Scarce
from tests.support.tiny import TINY

POLICIES = ("drop", "merge", "fifo", "kmeans", "iou")
STEPS = 10
STAGES = ("encode", "prepare", "view_memory", "attend_view", "attend_memory", "MV_MoE", "decode", "target_memory")


@pytest.fixture(scope="module")
def tiny_model():
    return build_model(TINY, seed=1)


def tracker_of(model, policy, batch):
    """Four tracks of two streams, one in each direction, so that all that is batched can be halved."""
    specs = [PlannedTrack(i % 2, "qt"[i % 2], "tq"[i % 2], range(STEPS - 2 * (i == 3))) for i in range(4)]
    return Tracker(model, specs, MemoryConfig(policy=policy, iou_threshold=0.5), batch)


def advance(tracker, k):
    """Logits of every track at a step."""
    generator = torch.Generator().manual_seed(k)
    # Ever brighter, so that rounding does not decide between the steps of a cluster.
    size = (64, 64, 3)
    frames = {c: torch.randint(25 * (k + 1), size, generator=generator, dtype=torch.uint8) for c in "qt"}
    masks = {stream: torch.rand(64, 64, generator=generator) > 0.5 for stream in (0, 1)}
    active = [i for i, spec in enumerate(tracker.tracks) if k < len(spec.frames)]
    logits = {}
    for batch, decoded in tracker.step(active, frames, masks):
        assert not logits.keys() & set(batch), "a track is done once"
        logits |= zip(batch, torch.cat([decoded.mask_logits.flatten(1), decoded.object_pointer], 1), strict=True)
    assert sorted(logits) == active
    return logits


def run(model, policy, failing=None, at=8):
    """Outputs of all steps with memory running out at an allocation of one of them; how many that step makes."""
    tracker = tracker_of(model, policy, 4)
    outputs = []
    for k in range(STEPS):
        if k != at:
            outputs.append(advance(tracker, k))
            continue
        with Scarce(failing) as scarce:
            outputs.append(advance(tracker, k))
    return outputs, scarce.allocations


def assert_same(outputs, expected):
    for step, wanted in zip(outputs, expected, strict=True):
        for track, values in wanted.items():
            np.testing.assert_allclose(step[track], values, atol=1e-4, rtol=0)


@pytest.mark.parametrize("policy", POLICIES)
def test_memory_that_runs_out_at_any_allocation_of_a_step_changes_nothing(policy, tiny_model):
    expected, allocations = run(tiny_model, policy)
    assert allocations > 300
    survived = 0
    # Every 37th, and the last ones, among which are those of the banks.
    for failing in sorted({*range(0, allocations, 37), *range(allocations - 12, allocations)}):
        try:
            outputs, _ = run(tiny_model, policy, failing)
        except torch.OutOfMemoryError:
            continue  # one item at a time already: no batch is smaller
        survived += 1
        assert_same(outputs, expected)
    assert survived > 8


@pytest.mark.parametrize("stage", STAGES)
def test_memory_that_runs_out_in_a_part_of_the_network_changes_nothing(stage, tiny_model, monkeypatch):
    expected, _ = run(tiny_model, "drop")
    original = tiny_model.MV_MoE.forward if stage == "MV_MoE" else getattr(tiny_model, stage)
    owner, name = (tiny_model.MV_MoE, "forward") if stage == "MV_MoE" else (tiny_model, stage)
    tried = []

    def once(*arguments):
        result = original(*arguments)
        tried.append(stage)
        if len(tried) == 4:
            raise torch.OutOfMemoryError("no room")
        return result

    monkeypatch.setattr(owner, name, once)
    outputs, _ = run(tiny_model, "drop")
    assert len(tried) > STEPS, "the batch was halved"
    assert_same(outputs, expected)
