"""Make models ready for inference: with random weights, built in by name, or from a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lmeec.errors import CheckpointError, ConfigError
from lmeec.files.places import Place, place
from lmeec.model.checkpoint import check_weights, config_of, load_weights, read_checkpoint, weights_digest
from lmeec.model.compiled import compile_for_gpu
from lmeec.model.cpu import optimise_for_cpu
from lmeec.model.lmeec import LMEEC

if TYPE_CHECKING:
    from lmeec.config import Device, ModelConfig, Precision

_WEIGHTS = Path(__file__).parents[1] / "weights"

BUILT_IN = {"nano": _WEIGHTS / "nano.safetensors"}
"""Models that can be loaded by name alone, and their weights."""


@dataclass(frozen=True)
class LoadedModel:
    """A model with where its weights come from.

    Attributes:
        model: in evaluation mode, on its device.
        name: the built-in name or the checkpoint's file name.
        digest: of the weights.
        dtype: arithmetic of the large operations.
    """

    model: LMEEC
    name: str
    digest: str
    dtype: torch.dtype


def build_model(config: ModelConfig, *, seed: int | None = None) -> LMEEC:
    """A model with random weights, in evaluation mode.

    Args:
        config: sizes.
        seed: makes the weights repeatable, without touching the global random state.
    """
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return LMEEC(config).eval()


def load_model(source: str | Place, device: Device = "auto", dtype: Precision = "auto") -> LMEEC:
    """Load a model for inference; on a CPU it is arranged for that (see `lmeec.model.cpu`) and cannot be trained.

    Args:
        source: a built-in name ("nano"), or the path or URL of a checkpoint.
        device: "auto" takes a GPU where there is one.
        dtype: "auto" is bfloat16 on a GPU and float32 on a CPU.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ConfigError: the device is not there.
    """
    return load(source, device, dtype).model


def load(
    source: str | Place, device: Device = "auto", dtype: Precision = "auto", *, compiled: bool = False
) -> LoadedModel:
    """Like `load_model`, with the weights' origin.

    Args:
        source: see `load_model`.
        device: see `load_model`.
        dtype: see `load_model`.
        compiled: compile the network with torch.compile; for GPUs.

    Raises:
        ConfigError: compiling for a CPU.
    """
    where = resolve_device(device)
    if compiled and where.type == "cpu":
        raise ConfigError(
            "compiling is for GPUs: on a CPU it takes minutes and gains nothing; leave out `compile`",
            settings=["compile"],
        )
    model, name = read_model(source)
    digest = weights_digest(model.state_dict())
    model = model.to(where)
    model.compute_dtype = resolve_dtype(dtype, where)
    if where.type == "cpu":
        optimise_for_cpu(model)
    elif compiled:
        compile_for_gpu(model)
    return LoadedModel(model, name, digest, model.compute_dtype)


def read_model(source: str | Place) -> tuple[LMEEC, str]:
    """A model on the CPU as its weights are, not yet arranged for anything, so that it can be trained.

    Args:
        source: see `load_model`.

    Returns:
        The model in evaluation mode, and the built-in name or the checkpoint's file name.

    Raises:
        CheckpointError: the checkpoint cannot be used.
    """
    path = BUILT_IN.get(str(source)) or place(source)
    if isinstance(path, Path) and not path.exists() and path.suffix == "":
        known = ", ".join(BUILT_IN)
        raise CheckpointError(f"{source}: neither a checkpoint file nor a built-in model ({known})")
    checkpoint = read_checkpoint(path)
    config = config_of(checkpoint)
    check_weights(checkpoint, config)  # before memory is taken for what a file says of itself
    model = build_model(config)
    load_weights(model, checkpoint)
    return model, str(source) if str(source) in BUILT_IN else path.name


def resolve_device(device: Device) -> torch.device:
    """The device that a setting means on this machine.

    Raises:
        ConfigError: it is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device is 'cuda', but torch sees no GPU here; use `device=\"cpu\"` or install torch with CUDA",
            settings=["device"],
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(
            "device is 'mps', but torch sees no Apple GPU here; use `device=\"cpu\"`", settings=["device"]
        )
    return torch.device(device)


def resolve_dtype(dtype: Precision, device: torch.device) -> torch.dtype:
    """The arithmetic that a setting means on a device."""
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]


def has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices faster than float32 ones (AMX or AVX512-BF16)."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
