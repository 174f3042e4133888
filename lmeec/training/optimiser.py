"""The optimiser of SAM 2's recipe: AdamW with learning rates by depth, all on one cosine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from lmeec.model.lmeec import LMEEC
    from lmeec.training.config import OptimiserConfig

_ENCODER, _TRUNK = "image_encoder.", "image_encoder.trunk."


def make_optimiser(model: LMEEC, config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW over all parameters; each group carries its full learning rate as `base_lr`."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = (base_rate(model, name, config), weight_decay(model, name, config))
        groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": rate, "base_lr": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ],
        lr=config.lr,
        betas=config.betas,
    )


def base_rate(model: LMEEC, name: str, config: OptimiserConfig) -> float:
    """Learning rate of a parameter before the schedule.

    As SAM 2 has it, block i of the trunk's L blocks, counted from 0, has a factor of decay^(L - i), the patch
    embedding before them decay^(L + 1), and the position embedding 1, as all that comes after the trunk.
    """
    if not name.startswith(_ENCODER):
        return config.lr
    if not name.startswith(_TRUNK) or "pos_embed" in name:
        return config.encoder_lr
    trunk = model.image_encoder.trunk
    depth: int = trunk.get_layer_id(name.removeprefix(_TRUNK))
    after: int = trunk.get_num_layers() + 1 - depth
    return config.encoder_lr * config.layer_decay**after


def weight_decay(model: LMEEC, name: str, config: OptimiserConfig) -> float:
    """Weight decay of a parameter: none for biases and layer norms.

    As SAM 2 has it, its two-dimensional norms (`LayerNorm2d`), layer scales and embeddings do decay.
    """
    owner = model.get_submodule(name.rpartition(".")[0])
    return 0.0 if "bias" in name or isinstance(owner, nn.LayerNorm) else config.weight_decay


def schedule(step: int, steps: int, config: OptimiserConfig) -> float:
    """Share of the learning rate at a step, counted from 0: a straight warm-up, then a cosine.

    It reaches `final` where the training ends, which is after the last step (as in SAM 2).

    Example:
        >>> from lmeec.training.config import OptimiserConfig
        >>> [round(schedule(step, 4, OptimiserConfig()), 3) for step in range(4)]
        [1.0, 0.868, 0.55, 0.232]
    """
    if step < config.warmup:
        return (step + 1) / (config.warmup + 1)
    way = (step - config.warmup) / max(steps - config.warmup, 1)
    return config.final + (1 - config.final) * (1 + math.cos(math.pi * way)) / 2


def set_rates(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Set every group's learning rate to a share of its full one."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * share
