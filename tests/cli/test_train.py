"""`lmeec train` as a user meets it."""

from __future__ import annotations

import json
import signal

import pytest
import torch
from ruamel.yaml import YAML

from lmeec.config import ModelConfig
from lmeec.model.checkpoint import expected_shapes, read_checkpoint, weights_digest
from lmeec.tables import read_results
from lmeec.training.output.log import read_log
from tests.support.command import lmeec, start_lmeec

SETTINGS = "micro_batch: 2\nrecompute: false\nsave_every: 2\n"


@pytest.fixture
def call(rendered_takes, tiny, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text(SETTINGS)
    options = ["--out", tmp_path / "run", "--checkpoint", tiny, "--config", settings, "--batch", 2, "--clip-frames", 3]
    return ["train", rendered_takes.root, *options, "--lr", "1e-3", "--device", "cpu"]


def test_train_resume_and_predict(call, rendered_takes, tmp_path):
    run = tmp_path / "run"
    done = lmeec(*call, "--steps", 3, "--validate", rendered_takes.root, "--validate-every", 2)
    assert done.status == 0, done.err
    assert "15 tracks of 2 takes" in done.err
    assert "validation after step 3" in done.err
    names = {"best.safetensors", "last.safetensors", "state.pt", "log.jsonl", "tensorboard", "train.yaml", "cache"}
    assert {path.name for path in run.iterdir()} == {*names, ".lock"}
    assert [(line["kind"], line["step"]) for line in read_log(run)] == [
        ("step", 1),
        ("step", 2),
        ("validation", 2),
        ("step", 3),
        ("validation", 3),
    ]
    assert read_log(run)[2]["ego2exo"]["frames"] > 0
    assert list((run / "tensorboard").iterdir())

    again = lmeec(*call, "--steps", 3)
    assert again.status == 0
    assert "holds the whole training already" in again.err
    other = lmeec(*call, "--steps", 3, "--seed", 5)
    assert other.status == 1
    assert "seed was 0 and is now 5" in other.err
    same = lmeec("train", rendered_takes.root, "--out", run, "--checkpoint", call[5], "--config", run / "train.yaml")
    assert same.status == 0, same.err

    for name in ("best", "last"):
        out = tmp_path / f"{name}.parquet"
        predicted = lmeec("predict", rendered_takes.root, "--out", out, "--checkpoint", run / f"{name}.safetensors")
        assert predicted.status == 0, predicted.err
        assert len(read_results(out)) > 0


def test_the_settings_that_a_training_leaves_repeat_it(call, rendered_takes, tmp_path):
    """The weights that it began with are among them, and no other model is named."""
    first, again = tmp_path / "run", tmp_path / "again"
    assert lmeec(*call, "--steps", 1).status == 0
    settings = YAML(typ="safe").load(first / "train.yaml")
    assert (settings["checkpoint"], settings["model"]) == (str(call[5]), None)
    done = lmeec("train", rendered_takes.root, "--out", again, "--config", first / "train.yaml")
    assert done.status == 0, done.err
    weights = [read_checkpoint(path / "last.safetensors").tensors for path in (first, again)]
    assert weights_digest(weights[0]) == weights_digest(weights[1])
    # Options come first, also where the file names the other.
    other = lmeec("train", rendered_takes.root, "--out", again, "--config", first / "train.yaml", "--model", "nano")
    assert "checkpoint was 'tiny.safetensors" in other.err
    assert "and is now 'nano from scratch'" in other.err


def test_settings_name_the_model_that_begins_from_nothing(tmp_path):
    phases = "[{frames: 1, clips: 1, crop: 64}]"
    (tmp_path / "few.yaml").write_text(f"synthetic: {{window: 2, frames_kept: 1, phases: {phases}}}\nmodel: nano\n")
    options = ["--steps", 1, "--device", "cpu"]
    done = lmeec("train", "synthetic", "--out", tmp_path / "run", "--config", tmp_path / "few.yaml", *options)
    assert done.status == 0, done.err
    settings = YAML(typ="safe").load(tmp_path / "run" / "train.yaml")
    assert (settings["checkpoint"], settings["model"]) == (None, "nano")
    (tmp_path / "both.yaml").write_text("model: nano\ncheckpoint: sam2.pt\n")
    both = lmeec("train", "synthetic", "--out", tmp_path / "both", "--config", tmp_path / "both.yaml", *options)
    assert both.status == 1
    assert "checkpoint sam2.pt brings its own model: leave out model nano" in both.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "terminated"])
def test_a_signal_saves_and_says_how_to_go_on(number, call, tmp_path):
    process = start_lmeec(*call, "--steps", 100000, "--log-format", "json")
    for line in process.stderr:
        if json.loads(line)["event"] == "saved":
            process.send_signal(number)
            break
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "run the same command again to go on" in err
    assert "Traceback" not in err
    steps = read_log(tmp_path / "run")[-1]["step"]
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["step"] == steps
    assert not list((tmp_path / "run").glob(".*.tmp"))


