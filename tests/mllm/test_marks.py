"""What cells of drawn pictures show teaches encoders that begin from nothing, and leaves nothing else behind."""

import math
from dataclasses import replace

import pytest
import torch

from lmeec.errors import ConfigError, DataError
from lmeec.mllm.checkpoint import load_mllm
from lmeec.mllm.marks_head import MarksHead, marks_loss
from lmeec.mllm.objective import Objective
from lmeec.mllm.settings import LossConfig, MllmTrainConfig, StageConfig
from lmeec.mllm.stages import prepare_stage
from lmeec.mllm.synthetic.marks import COLOURS, SHAPES
from lmeec.mllm.synthetic.world import World
from lmeec.mllm.train import MllmTrainJob, train_stage
from lmeec.mllm.training_data import TrainingData
from lmeec.training.output.log import read_log
from lmeec.training.output.progress import Silent, StepDone
from tests.support.mllm import TINY, batch, tiny

NANO = MllmTrainConfig.nano()
STAGE = StageConfig(4, 3e-3, steps=4)
TRAINING = replace(
    NANO, stage0=replace(STAGE, train_connector=True, train_all=True), stage1=STAGE, micro_batch=2, save_every=1
)


def test_the_loss_by_hand():
    """Of two cells: an empty one, and the handled red thing of the first shape; all logits zero but red's, of 1."""
    logits = torch.zeros(1, 1, 2, 3 + len(COLOURS) + len(SHAPES))
    logits[..., 1] = 1.0
    marks = torch.tensor([[[[0, 0, 0], [1, 1, 1]]]], dtype=torch.uint8)
    total = math.log(len(COLOURS) + math.e)
    colour = (0.15 * total + total - 1) / 1.15
    shape = math.log(len(SHAPES) + 1)
    handled = (1 + 8) * math.log(2) / 2
    assert float(marks_loss(logits, marks)) == pytest.approx(colour + shape + handled, rel=1e-6)


def test_cells_are_means_over_their_patches():
    head = MarksHead(TINY.encoder, seed=0)
    features = torch.randn(2, 3, 64, TINY.encoder.width)
    cells = features.view(2, 3, 2, 4, 2, 4, -1).mean((3, 5)).flatten(2, 3)
    torch.testing.assert_close(head(features), head.read(head.norm(cells)))
    with pytest.raises(ConfigError, match=r"encoder\.patch_size"):
        MarksHead(replace(TINY.encoder, image_size=36, patch_size=6), seed=0)


def test_only_the_encoder_and_the_head_learn_from_marks():
    model, head = tiny(), MarksHead(TINY.encoder, seed=0)
    prepare_stage(model, 0, NANO)
    clips = replace(batch(2), marks=torch.ones(2, 2, TINY.frames, 4, 3, dtype=torch.uint8))
    objective = Objective(0, LossConfig(marks=1.0), head)
    assert objective.names == ("loss", "vtg", "marks")
    objective(model, clips)["marks"].backward()
    reached = {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None}
    assert reached == {"ego_encoder"}
    assert all(value.grad is not None for value in head.parameters())
    with pytest.raises(DataError, match="no marks"):
        objective(model, batch(2))


def test_a_stage_with_marks_stops_goes_on_and_writes_no_head(tmp_path):
    data = TrainingData(synthetic=True, takes=2, world=World(size=32, clips_per_take=2))
    one = MllmTrainJob(
        0, tmp_path / "whole", data=data, training=TRAINING, model=replace(TINY, text_limit=256), drawn=tmp_path / "d"
    )
    assert train_stage(one, Silent())
    seen = []

    class Counts(Silent):
        def event(self, event):
            seen.append(event) if isinstance(event, StepDone) else None

    other = replace(one, out=tmp_path / "stopped")
    assert not train_stage(other, Counts(), stopping=lambda: len(seen) >= 2)
    assert train_stage(other, Silent())
    logs = [[{**line, "seconds": 0} for line in read_log(job.out)] for job in (one, other)]
    assert logs[0] == logs[1]
    assert logs[0][0]["marks"] > 0
    for job in (one, other):
        assert not list((job.out / "model").glob("marks*"))
    whole, stopped = (load_mllm(job.out / "model", parts=("exo_encoder", "connector", "llm")) for job in (one, other))
    assert whole.digest == stopped.digest
