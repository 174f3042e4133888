"""Settings of a training of Exo2Ego: its four stages, losses and optimiser."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from lmeec.config import Device, Precision
from lmeec.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.mllm.config import Preset

Stage = Literal[0, 1, 2, 3]
STAGES: tuple[Stage, ...] = get_args(Stage)
NAMES: dict[Stage, str] = {0: "init", 1: "self-preparation", 2: "guidance", 3: "self-practice"}
"""Names of the stages: 1 prepares the demonstrator, in 2 it guides the learner, in 3 the learner practises."""

Cycle = Literal["both", "forward", "none"]
Pool = Literal["none", "space", "space_time"]


@dataclass(frozen=True)
class StageConfig:
    """One stage.

    Attributes:
        batch: clips in an optimiser step, over all workers and accumulated passes.
        lr: learning rate at its highest.
        warmup: share of the steps over which it grows to that.
        epochs: rounds through the data.
        steps: optimiser steps in place of epochs.
        train_ego: train the ego encoder where the stage trains it in the paper (2 and 3).
        train_connector: train the connector, too; the paper names it in no stage but 0.
        train_all: train encoders and language model, too, which begin from nothing (stage 0 alone). Texts are learned
            with one view of each clip, and with both after one another.
        late_lr: learning rate at its highest of connector and language model in stage 0; None for `lr`.
        seeing: so many of the first steps train the encoders, by `losses.marks` alone and one frame of each clip and
            view; those after it train connector and language model. The rate rises and falls once in each part.
    """

    batch: int
    lr: float
    warmup: float = 0.03
    epochs: float = 1
    steps: int | None = None
    train_ego: bool = True
    train_connector: bool = False
    train_all: bool = False
    seeing: int = 0
    late_lr: float | None = None

    def __post_init__(self) -> None:
        require(self.batch >= 1, "stage.batch", self.batch, "at least 1")
        require(self.lr > 0, "stage.lr", self.lr, "positive")
        require(0 <= self.warmup < 1, "stage.warmup", self.warmup, "a share in [0, 1)")
        require(0 < self.epochs < math.inf, "stage.epochs", self.epochs, "positive and no infinity")
        require(self.steps is None or self.steps >= 1, "stage.steps", self.steps, "at least 1")
        require(self.seeing >= 0, "stage.seeing", self.seeing, "zero or more")
        require(
            self.seeing < (self.steps or 1) or not self.seeing,
            "stage.seeing",
            self.seeing,
            "less than `steps`, which it needs",
        )
        require(self.late_lr is None or self.late_lr > 0, "stage.late_lr", self.late_lr, "positive")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses of stages 2 and 0, and how they are taken; the text's loss has weight 1.

    Attributes:
        ccl: of the cycles.
        kl: of the migration; 0 does without.
        cycle: `both` closes ego to exo to ego and the other, `forward` the first alone, `none` neither, and G is not
            trained.
        kl_pool: take means of the features before they are compared: over `space`, or `space_time`.
        temperature: of the softmax.
        marks: of what the cells of drawn pictures show, in a stage 0 that trains everything on synthetic takes. Stands
            in for what encoders that do not begin from nothing have learned before; 0 does without.
    """

    ccl: float = 1.0
    kl: float = 1.0
    cycle: Cycle = "both"
    kl_pool: Pool = "none"
    temperature: float = 1.0
    marks: float = 0.0

    def __post_init__(self) -> None:
        require(self.ccl >= 0, "losses.ccl", self.ccl, "zero or more")
        require(self.kl >= 0, "losses.kl", self.kl, "zero or more")
        require(self.cycle in get_args(Cycle), "losses.cycle", self.cycle, f"one of {', '.join(get_args(Cycle))}")
        require(self.kl_pool in get_args(Pool), "losses.kl_pool", self.kl_pool, f"one of {', '.join(get_args(Pool))}")
        require(self.marks >= 0, "losses.marks", self.marks, "zero or more")
        require(self.temperature > 0, "losses.temperature", self.temperature, "positive")

    @property
    def use_kl(self) -> bool:
        """Whether F(x) is drawn to y."""
        return self.kl > 0

    @property
    def use_ccl(self) -> bool:
        """Whether G is trained."""
        return self.ccl > 0 and self.cycle != "none"


