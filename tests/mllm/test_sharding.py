"""A model that is divided among two workers trains as an undivided one does."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch

from lmeec.mllm.settings import MllmTrainConfig, StageConfig
from lmeec.mllm.stages import prepare_stage
from lmeec.mllm.task import StageTask
from lmeec.training.group import Group
from lmeec.training.task import Pass
from tests.support.mllm import examples, prompter, tiny
from tests.support.places import ROOT

STEPS = 3
TRAINING = replace(
    MllmTrainConfig(),
    stage2=StageConfig(4, 1e-3, steps=STEPS),
    stage3=StageConfig(4, 1e-3, steps=STEPS),
    micro_batch=1,
    recompute=True,
)


def losses_and_weights(stage, group, *, sharded, state=None):
    """Some steps of a stage by this process, on its share of a fixed batch, and the gradients of the first."""
    from lmeec.mllm.sharding import gathered, shard_model

    # In float64, as rounding turns a few signs in the gradient of the cycles' L1 norm, and steps amplify that.
    model = tiny(seed=4).double()
    prepare_stage(model, stage, TRAINING)
    model.save_memory()
    if sharded:
        shard_model(model, group.workers)
    task = StageTask(model, prompter().tokenizer, stage, TRAINING, sharded=sharded, leads=group.leads)
    if state is not None:
        task.restore(state)
    # The true gradient of some parameters is 0, as of a bias before a norm. Adam would bring the noise of rounding that
    # they have in its place to the length of a step.
    task.optimiser.param_groups[0]["eps"] = 1e-2
    first = {}
    found, own = [], examples(4)[group.rank :: group.workers]
    for step in range(STEPS):
        task.optimiser.zero_grad()
        values = task.gradients(own, Pass(step, group, lambda: False))
        norm = task.join_gradients(group, 1.0)
        if step == 0:
            grads = {name: one.grad for name, one in model.named_parameters() if one.requires_grad}
            first = {name: gathered(grad).clone() for name, grad in grads.items()}
        task.optimiser.step()
        found.append({**values, "norm": float(norm)})
    return found, task.state(), first, task


WORKER = """
    import json, os, sys
    import torch, torch.distributed as dist
    from lmeec.training.group import Group
    from tests.mllm.test_sharding import losses_and_weights

    torch.set_num_threads(1)
    stage, out = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group("gloo")
    group = Group(dist.get_rank(), dist.get_world_size())
    found, state, first, task = losses_and_weights(stage, group, sharded=True)
    assert bool(state["model"]) == group.leads, "whole models are for the one who writes them"
    state = group.gather(state)[0]
    # Taken up again from its own state, as after a stop.
    more, after, _, _ = losses_and_weights(stage, group, sharded=True, state=state)
    class Folder:
        from pathlib import Path
        path = Path(out)
    if group.leads:
        task.write(Folder, "last")
        losses = json.dumps([found, more])
        torch.save({"state": state, "after": after, "first": first, "losses": losses}, out + "/result.pt")
    dist.barrier()
    dist.destroy_process_group()
"""


@pytest.mark.parametrize("stage", [2, 3])
def test_two_workers_with_divided_parameters_equal_one_with_all(tmp_path, stage):
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    done = subprocess.run(
        [*call, str(script), str(stage), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = torch.load(tmp_path / "result.pt", weights_only=True)
    found, more = json.loads(result["losses"])
    expected, state, first, _ = losses_and_weights(stage, Group(), sharded=False)
    later, after, _, _ = losses_and_weights(stage, Group(), sharded=False, state=state)
    for ours, theirs in zip(found + more, expected + later, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)
    assert result["first"].keys() == first.keys()
    assert sum(bool(gradient.any()) for gradient in first.values()) > len(first) // 3  # B of adapters begins as 0
    for name, gradient in first.items():
        assert torch.allclose(result["first"][name], gradient, rtol=1e-5, atol=1e-6), name
    for one, other in ((result["state"], state), (result["after"], after)):
        assert one["model"].keys() == other["model"].keys()
        for name, value in one["model"].items():
            assert torch.allclose(value, other["model"][name], atol=1e-5), name
    # What the leading worker wrote is the whole model.
    from lmeec.mllm.checkpoint import load_mllm

    written = load_mllm(tmp_path / "model").model.state_dict()
    for name, value in state["model"].items():
        if name in written:
            assert torch.allclose(written[name], value.float(), atol=1e-5), name
