"""Checkpoint files as users have them: released, converted, of other models, damaged, hostile."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import lmeec
from lmeec.config import ModelConfig
from lmeec.errors import CheckpointError, ConfigError
from lmeec.model.build import load
from lmeec.model.checkpoint import (
    check_weights,
    config_of,
    expected_shapes,
    read_checkpoint,
    weights_digest,
    write_safetensors,
)
from lmeec.model.sources import checkpoint_sources
from tests.support.tiny import TINY

BOTH = ("ego2exo", "exo2ego")


@pytest.fixture(scope="module")
def weights():
    """Weights of nano, which are recognised without a stored configuration, as the released ones are."""
    return lmeec.build_model(ModelConfig.nano(), seed=3).state_dict()


@pytest.fixture
def released(weights, tmp_path):
    """As the released files are: with the optimiser's state."""
    moments = {0: {"step": torch.tensor(7.0), "exp_avg": torch.zeros(9)}}
    content = {"model": weights, "optimizer": {"state": moments, "param_groups": [{"lr": 1e-5}]}, "epoch": 12}
    torch.save(content, tmp_path / "EgoExo_checkpoint.pt")
    return tmp_path / "EgoExo_checkpoint.pt"


def test_released_file(released, weights):
    checkpoint = read_checkpoint(released)
    assert set(checkpoint.tensors) == set(weights)
    assert checkpoint.config is None
    assert config_of(checkpoint) == ModelConfig.nano()
    assert checkpoint.extra == {"optimizer": "2 entries", "epoch": "12"}
    loaded = load(released, "cpu")
    assert loaded.digest == weights_digest(weights)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in loaded.model.state_dict().items())


def test_bare_state_dict(weights, tmp_path):
    torch.save(weights, tmp_path / "bare.pth")
    assert load(tmp_path / "bare.pth", "cpu").digest == weights_digest(weights)


def test_safetensors_keep_weights_digest_and_configuration(tmp_path):
    tensors = lmeec.build_model(TINY, seed=1).state_dict()
    write_safetensors(tmp_path / "tiny.safetensors", tensors, TINY)
    checkpoint = read_checkpoint(tmp_path / "tiny.safetensors")
    assert checkpoint.config == TINY
    assert weights_digest(checkpoint.tensors) == weights_digest(tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_digest_tells_values_and_names_apart(weights):
    name = next(iter(weights))
    changed = weights | {name: weights[name] + 1e-3}
    renamed = {f"x{name}" if key == name else key: tensor for key, tensor in weights.items()}
    assert len({weights_digest(each) for each in (weights, changed, renamed)}) == 3


def test_what_does_not_fit_is_listed(weights, tmp_path):
    spoilt = dict(weights)
    del spoilt["MV_MoE.conv1.0.weight"]
    spoilt["head.bias"] = torch.zeros(2)
    spoilt["no_obj_ptr"] = torch.zeros(1, 5)
    torch.save({"model": spoilt}, tmp_path / "spoilt.pt")
    with pytest.raises(CheckpointError) as error:
        load(tmp_path / "spoilt.pt", "cpu")
    text = str(error.value)
    assert str(tmp_path / "spoilt.pt") in text
    assert "1 missing: MV_MoE.conv1.0.weight" in text
    assert "1 unexpected: head.bias" in text
    assert "1 wrong shape: no_obj_ptr is [1, 5], expected [1, 128]" in text


def test_long_lists_are_cut(tmp_path):
    torch.save({f"layer{i}.weight": torch.zeros(1) for i in range(100)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"100 unexpected: .* and 97 more"):
        load(tmp_path / "other.pt", "cpu")


def test_plain_sam2_is_recognised(tmp_path):
    shapes = expected_shapes(ModelConfig.nano())
    plain = {name: torch.zeros(shape) for name, shape in shapes.items() if not name.startswith("MV_MoE.")}
    torch.save({"model": plain}, tmp_path / "sam2.1_hiera_base_plus.pt")
    checkpoint = read_checkpoint(tmp_path / "sam2.1_hiera_base_plus.pt")
    assert checkpoint.is_plain_sam2
    with pytest.raises(CheckpointError, match=r"plain SAM 2\.1.*MV_MoE.*cannot|plain SAM 2\.1.*not predict"):
        check_weights(checkpoint, config_of(checkpoint))


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def write_pickle(value, path):
    path.write_bytes(pickle.dumps(value))


@pytest.mark.filterwarnings("ignore:.*pickle protocol")
@pytest.mark.parametrize("write", [torch.save, write_pickle])
def test_code_in_a_checkpoint_is_refused_and_not_run(write, weights, tmp_path):
    trace = tmp_path / "trace"
    write({"model": {"no_obj_ptr": torch.zeros(1)}, "args": Hostile(trace)}, tmp_path / "hostile.pt")
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(tmp_path / "hostile.pt")
    assert str(tmp_path / "hostile.pt") in str(error.value)
    assert ("refused" if write is torch.save else "not a plain torch checkpoint") in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_truncated_file(suffix, kept, released, weights, tmp_path):
    whole = released
    if suffix == ".safetensors":
        whole = tmp_path / "whole.safetensors"
        save_file(weights, whole)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * kept)])
    with pytest.raises(CheckpointError, match=r"cut\."):
        read_checkpoint(cut)


