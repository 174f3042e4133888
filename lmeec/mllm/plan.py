"""What a training would need: parameters, memory a GPU and steps, without any weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lmeec.errors import ConfigError, require
from lmeec.mllm.model import Exo2Ego
from lmeec.mllm.settings import NAMES
from lmeec.mllm.stages import parts_of_stage, prepare_stage

if TYPE_CHECKING:
    from torch import nn

    from lmeec.mllm.config import MllmConfig
    from lmeec.mllm.settings import MllmTrainConfig, Stage

_FLOAT32, _ADAM = 4, 8
_PREFETCHED = 2
"""Layers that are gathered at once: the one that computes, and the next."""


@dataclass(frozen=True)
class StagePlan:
    """What a stage needs.

    Attributes:
        stage: Its number.
        name: What it is called.
        parameters: In memory, over all GPUs once.
        trained: Those of them that are trained.
        weights: Bytes a GPU of parameters.
        gradients: Bytes a GPU of gradients.
        optimiser: Bytes a GPU of AdamW's two moments.
        gathered: Bytes a GPU of parameters of others that it gathers while it computes; 0 undivided.
        inputs: Bytes a GPU of the inputs of layers that are kept to compute activations again. What the layer at hand
            computes comes on top, and without `recompute` the activations of all.
        batch: Clips a step, over all GPUs.
        passes: Through the network on each GPU in a step.
        steps: Optimiser steps.
    """

    stage: Stage
    name: str
    parameters: int
    trained: int
    weights: int
    gradients: int
    optimiser: int
    gathered: int
    inputs: int
    batch: int
    passes: int
    steps: int

    @property
    def total(self) -> int:
        """Bytes a GPU of all that is counted."""
        return self.weights + self.gradients + self.optimiser + self.gathered + self.inputs


def plan_stage(
    model: MllmConfig, training: MllmTrainConfig, stage: Stage, *, gpus: int, clips: int, shard: bool
) -> StagePlan:
    """Count what a stage needs.

    Args:
        model: Sizes and choices.
        training: Settings; `dtype` other than float32 counts as bfloat16.
        stage: Its number.
        gpus: Workers.
        clips: That the stage learns from.
        shard: Whether parameters, gradients and optimiser state are divided among them.

    Raises:
        ConfigError: The batch cannot be divided among so many, or nothing would be trained.
    """
    require(gpus >= 1, "gpus", gpus, "at least 1")
    require(clips >= 1, "clips", clips, "at least 1")
    settings = training.stage(stage)
    if settings.batch < gpus:
        raise ConfigError(
            f"`training.stage{stage}.batch` is {settings.batch}, which cannot be divided among {gpus} workers",
            settings=[f"training.stage{stage}.batch"],
        )
    with torch.device("meta"):
        made = Exo2Ego(model, parts_of_stage(stage, model))
        prepare_stage(made, stage, training)
    width = _FLOAT32 if training.dtype == "float32" else 2
    divided = gpus if shard else 1
    trained = sum(one.numel() for one in made.parameters() if one.requires_grad)
    return StagePlan(
        stage=stage,
        name=NAMES[stage],
        parameters=sum(one.numel() for one in made.parameters()),
        trained=trained,
        weights=math.ceil(_bytes(made, width) / divided),
        gradients=math.ceil(trained * _FLOAT32 / divided),
        optimiser=math.ceil(trained * _ADAM / divided),
        gathered=_gathered(made, width) if divided > 1 else 0,
        inputs=training.micro_batch * _inputs(made, model, stage) * width,
        batch=settings.batch,
        passes=math.ceil(math.ceil(settings.batch / gpus) / training.micro_batch),
        steps=settings.steps or math.ceil(settings.epochs * clips / settings.batch),
    )


def _bytes(module: nn.Module, width: int) -> int:
    """Of the parameters in memory: what is trained, and norms and biases, are float32 (`lmeec.mllm.task.cast_for`)."""
    return sum(
        one.numel() * (_FLOAT32 if one.requires_grad or one.dim() == 1 else width) for one in module.parameters()
    )


def _gathered(model: Exo2Ego, width: int) -> int:
    """What is no layer, which is gathered for a whole pass, and the largest layers."""
    each = [_bytes(layer, width) for layer in model.layers]
    return _bytes(model, width) - sum(each) + _PREFETCHED * max(each)


def _inputs(model: Exo2Ego, config: MllmConfig, stage: Stage) -> int:
    """Numbers that a clip's layers get, of all layers that gradients go through; with the longest text."""
    visual = config.connector.tokens(config.frames, config.encoder.grid) if stage < 2 else config.visual_tokens
    language = config.language.layers * (visual + config.text_limit) * config.language.width
    encoder = config.encoder
    a_view = encoder.layers * config.frames * (encoder.grid**2 + 1) * encoder.width
    encoders = {id(one): one for one in (model.ego_encoder, model.exo_encoder) if one is not None}
    through = sum(any(value.requires_grad for value in one.parameters()) for one in encoders.values())
    return language + through * a_view
