"""Gradients of a step: of every parameter, however the batch is divided; and one batch can be learned by heart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from lmeec.config import MemoryAttentionConfig
from lmeec.errors import TrainingError
from lmeec.model.build import build_model
from lmeec.training.config import OptimiserConfig, ScratchConfig, TrainConfig
from lmeec.training.group import Group
from lmeec.training.losses import LossWeights
from lmeec.training.output.progress import Silent, StepDone
from lmeec.training.step import accumulate_gradients
from lmeec.training.task import Pass
from lmeec.training.trainer import Trainer
from tests.support.moving import MovingClips, OneBatch, moving_clip
from tests.support.tiny import TINY

STEADY = replace(TINY, memory_attention=MemoryAttentionConfig(num_layers=1, dim_feedforward=32, dropout=0))
CONFIG = TrainConfig(micro_batch=3, recompute=False, scratch=ScratchConfig(annotated_memory=0.5))


def pass_of(**changes):
    return Pass(**{"step": 0, "group": Group(), "interrupted": lambda: False} | changes)


def gradients(config, run=None, clips=None):
    model = build_model(STEADY, seed=1).train()
    measured = accumulate_gradients(model, clips or MovingClips(3).batch(0), config, run or pass_of())
    return measured, {name: p.grad for name, p in model.named_parameters()}


# What SAM 2's modules hold for points, boxes, masks and three further masks a prompt, and for memory before the first
# frame: LM-EEC's steps use none of it.
UNUSED = (
    "mask_downsample.",
    "no_mem_embed",
    "no_mem_pos_enc",
    "sam_prompt_encoder.point_embeddings.",
    "sam_prompt_encoder.mask_downscaling.",
    "sam_prompt_encoder.no_mask_embed.",
    "sam_mask_decoder.output_hypernetworks_mlps.1.",
    "sam_mask_decoder.output_hypernetworks_mlps.2.",
    "sam_mask_decoder.output_hypernetworks_mlps.3.",
)


def test_every_parameter_that_a_step_uses_gets_a_gradient():
    # The embeddings of absence are used where an object is, or is said to be, absent.
    _, found = gradients(replace(CONFIG, scratch=ScratchConfig(annotated_memory=1)))
    without = {name for name, gradient in found.items() if gradient is None or not gradient.abs().sum()}
    assert without == {name for name in found if name.startswith(UNUSED)}


def test_dividing_a_batch_does_not_change_its_gradients():
    whole, together = gradients(CONFIG)
    parts, apart = gradients(replace(CONFIG, micro_batch=1))
    assert parts == pytest.approx(whole, rel=1e-5)
    for name, gradient in together.items():
        if gradient is not None:
            assert_close(apart[name], gradient, rtol=1e-3, atol=1e-6)


def test_recomputing_does_not_change_gradients():
    measured, kept = gradients(CONFIG)
    again, computed = gradients(replace(CONFIG, recompute=True))
    assert again == pytest.approx(measured, rel=1e-6)
    for name, gradient in kept.items():
        if gradient is not None:
            assert_close(computed[name], gradient, rtol=1e-4, atol=1e-7)


def test_bfloat16_comes_close():
    whole, _ = gradients(CONFIG)
    model = build_model(STEADY, seed=1).train()
    model.compute_dtype = torch.bfloat16
    clips = MovingClips(3).batch(0)
    rounded = accumulate_gradients(model, clips, replace(CONFIG, recompute=True), pass_of())
    assert rounded["loss"] == pytest.approx(whole["loss"], rel=0.05)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_step_that_is_given_up_says_so():
    assert gradients(CONFIG, pass_of(interrupted=lambda: True))[0] is None


def test_out_of_memory_says_what_to_lower(monkeypatch):
    def fail(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("lmeec.training.step.run_clips", fail)
    with pytest.raises(TrainingError, match=r"micro_batch=1.*recompute=True.*clips\.objects.*clips\.frames"):
        gradients(CONFIG)


def test_one_batch_is_learned_by_heart():
    config = TrainConfig(
        micro_batch=2,
        recompute=False,
        losses=LossWeights(balanced=2),
        optimiser=OptimiserConfig(lr=3e-3, encoder_lr=3e-3, layer_decay=1, weight_decay=0, clip_norm=1, warmup=5),
    )
    reached = []

    class Watches(Silent):
        def event(self, event):
            if isinstance(event, StepDone):
                reached.append(event.values["mask_iou"])

    trainer = Trainer(build_model(STEADY, seed=2), config, steps=150)
    clips = [moving_clip(1, frames=2, objects=1, absent=False), moving_clip(2, frames=2, objects=1, absent=False)]
    trainer.run(OneBatch(clips), Watches(), stopping=lambda: bool(reached) and reached[-1] > 0.9)
    assert reached[-1] > 0.9, reached[::10]


def test_frames_skip_branches_of_the_encoder_by_chance_in_training_only():
    """More often the later the block, never in the first."""
    model = build_model(TINY, seed=1)
    pictures = torch.randn(64, 3, TINY.image_size, TINY.image_size)
    with torch.inference_mode():
        plain = model.encode(pictures).coarse
        model.set_drop_path(0.5)
        assert_close(model.eval().encode(pictures).coarse, plain)
        torch.manual_seed(0)
        skipped = (model.train().encode(pictures).coarse != plain).flatten(1).any(1).float().mean()
    assert 0.9 < skipped <= 1
    chances = [getattr(block.drop_path, "drop_prob", 0.0) for block in model.image_encoder.trunk.blocks]
    assert chances == [0, 0.125, 0.25, 0.375, 0.5]
    smaller = model.at_size(TINY.image_size - 32)
    assert smaller.image_encoder.trunk.blocks[-1].drop_path.drop_prob == 0.5
    assert model.state_dict().keys() == build_model(TINY, seed=1).state_dict().keys()


def test_a_trainer_sets_drop_path_and_steps_repeat_with_it():
    weights = []
    for _ in range(2):
        config = TrainConfig(micro_batch=3, drop_path=0.5)
        trainer = Trainer(build_model(STEADY, seed=1), config, steps=1)
        assert trainer.model.image_encoder.trunk.blocks[-1].drop_path.drop_prob == 0.5
        trainer.run(MovingClips(3), Silent())
        weights.append(trainer.model.image_encoder.trunk.blocks[-1].attn.qkv.weight.detach().clone())
    assert torch.equal(*weights)