def test_mistakes_in_settings_name_key_and_line(call, tmp_path):
    (tmp_path / "settings.yaml").write_text("optimiser:\n  lr: 1e-4\n  lrr: 3\nclips:\n  frames: many\nbatch: 0\n")
    done = lmeec(*call)
    assert done.status == 1
    assert "settings.yaml, line 3: optimiser.lrr: this key is not known" in done.err
    assert "settings.yaml, line 5: clips.frames: " in done.err
    (tmp_path / "settings.yaml").write_text("seed: 1\noptimiser:\n  layer_decay: 2\n")
    done = lmeec(*call)
    assert done.status == 1
    assert "line 2: optimiser: `optimiser.layer_decay` is 2.0, but must be in (0, 1]" in done.err


def test_wrong_calls(call, rendered_takes, tmp_path):
    assert "leave out --model" in lmeec(*call, "--model", "nano").err
    assert "--steps" in lmeec("train", "synthetic", "--out", tmp_path / "run", "--model", "nano").err
    nowhere = lmeec("train", tmp_path / "nowhere", "--out", tmp_path / "run", "--model", "nano")
    assert nowhere.status == 1
    assert "there is no such folder" in nowhere.err
    long = lmeec(*call, "--clip-frames", 7)
    assert long.status == 1
    assert "7 successive frames" in long.err


def test_what_can_be_told_at_once_is_told_before_any_frame_is_decoded(call, rendered_takes, tmp_path):
    wrong = {
        "clips have 20 frames": ["--clip-frames", 20],
        "nowhere: there is no such folder": ["--validate", tmp_path / "nowhere"],
        "nothing.json: there is no such relations file": [
            "--validate",
            rendered_takes.root,
            "--validate-annotations",
            tmp_path / "nothing.json",
        ],
    }
    for words, options in wrong.items():
        done = lmeec(*call, *options)
        assert done.status == 1
        assert words in done.err
        assert not (tmp_path / "run" / "cache").exists()
    own = [*call[:5], tmp_path / "run" / "last.safetensors", *call[6:]]
    assert "this training would overwrite it" in lmeec(*own).err
    for key, value in {"renewal": 0, "objects": "[8, 4]", "window": 0, "phases": "[{crop: 100}]"}.items():
        (tmp_path / "settings.yaml").write_text(f"synthetic:\n  {key}: {value}\n")
        done = lmeec("train", "synthetic", *call[2:4], "--steps", 2, "--config", tmp_path / "settings.yaml")
        assert done.status == 1
        assert "must be" in done.err
        assert "Traceback" not in done.err


def test_the_recipe_runs(rendered_takes, tiny, tmp_path):
    changes = {
        "train.takes": rendered_takes.root,
        "train.out": tmp_path / "run",
        "train.checkpoint": tiny,
        "train.validate": "null",
        "settings.device": "cpu",
        "settings.steps": 1,
        "settings.batch": 1,
        "settings.clips.frames": 3,
    }
    options = [text for key, value in changes.items() for text in ("--set", f"{key}={value}")]
    done = lmeec("recipe", "run", "finetune", *options)
    assert done.status == 0, done.err
    assert (tmp_path / "run" / "last.safetensors").exists()
    wrong = lmeec("recipe", "run", "finetune", *options, "--set", "settings.optimiser.lrr=1")
    assert "--set settings.optimiser.lrr=1: settings.optimiser.lrr: this key is not known" in wrong.err


def test_nanos_recipe_runs_through_its_phases(tmp_path):
    phases = "[{until: 0.5, frames: 1, clips: 2, crop: 128}, {until: 1, lengths: [2], clips: 4, together: true}]"
    changes = {
        "train.out": tmp_path / "run",
        "settings.device": "cpu",
        "settings.steps": 2,
        "settings.synthetic.window": 3,
        "settings.synthetic.frames_kept": 2,
        "settings.synthetic.phases": phases,
    }
    options = [text for key, value in changes.items() for text in ("--set", f"{key}={value}")]
    done = lmeec("recipe", "run", "train-nano", *options)
    assert done.status == 0, done.err
    losses = [entry for entry in read_log(tmp_path / "run") if entry["kind"] == "step"]
    assert [entry["step"] for entry in losses] == [1, 2]
    assert all(entry[name] > 0 for entry in losses for name in ("correspondence", "balanced", "near"))
    assert losses[-1]["dense"] > 0
    assert list((tmp_path / "run" / "cache").glob("*.npz"))
    shapes = {
        name: tensor.shape for name, tensor in read_checkpoint(tmp_path / "run" / "last.safetensors").tensors.items()
    }
    assert shapes == expected_shapes(ModelConfig.nano_fine())


def test_the_presence_head_alone(rendered_takes, tiny, tmp_path):
    """All that `only` presence leaves in its folder differs from what it began with in the head."""
    run = tmp_path / "run"
    call = ["train", rendered_takes.root, "--out", run, "--checkpoint", tiny, "--only", "presence", "--clip-frames", 3]
    done = lmeec(*call, "--batch", 2, "--steps", 12, "--device", "cpu")
    assert done.status == 0, done.err
    assert "balanced accuracy" in done.err
    before, after = (read_checkpoint(path).tensors for path in (tiny, run / "last.safetensors"))
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {name for name in before if "pred_obj_score_head" in name}
    refused = lmeec("train", rendered_takes.root, "--out", tmp_path / "other", "--only", "presence")
    assert refused.status == 1
    assert "name its weights with --checkpoint" in refused.err
