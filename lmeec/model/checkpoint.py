"""Read and write checkpoints: the released `.pt` files and `.safetensors`, strictly and without running code from them.

A `.pt` file is {"model": state dict, ...} (sometimes with the optimiser's state, which is ignored), or a bare state
dict. Files written here carry the model's configuration; the released ones do not, and are recognised by their tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from lmeec.config import PRESETS, ModelConfig
from lmeec.errors import CheckpointError
from lmeec.files.places import Place, local_file
from lmeec.files.reading import in_short, make_presentable, reading
from lmeec.files.whole import written_whole
from lmeec.model.lmeec import LMEEC
from lmeec.model.torch_file import read_torch_file, without_memory

SUFFIXES = (".pt", ".pth", ".safetensors")
_CONFIG_KEY = "lmeec.config"
_MEND = "download or convert it again"
_LARGEST_FETCHED = 64 * 2**30
"""Bytes of a checkpoint that is fetched; the released ones have 10**9, and more with an optimiser's state."""

_LISTED = 3
"""At most this many names of each kind are listed in an error."""


@dataclass(frozen=True)
class Checkpoint:
    """Weights as a file holds them.

    Attributes:
        path: the file.
        tensors: the state dict, on the CPU.
        config: the configuration stored with the weights, if any.
        extra: what else is in the file (epoch, optimiser state, ...), by name, with a short description.
    """

    path: Place
    tensors: dict[str, Tensor]
    config: ModelConfig | None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def is_plain_sam2(self) -> bool:
        """Whether this is SAM 2.1 without the Memory-View MoE of LM-EEC."""
        return "maskmem_tpos_enc" in self.tensors and not any(name.startswith("MV_MoE.") for name in self.tensors)


def read_checkpoint(path: Place) -> Checkpoint:
    """Read a checkpoint file; one of a URL is fetched whole, then read as any other.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or would have to run code to be read.
    """
    most = None if isinstance(path, Path) else _LARGEST_FETCHED
    with reading(path, CheckpointError, "a checkpoint", _MEND, most=most):
        if path.suffix not in SUFFIXES:
            raise CheckpointError(f"{path}: a checkpoint's name ends in one of {', '.join(SUFFIXES)}")
        with local_file(path) as local:
            return _read_safetensors(path, local) if path.suffix == ".safetensors" else _read_torch(path, local)


def _read_safetensors(path: Place, local: Path) -> Checkpoint:
    with safe_open(local, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        metadata = file.metadata() or {}
    config = None
    if _CONFIG_KEY in metadata:
        config = _config_from(path, metadata[_CONFIG_KEY])
    return Checkpoint(path, tensors, config, {k: v for k, v in metadata.items() if k != _CONFIG_KEY})


def _config_from(path: Place, stored: str | dict[str, Any]) -> ModelConfig:
    """The configuration that is stored in a file, as JSON or as it was."""
    try:
        return ModelConfig.from_dict(json.loads(stored) if isinstance(stored, str) else stored)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its stored configuration cannot be used: {in_short(str(error))}") from error


def _read_torch(path: Place, local: Path) -> Checkpoint:
    content = read_torch_file(local, CheckpointError, "a torch checkpoint", _MEND, source=path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a state dict")
    state = content.get("model", content)
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items())
    ):
        raise CheckpointError(f'{path}: holds no state dict, neither under "model" nor by itself')
    extra = (
        {} if state is content else {str(k): _describe(v) for k, v in content.items() if k not in ("model", "config")}
    )
    stored = content.get("config") if state is not content else None
    config = _config_from(path, stored) if isinstance(stored, dict) else None
    return Checkpoint(path, dict(state), config, extra)


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)}"
    return str(value)[:60]


def config_of(checkpoint: Checkpoint) -> ModelConfig:
    """The configuration a checkpoint belongs to: the stored one, or the preset that its tensors fit best.

    The tensors need not fit it exactly; `load_weights` says how they differ.
    """
    if checkpoint.config is not None:
        return checkpoint.config

    def misfits(config: ModelConfig) -> int:
        return sum(len(names) for names in _compare(expected_shapes(config), checkpoint.tensors).values())

    return min((preset() for preset in PRESETS.values()), key=misfits)


@cache
def expected_shapes(config: ModelConfig) -> dict[str, torch.Size]:
    """Name and shape of every tensor of a model."""
    with without_memory():
        return {name: tensor.shape for name, tensor in LMEEC(config).state_dict().items()}


def _compare(expected: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]) -> dict[str, list[str]]:
    return {
        "missing": [name for name in expected if name not in tensors],
        "unexpected": [name for name in tensors if name not in expected],
        "wrong shape": [
            f"{name} is {list(tensors[name].shape)}, expected {list(shape)}"
            for name, shape in expected.items()
            if name in tensors and tensors[name].shape != shape
        ],
    }


def check_weights(checkpoint: Checkpoint, config: ModelConfig, *, without: str | None = None) -> None:
    """Check that the tensors are exactly those of the model, of which no memory is taken.

    Args:
        checkpoint: the tensors.
        config: of the model.
        without: names that begin so need not be there, as they are drawn anew; None for none.

    Raises:
        CheckpointError: names are missing or unexpected, or shapes differ; they are listed.
    """
    expected = expected_shapes(config)
    if without is not None:
        expected = {name: shape for name, shape in expected.items() if not name.startswith(without)}
    differences = _compare(expected, checkpoint.tensors)
    if not any(differences.values()):
        return
    if checkpoint.is_plain_sam2 and not differences["unexpected"] and not differences["wrong shape"]:
        raise CheckpointError(
            f"{checkpoint.path}: this is a plain SAM 2.1 checkpoint: it lacks LM-EEC's Memory-View MoE (MV_MoE), so it "
            "can start a training but not predict; give an LM-EEC checkpoint"
        )
    lines = [f"{checkpoint.path}: does not fit this model"]
    for kind, names in differences.items():
        if names:
            more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            lines.append(f"  {len(names)} {kind}: {', '.join(in_short(one, 60) for one in names[:_LISTED])}{more}")
    error = CheckpointError("\n".join(lines))
    make_presentable(error, checkpoint.path)
    raise error


def load_weights(model: LMEEC, checkpoint: Checkpoint) -> None:
    """Copy a checkpoint's tensors into a model.

    Raises:
        CheckpointError: they are not exactly the model's (see `check_weights`).
    """
    check_weights(checkpoint, model.config)
    model.load_state_dict(checkpoint.tensors, strict=True)


def write_safetensors(path: Path, model_tensors: Mapping[str, Tensor], config: ModelConfig) -> None:
    """Write weights and configuration; the file appears under its name only when whole.

    Raises:
        DiskFullError: there is no space.
        OutputError: the file cannot be written.
    """
    metadata = {"format": "pt", _CONFIG_KEY: json.dumps(config.to_dict())}
    data = save({name: t.contiguous() for name, t in model_tensors.items()}, metadata)
    with written_whole(path) as file:
        file.write(data)


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes, types and values: the same before and after a conversion of the file."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}:{list(tensor.shape)}:{tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
