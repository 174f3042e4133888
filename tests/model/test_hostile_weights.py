"""Weights that ask for more than they hold are refused before memory is taken for them."""

import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lmeec.config import ModelConfig
from lmeec.errors import CheckpointError, ConfigError
from lmeec.model.build import read_model
from lmeec.model.checkpoint import read_checkpoint


def test_a_packed_archive_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"N" * 2**24)
    with pytest.raises(CheckpointError, match="unpacks to more"):
        read_checkpoint(path)


def test_a_tensor_that_repeats_one_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.pt"
    torch.save({"model": {"w": torch.zeros(1).expand(10**6, 10**5)}}, path)
    with pytest.raises(CheckpointError, match=r"wide\.pt: a tensor of \[1000000, 100000\]"):
        read_checkpoint(path)


def test_the_form_of_before_torch_1_6_is_refused_with_how_to_write_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"model": {"w": torch.zeros(1)}}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"old\.pt: is of the form that torch wrote before version 1\.6"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "held", [bytearray(2), {1, 2}, b"bytes", torch.Size([2])], ids=lambda held: type(held).__name__
)
def test_calls_that_could_take_all_memory_are_refused_unloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: object
) -> None:
    torch.save({"model": {"w": torch.zeros(1)}, "more": held}, tmp_path / "calls.pt")
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(CheckpointError, match=r"calls\.pt: holds Python objects besides tensors"):
        read_checkpoint(tmp_path / "calls.pt")


def test_tensors_that_share_numbers_many_times_are_refused(tmp_path: Path) -> None:
    one = torch.zeros(2**16)
    torch.save({"model": {f"w{number}": one.view(-1) for number in range(50)}}, tmp_path / "shared.pt")
    with pytest.raises(CheckpointError, match="but the file only"):
        read_checkpoint(tmp_path / "shared.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"trunk": None},
        {"trunk": [1, 2]},
        {"trunk": asdict(ModelConfig().trunk) | {"stages": [1_000_000, 1, 1, 1]}},
        {"trunk": asdict(ModelConfig().trunk) | {"num_heads": 0}},
        {"hidden_dim": 10**6},
        {"hidden_dim": 2.5},
        {"image_size": 384_000},
        {"memory_encoder": {"out_dim": 0}},
        {"mask_decoder": {"num_heads": 0}},
        {"unheard_of": 1},
        {"mask_decoder": {"unheard_of": 1}},
    ],
)
def test_a_stored_configuration_out_of_bounds_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    stored = json.loads(json.dumps(ModelConfig.nano().to_dict())) | change
    with pytest.raises(ConfigError):
        ModelConfig.from_dict(stored)
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(1)}, path, {"lmeec.config": json.dumps(stored)})
    with pytest.raises(CheckpointError, match="its stored configuration cannot be used"):
        read_checkpoint(path)


def test_nothing_is_built_that_the_file_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = ModelConfig.base_plus().to_dict() | {"hidden_dim": 4096}
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(1)}, path, {"lmeec.config": json.dumps(large)})
    monkeypatch.setattr("lmeec.model.build.build_model", lambda *_: pytest.fail("built"))
    with pytest.raises(CheckpointError, match="does not fit this model"):
        read_model(path)