@dataclass(frozen=True)
class MllmTrainConfig:
    """A training of Exo2Ego; the defaults are the paper's, and VideoLLaMA2's where it says nothing.

    Attributes:
        stage0: alignment, or, from nothing, all that later stages begin with.
        stage1: the exo encoder learns from exo clips.
        stage2: the ego encoder, F and G learn from pairs.
        stage3: instructions, with adapters on the language model.
        losses: of stage 2.
        ego_from_exo: let the ego encoder begin stage 2 with the exo encoder's weights.
        micro_batch: clips that go through the network at once.
        recompute: compute activations again for the gradients instead of keeping them.
        weight_decay: of all trained parameters.
        clip_norm: gradients are shortened to this norm.
        betas: AdamW's decay rates.
        final: share of the learning rate that is left at the end.
        seed: every draw depends on it and the step's number alone.
        save_every: steps between saved states.
        device: where to compute.
        dtype: arithmetic; `auto` is bfloat16 on a GPU and float32 on a CPU.
        shard: divide parameters, gradients and optimiser state among the workers (FSDP2), for models that do not fit.
    """

    stage0: StageConfig = field(default_factory=lambda: StageConfig(512, 1e-3, warmup=0.1, epochs=5))
    stage1: StageConfig = field(default_factory=lambda: StageConfig(256, 1e-4, epochs=2))
    stage2: StageConfig = field(default_factory=lambda: StageConfig(256, 1e-4, epochs=2))
    stage3: StageConfig = field(default_factory=lambda: StageConfig(64, 2e-5, epochs=1))
    losses: LossConfig = field(default_factory=LossConfig)
    ego_from_exo: bool = False
    micro_batch: int = 1
    recompute: bool = True
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    final: float = 0.0
    seed: int = 42
    save_every: int = 200
    device: Device = "auto"
    dtype: Precision = "auto"
    shard: bool = False

    def __post_init__(self) -> None:
        require(self.micro_batch >= 1, "micro_batch", self.micro_batch, "at least 1")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "zero or more")
        require(self.clip_norm > 0, "clip_norm", self.clip_norm, "positive")
        require(all(0 <= beta < 1 for beta in self.betas), "betas", self.betas, "two numbers in [0, 1)")
        require(0 <= self.final <= 1, "final", self.final, "in [0, 1]")
        require(self.seed >= 0, "seed", self.seed, "zero or more")
        require(self.save_every >= 1, "save_every", self.save_every, "at least 1")
        for number in (1, 2, 3):
            require(
                not self.stage(number).train_all,
                f"stage{number}.train_all",
                True,
                "false: only stage 0 begins from nothing",
            )

    def stage(self, number: Stage) -> StageConfig:
        """The settings of a stage."""
        return (self.stage0, self.stage1, self.stage2, self.stage3)[number]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values

    @classmethod
    def nano(cls) -> MllmTrainConfig:
        """For the model `nano`, from nothing, on two CPU cores."""
        return cls(
            stage0=StageConfig(24, 2e-3, steps=4200, train_connector=True, train_all=True, seeing=3000, late_lr=2e-3),
            stage1=StageConfig(24, 1e-4, steps=60),
            # Faster, the encoder leaves what connector and language model know to read.
            stage2=StageConfig(24, 1e-4, steps=150),
            stage3=StageConfig(24, 1e-4, steps=100),
            # The views' patches do not lie over one another: drawn to y patch by patch, F says less of the clip.
            losses=LossConfig(marks=1.0, kl_pool="space"),
            micro_batch=24,
            recompute=False,
            weight_decay=0.01,
            betas=(0.9, 0.98),
            save_every=100,
        )


TRAINING: dict[Preset, Callable[[], MllmTrainConfig]] = {"paper": MllmTrainConfig, "nano": MllmTrainConfig.nano}
"""The settings of each model's training."""