@pytest.mark.parametrize("content", ["a list", {"model": "none"}, {"epoch": 3}, {}])
def test_torch_file_without_weights(content, tmp_path):
    torch.save(content, tmp_path / "else.pt")
    with pytest.raises(CheckpointError, match=r"else\.pt: holds"):
        read_checkpoint(tmp_path / "else.pt")


def test_file_of_another_kind(tmp_path):
    for name in ("page.pt", "page.safetensors"):
        (tmp_path / name).write_text("<html>Sign in to download</html>")
        with pytest.raises(CheckpointError, match=name):
            read_checkpoint(tmp_path / name)
    (tmp_path / "weights.onnx").write_bytes(b"\0")
    with pytest.raises(CheckpointError, match=r"\.pt, \.pth, \.safetensors"):
        read_checkpoint(tmp_path / "weights.onnx")
    with pytest.raises(CheckpointError, match="no such"):
        read_checkpoint(tmp_path / "missing.pt")


@pytest.mark.parametrize("stored", ["{", json.dumps({"image_size": 7}), json.dumps({"colour": "red"})])
def test_bad_stored_configuration(stored, weights, tmp_path):
    save_file(weights, tmp_path / "odd.safetensors", metadata={"lmeec.config": stored})
    with pytest.raises(CheckpointError, match=r"odd\.safetensors: its stored configuration"):
        read_checkpoint(tmp_path / "odd.safetensors")


def test_sources_of_each_direction(tmp_path):
    for name in ("EgoExo_checkpoint.pt", "ExoEgo_checkpoint.pt", "ExoEgo_checkpoint.safetensors"):
        (tmp_path / name).touch()
    pair = checkpoint_sources([str(tmp_path)], BOTH)
    assert pair["ego2exo"] == str(tmp_path / "EgoExo_checkpoint.pt")
    assert pair["exo2ego"] == str(tmp_path / "ExoEgo_checkpoint.safetensors"), "the converted one is preferred"
    assert checkpoint_sources(["one.pt"], BOTH) == {"ego2exo": "one.pt", "exo2ego": "one.pt"}
    assert checkpoint_sources(["exo2ego=b.pt", "ego2exo=a.pt"], BOTH) == {"ego2exo": "a.pt", "exo2ego": "b.pt"}
    assert checkpoint_sources(["exo2ego=b.pt", "ego2exo=a.pt"], ["exo2ego"]) == {"exo2ego": "b.pt"}


def test_sources_that_do_not_work_out(tmp_path):
    (tmp_path / "EgoExo_checkpoint.pt").touch()
    with pytest.raises(CheckpointError, match=r"ExoEgo_checkpoint\.safetensors or "):
        checkpoint_sources([str(tmp_path)], BOTH)
    with pytest.raises(CheckpointError, match="no checkpoint for exo2ego"):
        checkpoint_sources(["ego2exo=a.pt"], BOTH)
    with pytest.raises(ConfigError, match=r"ego2exo twice: a\.pt and b\.pt"):
        checkpoint_sources(["ego2exo=a.pt", "ego2exo=b.pt"], BOTH)
    with pytest.raises(ConfigError, match="'sideways' is no direction"):
        checkpoint_sources(["sideways=a.pt"], BOTH)
