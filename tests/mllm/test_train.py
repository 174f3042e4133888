"""Stages are trained one after the other, and a training that is stopped goes on as if it had not been."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import lmeec.mllm.train as train_module
from lmeec.errors import ConfigError, OutputError, TrainingError
from lmeec.mllm.batch import collate
from lmeec.mllm.checkpoint import load_mllm
from lmeec.mllm.data.sample import Clip, Sample
from lmeec.mllm.model import ALL_PARTS
from lmeec.mllm.settings import MllmTrainConfig, StageConfig
from lmeec.mllm.train import MllmTrainJob, jobs_of, train_stage
from lmeec.mllm.training_data import TrainingData
from lmeec.training.output.log import read_log
from lmeec.training.output.progress import Note, Silent, StepDone
from tests.support.mllm import TINY, tiny
from tests.support.mllm_folders import mistral, whole_clip

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColouredClips:
    """Clips of one colour in the exo view, which is paler in the ego view, with a sentence that names it."""

    def __init__(self, count=24, question=False):
        names = list(COLOURS)
        self.samples = [
            Sample(
                str(n),
                f"{n}.mp4",
                "tests",
                "object",
                question="Which colour?" if question else "",
                answer=f"{names[n % 3]}" if question else f"The camera wearer picks up a {names[n % 3]} cup.",
            )
            for n in range(count)
        ]

    def __len__(self):
        return len(self.samples)

    def read(self, place):
        exo = np.empty((TINY.frames, 32, 32, 3), np.uint8)
        exo[:] = list(COLOURS.values())[place % 3]
        return Clip(self.samples[place], exo // 2 + 64, exo)


@pytest.fixture(autouse=True)
def coloured(monkeypatch):
    monkeypatch.setattr(
        train_module, "clips_of_stage", lambda data, stage, *_, **__: ColouredClips(question=stage == 3)
    )


STAGE = StageConfig(4, 3e-3, steps=6)
TRAINING = replace(
    MllmTrainConfig.nano(),
    stage0=replace(STAGE, train_connector=True, train_all=True),
    stage1=STAGE,
    stage2=STAGE,
    stage3=STAGE,
    micro_batch=2,
    save_every=2,
)
MODEL = replace(TINY, lora=replace(TINY.lora, dropout=0.1))


def job(out, stage=0, **changes):
    settings = {"model": MODEL, "data": TrainingData(), "training": TRAINING, **changes}
    return MllmTrainJob(stage, out, **settings)


def stopped_after(count):
    """A reporter, and whether to stop: after so many steps."""
    seen = []

    class Counts(Silent):
        def event(self, event):
            if isinstance(event, StepDone):
                seen.append(event)

    return Counts(), lambda: len(seen) >= count


def losses(path):
    return [{name: value for name, value in one.items() if name != "seconds"} for one in read_log(path)]


def test_all_stages_after_one_another_end_in_a_model_that_answers(tmp_path):
    for one in jobs_of(job(tmp_path), (0, 1, 2, 3)):
        assert train_stage(one, Silent())
    loaded = load_mllm(tmp_path / "stage3" / "model", merge=True)
    assert loaded.model.parts == ("ego_encoder", "connector", "map_f", "llm")
    assert load_mllm(tmp_path / "stage2" / "model", parts=ALL_PARTS).model.parts == ALL_PARTS
    log = {stage: losses(tmp_path / f"stage{stage}") for stage in range(4)}
    assert all(len(lines) == 6 for lines in log.values())
    assert {"loss", "vtg", "kl", "ccl"} <= log[2][0].keys()
    assert "kl" not in log[3][0]
    # Stage 0 gives all later ones the vocabulary of captions and questions.
    words = loaded.tokenizer.tokenize("Which colour?")
    assert len(words) < len("Which colour?") - 3


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_stopped_and_taken_up_equals_undisturbed_bit_for_bit(tmp_path, stage):
    if stage:
        earlier = (0,) if stage == 2 else (0, 2)
        for one in jobs_of(job(tmp_path / "before"), earlier):
            train_stage(one, Silent())
        begin = {"begin": tmp_path / "before" / f"stage{earlier[-1]}" / "model", "model": None}
    else:
        begin = {}
    assert train_stage(job(tmp_path / "whole", stage, **begin), Silent())
    reporter, stopping = stopped_after(3)
    assert not train_stage(job(tmp_path / "parts", stage, **begin), reporter, stopping=stopping)
    assert train_stage(job(tmp_path / "parts", stage, **begin), Silent())
    one, other = (torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("whole", "parts"))
    assert one["model"].keys() == other["model"].keys()
    assert all(torch.equal(value, other["model"][name]) for name, value in one["model"].items())
    for number, values in one["optimiser"]["state"].items():
        assert all(torch.equal(value, other["optimiser"]["state"][number][name]) for name, value in values.items())
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    weights = [(tmp_path / name / "model" / "connector.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]


def test_only_what_is_trained_is_in_the_state(tmp_path):
    train_stage(job(tmp_path / "s0"), Silent())
    train_stage(job(tmp_path / "s1", 1, begin=tmp_path / "s0" / "model"), Silent())
    state = torch.load(tmp_path / "s1" / "state.pt", weights_only=True)
    assert {name.split(".")[0] for name in state["model"]} == {"exo_encoder"}


def test_the_loss_does_not_depend_on_how_the_batch_is_divided(tmp_path):
    # The same weights see the same clips in passes of 2 and of 4.
    for size in (2, 4):
        settings = replace(TRAINING, micro_batch=size, stage0=replace(TRAINING.stage0, steps=3))
        train_stage(job(tmp_path / str(size), training=settings), Silent())
    for one, other in zip(losses(tmp_path / "2"), losses(tmp_path / "4"), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-2)


def test_weights_of_others_begin_stage_1_and_the_language_model_is_not_written(tmp_path):
    from lmeec.mllm.pretrained import Pretrained

    weights = Pretrained(clip=whole_clip(tmp_path / "c"), language=mistral(tmp_path / "m"))
    one = job(tmp_path / "s1", 1, weights=weights, model=TINY)
    assert train_stage(one, Silent())
    assert not (tmp_path / "s1" / "model" / "llm").exists()
    said = json.loads((tmp_path / "s1" / "model" / "config.json").read_text())
    assert said["language"]["path"] == str(tmp_path / "m")
    assert train_stage(job(tmp_path / "s2", 2, begin=tmp_path / "s1" / "model", model=None), Silent())


def test_ablations_branch_from_one_state(tmp_path):
    train_stage(job(tmp_path / "s1"), Silent())
    begin = tmp_path / "s1" / "model"
    for name, model in {
        "alone": replace(MODEL, join="alone"),
        "mlp": replace(MODEL, mapping=replace(MODEL.mapping, kind="mlp")),
        "bare": replace(MODEL, lora=None, join="twice"),
    }.items():
        for one in jobs_of(job(tmp_path / name, begin=begin, model=model), (2, 3)):
            assert train_stage(one, Silent())
        assert load_mllm(tmp_path / name / "stage3" / "model").model.config == model


def test_other_settings_and_beginnings_are_refused_by_name(tmp_path):
    reporter, stopping = stopped_after(2)
    train_stage(job(tmp_path), reporter, stopping=stopping)
    with pytest.raises(OutputError, match=r"stage0\.lr was 0\.003 and is now 0\.1"):
        train_stage(job(tmp_path, training=replace(TRAINING, stage0=replace(TRAINING.stage0, lr=0.1))), Silent())
    # How it is computed may change.
    assert train_stage(job(tmp_path, training=replace(TRAINING, micro_batch=4)), Silent())


def test_a_stage_that_has_nothing_to_begin_with_says_what_to_name(tmp_path):
    with pytest.raises(ConfigError, match=r"stage 1 begins with weights: .*`begin`.*`weights`"):
        train_stage(job(tmp_path, 1), Silent())
    plain = replace(TRAINING, stage0=replace(TRAINING.stage0, train_all=False))
    with pytest.raises(ConfigError, match="stage 0 begins with weights"):
        train_stage(job(tmp_path, training=plain), Silent())


def test_a_loss_that_is_no_number_is_told_with_its_clip(tmp_path):
    from lmeec.mllm.task import StageTask
    from lmeec.training.group import Group
    from lmeec.training.task import Pass
    from tests.support.mllm import examples, prompter

    model = tiny()
    model.train()
    task = StageTask(model, prompter().tokenizer, 1, TRAINING)
    with torch.no_grad():
        next(model.exo_encoder.parameters()).fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"step 4: the loss of clip 0; clip 1 is nan.*stage1\.lr"):
        task.gradients(examples(3), Pass(4, Group(), lambda: False))
    assert collate(examples(1)).exo is not None


def test_clips_that_cannot_be_read_are_told_and_stood_in_for(tmp_path, monkeypatch):
    from lmeec.errors import DataError

    class Damaged(ColouredClips):
        def read(self, place):
            if place == 5:
                raise DataError("5.mp4: is damaged")
            return super().read(place)

    monkeypatch.setattr(train_module, "clips_of_stage", lambda *_, **__: Damaged())
    told = []

    class Hears(Silent):
        def event(self, event):
            if isinstance(event, Note):
                told.append(event.text)

    assert train_stage(job(tmp_path), Hears())
    assert any("5.mp4: is damaged" in text for text in told)


def test_half_precision_keeps_what_is_trained_in_float32(tmp_path):
    train_stage(job(tmp_path / "s0"), Silent())
    settings = replace(TRAINING, dtype="bfloat16")
    assert train_stage(job(tmp_path / "s2", 2, begin=tmp_path / "s0" / "model", training=settings), Silent())
    state = torch.load(tmp_path / "s2" / "state.pt", weights_only=True)
    assert {value.dtype for value in state["model"].values()} == {torch.float32}
    assert all(np.isfinite(one["loss"]) for one in losses(tmp_path / "s2"))
