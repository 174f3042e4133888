"""The stages of Exo2Ego (arXiv 2503.09143, section 4): which parts are there, and which of them are trained.

| stage | the language model sees | trained |
|---|---|---|
| 0 init | x, and y | connector; from nothing also the encoders, which are one, and the language model |
| 1 demonstrator self-preparation | y | exo encoder |
| 2 demonstrator-learner guidance | x and F(x) | ego encoder, F, G |
| 3 learner self-practice | x and F(x) | ego encoder, F, adapters on the language model |

Settings can leave parts out (`train_ego`, `cycle`, `lora`) or add the connector (`train_connector`). What no loss
reaches is never trained: F where it is not joined and nothing else looks at it, G without cycles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lmeec.errors import ConfigError
from lmeec.mllm.mapping import make_mapping
from lmeec.mllm.model import ALL_PARTS, Exo2Ego, Part, parts_of_inference

if TYPE_CHECKING:
    from torch import nn

    from lmeec.mllm.config import MllmConfig
    from lmeec.mllm.settings import MllmTrainConfig, Stage

ADAPTERS = ".lora_"
"""Is in the names of adapters' parameters, and of no others."""

LAST_STAGE: Stage = 3

_MAPPINGS: tuple[Part, ...] = ("map_f", "map_g")


def parts_of_stage(stage: Stage, config: MllmConfig) -> tuple[Part, ...]:
    """The parts that are in memory: F and G come with stage 2, and stage 3 has those of inference."""
    if stage == LAST_STAGE:
        return parts_of_inference(config)
    return ALL_PARTS if stage == 2 else tuple(part for part in ALL_PARTS if part not in _MAPPINGS)


def trained_parts(stage: Stage, config: MllmConfig, training: MllmTrainConfig) -> tuple[Part, ...]:
    """The parts that a stage trains; of the language model in stage 3, the adapters alone."""
    settings, losses = training.stage(stage), training.losses
    compared = stage == 2 and (losses.use_kl or losses.use_ccl)
    trained: dict[Part, bool] = {
        "ego_encoder": settings.train_all or (stage in (2, 3) and settings.train_ego),
        "exo_encoder": settings.train_all or stage == 1,
        "connector": stage == 0 or settings.train_connector,
        "map_f": stage in (2, 3) and (config.join == "mapped" or compared),
        "map_g": stage == 2 and losses.use_ccl,
        "llm": settings.train_all or (stage == LAST_STAGE and config.lora is not None),
    }
    return tuple(part for part in ALL_PARTS if trained[part])


def prepare_stage(model: Exo2Ego, stage: Stage, training: MllmTrainConfig) -> None:
    """Make a model ready to train a stage: parts that it does not need leave, and what is trained takes gradients.

    Args:
        model: with the weights that the stage begins with.
        stage: its number.
        training: settings.

    Raises:
        ConfigError: the model lacks a part that the stage needs, or no part would be trained.
    """
    parts = parts_of_stage(stage, model.config)
    for part in model.parts:
        if part not in parts:
            setattr(model, part, None)
    # What begins here is drawn by the seed, whatever was drawn before in this process.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        if stage == 2:
            _begin_mappings(model)
        if stage == LAST_STAGE and model.config.lora is not None:
            model.add_adapters()
    missing = [part for part in parts if part not in model.parts]
    if missing:
        raise ConfigError(f"stage {stage} needs {', '.join(missing)}, which this model is without")
    if stage == 0 and training.stage0.train_all:
        # One encoder that sees both views, as CLIP is one, from which both begin.
        model.ego_encoder = model.exo_encoder
    if stage == 2 and training.ego_from_exo and model.ego_encoder is not None and model.exo_encoder is not None:
        model.ego_encoder.load_state_dict(model.exo_encoder.state_dict())
    trained = trained_parts(stage, model.config, training)
    set_trained(model, trained, adapters_alone=stage == LAST_STAGE)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(f"stage {stage}: these settings leave nothing to train")
    # In training mode throughout, as activations are computed again only there; what is frozen has no dropout.
    model.train()


def _begin_mappings(model: Exo2Ego) -> None:
    """Give a model F and G with random weights, unless it has them from an earlier stage 2."""
    for part in _MAPPINGS:
        made = make_mapping(model.config.mapping, model.config.encoder.width)
        if getattr(model, part) is None:
            setattr(model, part, made.to(model.device))


def set_trained(model: Exo2Ego, trained: tuple[Part, ...], *, adapters_alone: bool) -> None:
    """Let the parameters of some parts take gradients, and no others.

    Args:
        model: is changed.
        trained: the parts.
        adapters_alone: of the language model, train the adapters only.
    """
    model.requires_grad_(False)
    for part in trained:
        module: nn.Module = getattr(model, part)
        for name, parameter in module.named_parameters():
            frozen = part == "llm" and adapters_alone and ADAPTERS not in name
            # The norm of CLIP's pooled output is never computed with.
            unread = part.endswith("_encoder") and name.startswith("post_layernorm.")
            parameter.requires_grad_(not frozen and not unread)
