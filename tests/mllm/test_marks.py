"""What cells of drawn pictures show teaches encoders that begin from nothing, and leaves nothing else behind."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lmeec.errors import ConfigError, DataError
from lmeec.mllm.batch import collate
from lmeec.mllm.checkpoint import load_mllm
from lmeec.mllm.colours import DEVIATION, MEAN
from lmeec.mllm.config import ConnectorConfig
from lmeec.mllm.losses import vtg_loss
from lmeec.mllm.marks_head import MarksHead, clips_loss, looking_loss, marks_loss
from lmeec.mllm.objective import Objective
from lmeec.mllm.settings import LossConfig, MllmTrainConfig, StageConfig
from lmeec.mllm.stages import prepare_stage
from lmeec.mllm.synthetic.classes import CLASSES, UNKNOWN
from lmeec.mllm.synthetic.marks import COLOURS, SHAPES
from lmeec.mllm.synthetic.store import drawn_clips
from lmeec.mllm.synthetic.world import World
from lmeec.mllm.task import StageTask
from lmeec.mllm.train import MllmTrainJob, train_stage
from lmeec.mllm.training_data import TrainingData
from lmeec.mllm.whitening import whiten_patches
from lmeec.training.output.log import read_log
from lmeec.training.output.progress import Silent, StepDone
from tests.support.mllm import TINY, batch, examples, prompter, tiny

NANO = MllmTrainConfig.nano()
FEW = replace(TINY, connector=ConnectorConfig("resampler", queries=3))
STAGE = StageConfig(4, 3e-3, steps=4)
TRAINING = replace(
    NANO,
    stage0=replace(STAGE, train_connector=True, train_all=True, seeing=1, late_lr=6e-3),
    stage1=STAGE,
    micro_batch=2,
    save_every=1,
)


def shown(count=2):
    """A batch whose marks and classes are drawn by chance."""
    made = batch(count)
    drawn = torch.Generator().manual_seed(0)
    marks = torch.randint(0, 2, (count, 2, TINY.frames, 4, 3), generator=drawn, dtype=torch.uint8)
    classes = torch.tensor([[1, 2, 3, 1, UNKNOWN, 0], [0, 11, 0, UNKNOWN, UNKNOWN, 1]], dtype=torch.uint8)
    return replace(made, marks=marks, classes=classes[:count])


def test_the_loss_by_hand():
    """Of three cells: an empty one, the handled red thing of the first shape, and another, green one of that shape.

    All logits are zero but red's, of 1, and the one of being handled, of 1 as well.
    """
    logits = torch.zeros(1, 1, 3, 3 + len(COLOURS) + len(SHAPES))
    logits[..., [1, -1]] = 1.0
    marks = torch.tensor([[[[0, 0, 0], [1, 1, 1], [2, 1, 0]]]], dtype=torch.uint8)
    total = math.log(len(COLOURS) + math.e)
    colour = (0.15 * total + total - 1 + total) / 2.15
    shape = math.log(len(SHAPES) + 1)
    yes, no = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    handled = (0.05 * no + 2.5 * yes + 1 * no) / 3.55
    assert float(marks_loss(logits, marks)) == pytest.approx(colour + shape + handled, rel=1e-6)


def test_cells_are_means_over_their_patches():
    head = MarksHead(TINY, seed=0)
    features = torch.randn(2, 3, 64, TINY.encoder.width)
    cells = features.view(2, 3, 2, 4, 2, 4, -1).mean((3, 5)).flatten(2, 3)
    torch.testing.assert_close(head(features), head.read(head.norm(cells)))
    with pytest.raises(ConfigError, match=r"encoder\.patch_size"):
        MarksHead(replace(TINY, encoder=replace(TINY.encoder, image_size=24, patch_size=3)), seed=0)


def test_what_tokens_say_together_is_read():
    head = MarksHead(FEW, seed=0)
    tokens = torch.randn(2, 3, TINY.language.width)
    for clip in range(2):
        together = torch.cat(list(tokens[clip]))
        torch.testing.assert_close(head.clips(tokens)[clip], head.token_read(head.token_norm(together)))


def test_a_patch_shows_what_its_cell_shows_at_some_time():
    marks = shown().marks[:, 0]
    found = MarksHead(TINY, seed=0).shown(marks).view(2, 8, 8)
    for clip, y, x in itertools.product(range(2), range(8), range(8)):
        assert found[clip, y, x] == any(marks[clip, time, 2 * (y // 4) + x // 4, 2] for time in range(TINY.frames))


def test_the_loss_of_looking_by_hand():
    """Of four patches the first token has a half on the handled thing, of another clip nothing; a third has none."""
    attention = torch.full((3, 2, 4), 0.25)
    attention[1, 0] = torch.tensor([1.0, 0, 0, 0])
    shown_ = torch.tensor([[1, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]]).bool()
    assert float(looking_loss(attention, shown_)) == pytest.approx(-(math.log(0.5) + math.log(1e-6)) / 2, rel=1e-6)
    assert float(looking_loss(attention[2:], shown_[2:])) == 0


def test_the_loss_of_clips_by_hand():
    """Two clips; all logits zero but the right colour's of the first, of 1. What is known of neither counts nothing."""
    logits = torch.zeros(2, sum(CLASSES))
    logits[0, 1] = 1.0
    said = clips_loss(logits, shown().classes)
    total = math.log(len(COLOURS) - 1 + math.e)
    colour = (total - 1 + math.log(len(COLOURS))) / 2
    others = [math.log(12), math.log(5), math.log(2), 0, math.log(2)]
    assert float(said) == pytest.approx(colour + sum(others), rel=1e-6)


