"""Workers that train together end up where one process does."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import psutil
import pytest
import torch
from torch.testing import assert_close

from lmeec.cluster.resources import Wanted
from lmeec.cluster.session import ray_session
from lmeec.cluster.train import train_on_ray
from lmeec.config import MemoryAttentionConfig
from lmeec.errors import TrainingError
from lmeec.model.build import build_model
from lmeec.model.checkpoint import write_safetensors
from lmeec.training.clips.config import ClipConfig
from lmeec.training.config import OptimiserConfig, TrainConfig, ValidationConfig
from lmeec.training.output.log import read_log
from lmeec.training.output.progress import Saved, Silent, StepDone, TrainingStarted
from lmeec.training.run import TrainJob, run_training
from tests.support.lost import cluster_that_is_lost
from tests.support.tiny import TINY

# Dropout and drop path are drawn by each process for itself.
STEADY = replace(TINY, memory_attention=MemoryAttentionConfig(num_layers=1, dim_feedforward=32, dropout=0))
CONFIG = TrainConfig(
    steps=4,
    batch=4,
    save_every=2,
    micro_batch=2,
    recompute=False,
    drop_path=0.0,
    device="cpu",
    clips=ClipConfig(frames=3),
    optimiser=OptimiserConfig(lr=1e-4, encoder_lr=1e-4),
    validation=ValidationConfig(every=4),
)


class Steps(Silent):
    def __init__(self):
        self.seen = []

    def event(self, event):
        if isinstance(event, (StepDone, Saved)):
            self.seen.append((type(event), event.step))


@pytest.fixture
def job(rendered_takes, tmp_path):
    weights = tmp_path / "steady.safetensors"
    write_safetensors(weights, build_model(STEADY, seed=1).state_dict(), STEADY)
    takes = rendered_takes.root
    return TrainJob(takes, tmp_path / "alone", replace(CONFIG, checkpoint=str(weights)), validate=takes)


def state(path):
    return torch.load(path / "state.pt", weights_only=True)


def training_workers():
    """Process numbers of the workers that train together, which Ray Train names after its class."""
    titles = {child.pid: " ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)}
    return [pid for pid, title in titles.items() if "RayTrainWorker" in title]


class KillOnce(Steps):
    """Kills a worker after the first saved state."""

    def __init__(self):
        super().__init__()
        self.starts = []

    def event(self, event):
        super().event(event)
        if isinstance(event, TrainingStarted):
            self.starts.append(event.step)
        if isinstance(event, Saved) and event.step == 2:
            os.kill(training_workers()[-1], signal.SIGKILL)


def test_two_workers_equal_one_process_though_one_is_killed(cluster, job, tmp_path):
    assert run_training(job, Silent())
    together = replace(job, out=tmp_path / "together")
    steps = KillOnce()
    with ray_session(Wanted(workers=2, address=cluster, device="cpu")) as sizes:
        assert train_on_ray(together, sizes, steps)
    assert steps.starts == [0, 2]
    assert steps.seen[-1] == (Saved, 4)
    one, two = state(job.out), state(together.out)
    for name, value in one["model"].items():
        assert_close(two["model"][name], value, rtol=1e-3, atol=1e-5)
    alone, both = read_log(job.out), read_log(together.out)
    assert [line["step"] for line in alone] == [line["step"] for line in both] == [1, 2, 3, 4, 4]
    assert [line["loss"] for line in both[:4]] == pytest.approx([line["loss"] for line in alone[:4]], rel=1e-4)
    assert both[4]["iou"] == pytest.approx(alone[4]["iou"], abs=1e-3)
    assert not (together.out / ".ray").exists()


def test_what_stops_a_training_reaches_the_user_at_once(cluster, job):
    wild = replace(job, config=replace(job.config, optimiser=OptimiserConfig(lr=1e30, encoder_lr=1e30, clip_norm=1e30)))
    steps = Steps()
    with (
        ray_session(Wanted(workers=2, address=cluster, device="cpu")) as sizes,
        pytest.raises(TrainingError, match=r"step 1.*lower learning rate.*another `out`"),
    ):
        train_on_ray(wild, sizes, steps)


class KillAtAStep(Steps):
    """Kills a cluster's raylet as soon as a step is done."""

    def __init__(self, raylet):
        super().__init__()
        self.raylet = raylet

    def event(self, event):
        super().event(event)
        if isinstance(event, StepDone):
            self.raylet.kill()


def test_a_raylet_that_dies_ends_the_training(job):
    endless = replace(job, config=replace(job.config, steps=10_000))
    with cluster_that_is_lost() as (raylet, sizes):
        train_on_ray(endless, sizes, KillAtAStep(raylet))
