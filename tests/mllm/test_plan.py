"""`lmeec mllm plan` counts what a training really has, and the paper's steps."""

import json
from dataclasses import replace

import pytest
import torch

from lmeec.errors import ConfigError
from lmeec.mllm.config import MllmConfig
from lmeec.mllm.plan import plan_stage
from lmeec.mllm.settings import STAGES, MllmTrainConfig
from lmeec.mllm.stages import parts_of_stage, prepare_stage
from lmeec.mllm.task import cast_for
from tests.support.command import lmeec
from tests.support.mllm import TINY, tiny

TRAINING = replace(MllmTrainConfig(), dtype="bfloat16")


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_counted_is_what_a_stage_has_in_memory(stage):
    plan = plan_stage(TINY, TRAINING, stage, gpus=1, clips=1000, shard=False)
    model = tiny(parts=parts_of_stage(stage, TINY))
    prepare_stage(model, stage, TRAINING)
    cast_for(model, torch.bfloat16)
    trained = [one for one in model.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(trained)
    for one in trained:
        one.grad = torch.zeros_like(one)
    optimiser.step()
    moments = [value for state in optimiser.state.values() for value in state.values() if value.dim()]
    assert plan.parameters == sum(one.numel() for one in model.parameters())
    assert plan.trained == sum(one.numel() for one in trained)
    assert plan.weights == sum(one.nbytes for one in model.parameters())
    assert plan.gradients == sum(one.grad.nbytes for one in trained)
    assert plan.optimiser == sum(value.nbytes for value in moments)
    assert plan.gathered == 0


def test_dividing_a_model_divides_its_state_and_gathers_a_part_of_it():
    whole = plan_stage(TINY, TRAINING, 2, gpus=4, clips=1000, shard=False)
    divided = plan_stage(TINY, TRAINING, 2, gpus=4, clips=1000, shard=True)
    for name in ("weights", "gradients", "optimiser"):
        assert getattr(divided, name) == pytest.approx(getattr(whole, name) / 4, abs=1)
    assert 0 < divided.gathered < whole.weights
    assert divided.steps == whole.steps
    assert divided.passes == 64  # 256 clips, one at a time


def test_the_papers_model_and_steps_are_counted_without_weights():
    """Adapters of 335.5 M, about 8,600 steps in stages 1 and 2, about 9,400 in stage 3."""
    done = lmeec("mllm", "plan", "--gpus", 16, "--json")
    assert done.status == 0, done.err
    plans = json.loads(done.out)
    assert [one["steps"] for one in plans[1:]] == [8594, 8594, 9375]
    paper = MllmConfig.paper()
    without = plan_stage(replace(paper, lora=None), TRAINING, 3, gpus=1, clips=1, shard=False)
    assert plans[3]["trained"] - without.trained == pytest.approx(335.5e6, rel=1e-3)
    shown = lmeec("mllm", "plan", "--gpus", 16).out
    assert "2 guidance" in shown
    assert "8,594" in shown


def test_more_gpus_than_clips_in_a_step_are_refused():
    with pytest.raises(ConfigError, match="cannot be divided among 300 workers"):
        plan_stage(TINY, TRAINING, 1, gpus=300, clips=1000, shard=True)
