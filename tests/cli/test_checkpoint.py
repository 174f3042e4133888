"""`lmeec checkpoint` as a user calls it."""

from __future__ import annotations

import json

import pytest
import torch

from lmeec.config import ModelConfig
from lmeec.model.build import build_model
from lmeec.model.checkpoint import read_checkpoint, weights_digest
from tests.support.command import lmeec


@pytest.fixture
def released(tmp_path):
    weights = build_model(ModelConfig.nano(), seed=3).state_dict()
    moments = {name: tensor.clone() for name, tensor in weights.items()}
    torch.save({"model": weights, "optimizer": moments, "epoch": 4}, tmp_path / "EgoExo_checkpoint.pt")
    return tmp_path / "EgoExo_checkpoint.pt"


def inspected(path):
    done = lmeec("checkpoint", "inspect", path, "--json")
    assert done.status == 0, done.err
    return json.loads(done.out)


def test_convert_keeps_the_weights_alone(released, tmp_path):
    out = tmp_path / "small.safetensors"
    done = lmeec("checkpoint", "convert", released, out)
    assert done.status == 0, done.err
    assert out.stat().st_size < 0.6 * released.stat().st_size
    before, after = inspected(released), inspected(out)
    assert before["digest"] == after["digest"] == weights_digest(read_checkpoint(out).tensors)
    assert before["model"] == "nano (recognised by its tensors)"
    assert after["model"] == "nano (stored)"
    assert before["can predict"] == after["can predict"] == "yes"
    assert set(before["also in the file"]) == {"optimizer", "epoch"}
    assert after["config"] == json.loads(json.dumps(ModelConfig.nano().to_dict()))


def test_inspect_is_readable(released):
    done = lmeec("checkpoint", "inspect", released)
    assert done.status == 0
    for words in ("parameters", "nano", "can predict", "epoch: 4"):
        assert words in done.out


def test_inspect_says_why_a_file_cannot_predict(tmp_path):
    torch.save({"model": {"fc.weight": torch.zeros(2, 2)}}, tmp_path / "other.pt")
    verdict = inspected(tmp_path / "other.pt")["can predict"]
    assert verdict.startswith("no: ")
    assert "fc.weight" in verdict


def test_convert_refuses_what_is_there_and_other_endings(released, tmp_path):
    out = tmp_path / "small.safetensors"
    out.write_text("mine")
    done = lmeec("checkpoint", "convert", released, out)
    assert done.status == 1
    assert "--overwrite" in done.err
    assert out.read_text() == "mine"
    assert lmeec("checkpoint", "convert", released, out, "--overwrite").status == 0
    done = lmeec("checkpoint", "convert", released, tmp_path / "small.pt")
    assert done.status == 1
    assert ".safetensors" in done.err


def test_convert_of_another_model_writes_nothing(tmp_path):
    torch.save({"model": {"fc.weight": torch.zeros(2, 2)}}, tmp_path / "other.pt")
    done = lmeec("checkpoint", "convert", tmp_path / "other.pt", tmp_path / "out.safetensors")
    assert done.status == 1
    assert "fc.weight" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["other.pt"]