@pytest.mark.parametrize(
    ("seeing", "step", "reached"),
    [(0, 0, {"ego_encoder", "connector"}), (1, 0, {"ego_encoder"}), (1, 1, {"connector"})],
)
def test_what_sees_learns_from_marks_and_the_language_model_does_not(seeing, step, reached):
    model, head = tiny(connector=FEW.connector), MarksHead(FEW, seed=0)
    prepare_stage(model, 0, NANO)
    objective = Objective(0, LossConfig(marks=1.0), head, both=True, seeing=seeing)
    assert objective.names == ("loss", "vtg", "marks")
    objective(model, shown(), step)["marks"].backward()
    assert {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None} == reached
    tokens = seeing == 0 or step > 0
    assert all((value.grad is not None) == (tokens or "token" not in name) for name, value in head.named_parameters())
    with pytest.raises(DataError, match="no marks"):
        objective(model, batch(2), step)


def test_first_steps_look_at_one_frame_after_the_other():
    model, head, clips = tiny(), MarksHead(TINY, seed=0), shown()
    prepare_stage(model, 0, NANO)
    objective = Objective(0, LossConfig(marks=1.0), head, seeing=9)
    for step in (2, 6):
        losses = [
            marks_loss(head(features[:, 2:3]), clips.marks[:, view, 2:3])
            for view, features in enumerate((model.ego_features(clips), model.exo_features(clips)))
        ]
        torch.testing.assert_close(objective(model, clips, step)["marks"], sum(losses) / 2)


def test_texts_are_learned_with_one_view_and_with_both():
    model, examples_ = tiny(), examples(2)
    prepare_stage(model, 0, NANO)
    found = Objective(0, LossConfig(), both=True)(model, collate(examples_))["vtg"]
    sums = []
    for place, one in enumerate(collate([example]) for example in examples_):
        views = [model.tokens(features) for features in (model.ego_features(one), model.exo_features(one))]
        for seen in (views[place], torch.cat(views, 1)):
            sums.append(vtg_loss(model.answer_log_probabilities(seen, one.texts)))
    torch.testing.assert_close(found, sum(sums))


def test_what_begins_late_may_have_a_rate_of_its_own():
    model = tiny()
    prepare_stage(model, 0, TRAINING)
    task = StageTask(model, prompter().tokenizer, 0, TRAINING, marks=MarksHead(TINY, seed=0))
    rates = {id(value): group["lr"] for group in task.optimiser.param_groups for value in group["params"]}
    assert rates[id(model.ego_encoder.embeddings.patch_embedding.weight)] == 3e-3
    assert rates[id(model.connector.readout[0].weight)] == rates[id(model.llm.lm_head.weight)] == 6e-3
    assert len(rates) == len(task._trained)


def test_the_rate_falls_once_for_what_sees_and_once_for_what_learns_after():
    model = tiny()
    training = replace(TRAINING, stage0=replace(TRAINING.stage0, steps=6, seeing=2, warmup=0.25))
    prepare_stage(model, 0, training)
    task = StageTask(model, prompter().tokenizer, 0, training, marks=MarksHead(TINY, seed=0))
    shares = []
    for step in range(6):
        told = task._set_rates(step)["lr"]
        encoder, late = (group["lr"] for group in task.optimiser.param_groups)
        assert late == pytest.approx(2 * encoder)
        assert told == pytest.approx(late if step >= 2 else encoder)
        shares.append(encoder / 3e-3)
    # Half of a cosine over 2 steps; a step of warm-up and the cosine over the 3 after it.
    assert shares == pytest.approx([1, 0.5, 0.5, 1, 0.75, 0.25])


def test_patches_begin_with_channels_that_vary_alike(tmp_path):
    clips = drawn_clips(tmp_path, World(size=32, clips_per_take=2), "val", 6, threads=1).captions()
    model = tiny()
    whiten_patches(model, clips, seed=0)
    weight = model.exo_encoder.embeddings.patch_embedding.weight
    pictures = []
    for place in range(len(clips)):
        clip = clips.read(place)
        pictures += [clip.ego[2], clip.exo[2]]
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    normed = (pixels - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).view(1, 3, 1, 1)
    channels = F.conv2d(normed, weight, stride=4).transpose(0, 1).flatten(1)
    second = (channels @ channels.T / channels.shape[1]).detach()
    kept = torch.linalg.eigvalsh(second)
    assert kept.max() == pytest.approx(0.25, rel=0.05)  # the square of the scale
    assert kept.median() > 0.02
    again = tiny(seed=1)
    whiten_patches(again, clips, seed=0)
    torch.testing.assert_close(again.exo_encoder.embeddings.patch_embedding.weight, weight)


def test_a_stage_with_marks_stops_goes_on_and_writes_no_head(tmp_path):
    data = TrainingData(synthetic=True, takes=2, world=World(size=32, clips_per_take=2))
    one = MllmTrainJob(
        0, tmp_path / "whole", data=data, training=TRAINING, model=replace(FEW, text_limit=256), drawn=tmp_path / "d"
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
    assert [line["vtg"] > 0 for line in logs[0]] == [False, True, True, True]
    for job in (one, other):
        assert not list((job.out / "model").glob("marks*"))
    whole, stopped = (load_mllm(job.out / "model", parts=("exo_encoder", "connector", "llm")) for job in (one, other))
    assert whole.digest == stopped.digest
