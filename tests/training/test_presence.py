"""The head that says whether an object is visible, trained by itself."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lmeec.errors import CheckpointError, ConfigError
from lmeec.model.build import build_model
from lmeec.model.checkpoint import write_safetensors
from lmeec.training.clips.clip import collate
from lmeec.training.config import PresenceConfig, TrainConfig, presence
from lmeec.training.forward import run_clips
from lmeec.training.group import Group
from lmeec.training.output.folder import TrainingFolder
from lmeec.training.output.log import read_log
from lmeec.training.output.progress import Silent
from lmeec.training.output.record import Record
from lmeec.training.presence import EveryFewSteps, PresenceTask
from lmeec.training.run import go_on
from lmeec.training.settings import binding, over_preset, plain
from lmeec.training.start import starting_model
from lmeec.training.task import Pass
from lmeec.training.trainer import Trainer
from tests.support.moving import MovingClips, OneBatch
from tests.support.tiny import TINY

HEAD = "sam_mask_decoder.pred_obj_score_head."
CONFIG = replace(presence(), steps=4, micro_batch=2, save_every=2, presence=PresenceConfig(serves=2, kept=2))


def gradients(config, clips, repeat=1):
    model = build_model(TINY, seed=1)
    task = PresenceTask(model, config)
    for _ in range(repeat):
        model.zero_grad()
        measured = task.gradients(clips, Pass(0, Group(), lambda: False))
        clips = []
    return measured, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def train(path, until=4):
    trainer = Trainer(build_model(TINY, seed=1), CONFIG, steps=4)
    with TrainingFolder(path) as folder:
        go_on(trainer, folder, {})
        with Record(folder, {}, trainer.step) as record:
            trainer.run(EveryFewSteps(MovingClips(3), 2), Silent(), record, stopping=lambda: trainer.step >= until)
    return trainer.model.state_dict()


def test_all_else_stays_as_it_is_and_an_interruption_changes_nothing(tmp_path):
    before = build_model(TINY, seed=1).state_dict()
    after = train(tmp_path / "whole")
    assert train(tmp_path / "twice", until=3).keys() == after.keys()
    again = train(tmp_path / "twice")
    for name, value in before.items():
        assert torch.equal(value, after[name]) != name.startswith(HEAD), name
        assert torch.equal(again[name], after[name]), name
    logs = [[{**line, "seconds": 0} for line in read_log(tmp_path / name)] for name in ("whole", "twice")]
    assert logs[0] == logs[1]
    assert 0 < logs[0][0]["absent"] < 1


def test_steps_between_batches_learn_from_what_is_kept():
    clips = MovingClips(3).batch(0)
    once, first = gradients(CONFIG, clips)
    twice, second = gradients(CONFIG, clips, repeat=2)
    assert once == twice
    for name, gradient in first.items():
        assert torch.equal(second[name], gradient)
    source = EveryFewSteps(MovingClips(2), 3)
    assert [len(source.batch(step)) for step in range(7)] == [2, 0, 0, 2, 0, 0, 2]
    assert source.batch(6)[0].origin == MovingClips(2).batch(2)[0].origin


def test_the_loss_weighs_visible_and_absent_frames_alike():
    clips = MovingClips(3).batch(0)
    measured, _ = gradients(replace(CONFIG, micro_batch=3), clips)
    batch = collate(clips)
    with torch.no_grad():
        steps = run_clips(build_model(TINY, seed=1), batch).steps
    costs, right = {True: [], False: []}, {True: [], False: []}
    for k, step in enumerate(steps):
        for row, score in enumerate(step.object_score.tolist()):
            if batch.annotated[row, k]:
                seen = bool(batch.target_masks[row, k].any())
                costs[seen].append(math.log1p(math.exp(-score if seen else score)))
                right[seen].append((score > 0) == seen)
    mean = {seen: sum(some) / len(some) for seen, some in costs.items()}
    assert measured["loss"] == pytest.approx((mean[True] + mean[False]) / 2, rel=1e-5)
    shares = [sum(some) / len(some) for some in right.values()]
    assert measured["balanced_accuracy"] == pytest.approx(sum(shares) / 2)
    assert measured["absent"] == pytest.approx(len(costs[False]) / (len(costs[False]) + len(costs[True])))


def test_dividing_a_batch_does_not_change_its_gradients():
    clips = MovingClips(3).batch(0)
    whole, together = gradients(replace(CONFIG, micro_batch=3), clips)
    parts, apart = gradients(replace(CONFIG, micro_batch=1), clips)
    assert together.keys() == apart.keys()
    assert all(name.startswith(HEAD) for name in together)
    assert parts == pytest.approx(whole, rel=1e-5)
    for name, gradient in together.items():
        torch.testing.assert_close(apart[name], gradient, rtol=1e-4, atol=1e-7)


def test_the_head_learns_who_is_there():
    config = replace(CONFIG, optimiser=replace(CONFIG.optimiser, lr=1e-2))
    reached = []

    class Watch(Silent):
        def event(self, event):
            reached.append(getattr(event, "values", {}).get("balanced_accuracy"))

    trainer = Trainer(build_model(TINY, seed=1), config, steps=300)
    trainer.run(EveryFewSteps(OneBatch(MovingClips(4).batch(0)), 300), Watch())
    assert reached[0] < 0.7
    assert reached[-1] > reached[0] + 0.25


def test_what_cannot_be_trained_alone_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"clips\.train_absent"):
        replace(presence(), clips=replace(presence().clips, train_absent=False))
    with pytest.raises(ConfigError, match=r"name its weights with `checkpoint`"):
        starting_model(presence())
    path = tmp_path / "sam2.safetensors"
    weights = {name: value for name, value in build_model(TINY).state_dict().items() if "MV_MoE" not in name}
    write_safetensors(path, weights, TINY)
    with pytest.raises(CheckpointError, match=r"SAM 2\.1, without all that LM-EEC adds"):
        starting_model(replace(presence(), checkpoint=str(path)))


def test_settings_that_have_no_part_in_a_training_do_not_bind_it():
    """States of trainings from before a part could be trained alone can still be gone on with."""
    assert not {"only", "presence"} & binding(TrainConfig()).keys()
    assert binding(presence())["presence"] == {"absent": 0.5, "serves": 10, "kept": 100}
    silent = over_preset({"only": "presence", "batch": 2})
    assert silent == plain(replace(presence(), batch=2))
