"""The weights that a training begins with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lmeec.config import PRESETS
from lmeec.errors import CheckpointError, ConfigError
from lmeec.files.places import place
from lmeec.files.remote.place import RemotePath
from lmeec.model.build import BUILT_IN, build_model, read_model
from lmeec.model.checkpoint import Checkpoint, check_weights, config_of, read_checkpoint, weights_digest
from lmeec.training.scratch import prepare_from_scratch

if TYPE_CHECKING:
    from lmeec.model.lmeec import LMEEC
    from lmeec.training.config import TrainConfig

DEFAULT_MODEL = "base_plus"
"""What begins with random weights where no model is named."""

_FRESH = "MV_MoE."


def starting_model(config: TrainConfig) -> tuple[LMEEC, str]:
    """A model on the CPU, with what its weights are in words.

    Args:
        config: `model`, `seed` and `scratch.matching` count where there is no `checkpoint`; of SAM 2.1's weights, the
            layers that LM-EEC adds are drawn by `seed`.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        ConfigError: one part alone is to be trained, and there is no checkpoint.
    """
    checkpoint = config.checkpoint
    if checkpoint is None:
        if config.only is not None:
            raise ConfigError(
                f"`only` {config.only} trains a part of a model that predicts already: name its weights with "
                "`checkpoint`",
                settings=["only", "checkpoint"],
            )
        return _from_scratch(config), f"{config.model or DEFAULT_MODEL} from scratch"
    path = place(checkpoint)
    there = isinstance(path, RemotePath) or path.is_file()
    if checkpoint not in BUILT_IN and there and (read := read_checkpoint(path)).is_plain_sam2:
        if config.only is not None:
            raise CheckpointError(
                f"{path}: is a checkpoint of SAM 2.1, without all that LM-EEC adds: train it whole first, and then "
                f"`only` {config.only}",
                settings=["only"],
            )
        model, name = _from_sam2(read, config.seed), path.name
    else:
        model, name = read_model(checkpoint if isinstance(path, Path) else path)
    return model, f"{name} ({weights_digest(model.state_dict())[:12]})"


def _from_scratch(config: TrainConfig) -> LMEEC:
    model = build_model(PRESETS[config.model or DEFAULT_MODEL](), seed=config.seed)
    if config.scratch.matching:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            prepare_from_scratch(model)
    return model


def _from_sam2(checkpoint: Checkpoint, seed: int) -> LMEEC:
    config = config_of(checkpoint)
    try:
        check_weights(checkpoint, config, without=_FRESH)  # before memory is taken for what a file says of itself
    except CheckpointError as error:
        raise CheckpointError(
            f"{checkpoint.path}: is a checkpoint of SAM 2.1, but of another size than base-plus at 1024 or 480 pixels: "
            f"{str(error).splitlines()[1].strip()[:200]}"
        ) from error
    model = build_model(config, seed=seed)
    fresh = {name: value for name, value in model.state_dict().items() if name.startswith(_FRESH)}
    model.load_state_dict({**fresh, **checkpoint.tensors}, strict=True)
    return model
