"""`lmeec mllm train` on a tiny model and synthetic takes, from the command line."""

import json
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from lmeec.mllm.checkpoint import load_mllm
from lmeec.mllm.settings import MllmTrainConfig, StageConfig
from tests.support.command import lmeec
from tests.support.mllm import TINY

MODEL = replace(TINY, text_limit=256)
STAGE = StageConfig(4, 1e-3, steps=2)
TRAINING = replace(
    MllmTrainConfig.nano(),
    stage0=replace(STAGE, train_connector=True, train_all=True),
    stage1=STAGE,
    stage2=STAGE,
    stage3=STAGE,
    micro_batch=4,
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "tiny.yaml"
    document = {
        "preset": "nano",
        "model": json.loads(json.dumps(MODEL.to_dict())),
        "training": TRAINING.to_dict(),
        "data": {"synthetic": True, "takes": 2, "world": {"size": 32, "clips_per_take": 3}},
    }
    with path.open("w") as file:
        YAML().dump(document, file)
    return path


@pytest.fixture(scope="module")
def trained(settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "out"
    done = lmeec("mllm", "train", "--config", settings, "--out", out, "--workers", "1", "--log-format", "json")
    assert done.status == 0, done.err
    return out


def test_all_stages_are_trained_in_folders_of_their_own(trained):
    assert sorted(path.name for path in trained.iterdir()) == ["drawn", "stage0", "stage1", "stage2", "stage3"]
    assert load_mllm(trained / "stage3" / "model").model.config == MODEL


def test_a_finished_training_is_left_as_it_is(trained, settings):
    before = (trained / "stage3" / "state.pt").stat().st_mtime_ns
    done = lmeec("mllm", "train", "--config", settings, "--out", trained, "--workers", "1")
    assert done.status == 0, done.err
    assert (trained / "stage3" / "state.pt").stat().st_mtime_ns == before
    assert f"next: lmeec mllm answer VIDEO QUESTION --model {trained / 'stage3' / 'model'}" in done.err


def test_one_stage_begins_with_the_one_before_in_the_same_folder_or_with_another_model(trained, settings, tmp_path):
    begin = trained / "stage1" / "model"
    done = lmeec(
        *("mllm", "train", "--stage", "2", "--config", settings, "--begin", begin, "--out", tmp_path),
        *("--join", "alone", "--workers", "1"),
    )
    assert done.status == 0, done.err
    assert "next: the same with --stage 3" in done.err
    done = lmeec("mllm", "train", "--stage", "3", "--out", tmp_path, "--config", settings, "--join", "alone")
    assert done.status == 0, done.err
    assert load_mllm(tmp_path / "stage3" / "model").model.config.join == "alone"


def test_the_written_settings_can_be_used_again(trained, tmp_path):
    done = lmeec("mllm", "train", "--stage", "1", "--config", trained / "stage1" / "train.yaml", "--out", tmp_path)
    assert done.status == 1
    assert "begins with weights" in done.err  # they were read


def test_data_that_is_missing_is_told_with_the_option(tmp_path):
    done = lmeec("mllm", "train", "--preset", "nano", "--out", tmp_path, "--workers", "1")
    assert done.status == 1
    assert "--pairs" in done.err
    assert "--synthetic" in done.err
