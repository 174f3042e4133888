"""A training that is stopped and taken up again equals one that was not, bit for bit."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from lmeec.errors import DiskFullError, OutputError, TrainingError
from lmeec.model.build import build_model
from lmeec.model.checkpoint import read_checkpoint
from lmeec.training.config import OptimiserConfig, ScratchConfig, TrainConfig
from lmeec.training.losses import LossWeights
from lmeec.training.output.folder import TrainingFolder
from lmeec.training.output.log import read_log
from lmeec.training.output.progress import Silent, StepDone
from lmeec.training.output.record import Record
from lmeec.training.run import go_on
from lmeec.training.trainer import Trainer
from tests.support.moving import MovingClips
from tests.support.places import ROOT
from tests.support.tiny import TINY

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = TrainConfig(
    steps=6,
    micro_batch=2,
    save_every=2,
    optimiser=OptimiserConfig(lr=1e-3, encoder_lr=1e-3, warmup=1),
    losses=LossWeights(balanced=1, correspondence=0.5),
    scratch=ScratchConfig(annotated_memory=0.5),
)


def train(path: Path, *, until: int = 6, source=None, config: TrainConfig = CONFIG) -> Trainer:
    """Train in a folder, and stop after some steps as Ctrl-C would."""
    trainer = Trainer(build_model(TINY, seed=1), config, steps=6)
    with TrainingFolder(path) as folder:
        settings = {"seed": config.seed}
        go_on(trainer, folder, settings)
        with Record(folder, settings, trainer.step) as record:
            trainer.run(source or MovingClips(3), Silent(), record, stopping=lambda: trainer.step >= until)
    return trainer


def losses(path: Path) -> list[dict]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in read_log(path)]


def assert_same_training(one: Path, other: Path) -> None:
    first, second = (torch.load(path / "state.pt", weights_only=True) for path in (one, other))
    for name, value in first["model"].items():
        assert torch.equal(value, second["model"][name]), name
    for number, values in first["optimiser"]["state"].items():
        for name, value in values.items():
            assert torch.equal(value, second["optimiser"]["state"][number][name]), (number, name)
    assert first["optimiser"]["param_groups"] == second["optimiser"]["param_groups"]
    assert losses(one) == losses(other)
    assert len(losses(one)) == 6


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    assert train(path).step == 6
    return path


def test_stopped_in_the_middle(undisturbed, tmp_path):
    assert train(tmp_path / "run", until=3).step == 3
    assert train(tmp_path / "run").step == 6
    assert_same_training(undisturbed, tmp_path / "run")


class Killed:
    """Ends the process as kill -9 does, while it makes the fifth batch."""

    def batch(self, step):
        if step == 4:
            os.kill(os.getpid(), 9)
        return MovingClips(3).batch(step)


def test_killed_after_a_saved_state(undisturbed, tmp_path):
    path = tmp_path / "run"
    code = (
        "from pathlib import Path; import torch; from tests.training.test_resume import Killed, train\n"
        f"torch.set_num_threads(1); train(Path({str(path)!r}), source=Killed())"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -9
    assert torch.load(path / "state.pt", weights_only=True)["step"] in (0, 2)
    train(path)
    assert_same_training(undisturbed, path)


def test_other_settings_are_refused_by_name(undisturbed, tmp_path):
    train(tmp_path / "run", until=2)
    with pytest.raises(OutputError, match="seed was 0 and is now 1"):
        train(tmp_path / "run", config=replace(CONFIG, seed=1))


def test_two_trainings_cannot_share_a_folder(tmp_path):
    with TrainingFolder(tmp_path), pytest.raises(OutputError, match="another training is writing there"):
        train(tmp_path)


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        TrainingFolder(tmp_path)


def test_a_full_disk_keeps_the_state_before(tmp_path, monkeypatch):
    train(tmp_path, until=2)
    before = (tmp_path / "state.pt").read_bytes()

    def fill(state, file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", fill)
    with pytest.raises(DiskFullError, match=r"state\.pt: No space left"):
        train(tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_full_disk_under_tensorboard_is_said_and_ends_it(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tensorboardX.event_file_writer.EventsWriter.flush", fail)
    with pytest.raises(DiskFullError, match="tensorboard: No space left"):
        train(tmp_path)


def test_weights_that_cannot_be_written_are_written_when_it_goes_on(tmp_path, monkeypatch):
    def fail(*_):
        raise OutputError("cannot write last.safetensors")

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="last"):
        patch.setattr(TrainingFolder, "write_weights", fail)
        train(tmp_path)
    assert train(tmp_path).step == 6
    weights = read_checkpoint(tmp_path / "last.safetensors").tensors
    state = torch.load(tmp_path / "state.pt", weights_only=True)["model"]
    assert all(torch.equal(weights[name], value) for name, value in state.items())


class Judge:
    """Judges in one step of time, and is interrupted the first time."""

    def __init__(self):
        self.steps, self.interrupted = [], True

    def __call__(self, model, stopping):
        self.steps.append(stopping)
        self.interrupted = not self.interrupted
        return None if not self.interrupted else {}


def test_a_validation_that_was_given_up_is_done_first_when_going_on():
    trainer, judge = Trainer(build_model(TINY, seed=1), CONFIG, steps=1), Judge()
    assert not trainer.run(MovingClips(3), Silent(), validate=judge)
    state = trainer.state()
    assert (state["step"], state["judged"]) == (1, 0)
    again = Trainer(build_model(TINY, seed=1), CONFIG, steps=1)
    again.restore(state)
    assert not again.finished(validated=True)
    assert again.finished(validated=False)
    assert again.run(MovingClips(3), Silent(), validate=judge)
    assert len(judge.steps) == 2
    assert again.judged == 1


def test_a_damaged_state_is_named(tmp_path):
    train(tmp_path, until=2)
    (tmp_path / "state.pt").write_bytes(b"PK damaged")
    with pytest.raises(OutputError, match=r"state\.pt: .*damaged.*begin anew"):
        train(tmp_path)


def test_a_loss_that_is_no_number_ends_it_and_keeps_the_state(tmp_path):
    trainer = Trainer(build_model(TINY, seed=1), CONFIG, steps=6)

    class Breaks(Silent):
        def event(self, event):
            if isinstance(event, StepDone) and event.step == 3:
                trainer.model.maskmem_tpos_enc.data.fill_(float("nan"))

    with (
        TrainingFolder(tmp_path) as folder,
        Record(folder, {}, 0) as record,
        pytest.raises(TrainingError, match="step 3: the loss of clip 9; clip 10 is nan"),
    ):
        trainer.run(MovingClips(3), Breaks(), record)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    assert saved["step"] == 2
    assert all(value.isfinite().all() for value in saved["model"].values())


def test_a_gradient_that_is_no_number_leaves_the_weights_alone(monkeypatch):
    trainer = Trainer(build_model(TINY, seed=1), CONFIG, steps=6)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}

    def spoil(model, *_):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, torch.inf)
        return {"loss": 1.0}

    monkeypatch.setattr("lmeec.training.trainer.accumulate_gradients", spoil)
    with pytest.raises(TrainingError, match=r"step 0: the norm of the gradients is (inf|nan).*another `out`"):
        trainer.run(MovingClips(3), Silent())
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
