"""Settings of a training: the defaults are those of `finetune`, and `released` gives those of the released weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from lmeec.config import DEFAULT_POLICY, PRESETS, Device, Policy, Precision
from lmeec.errors import ConfigError, require
from lmeec.training.clips.augment import AugmentConfig
from lmeec.training.clips.config import ClipConfig
from lmeec.training.clips.synthetic import Phase, SyntheticConfig
from lmeec.training.losses import LossWeights
from lmeec.training.rules import RULES, Preset, Rules

if TYPE_CHECKING:
    from collections.abc import Callable

Only = Literal["presence"]
"""Parts of the network that can be trained by themselves."""


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW with a learning rate that falls along a cosine.

    Attributes:
        lr: learning rate at the beginning, of everything but the image encoder.
        encoder_lr: that of the image encoder.
        layer_decay: factor from one block of the encoder's trunk to the one before; 1 trains all alike.
        final: share of the learning rate that is left at the end.
        warmup: steps over which the learning rate grows to its full value.
        weight_decay: of all parameters but biases and those of layer norms (see `lmeec.training.optimiser`).
        clip_norm: gradients are shortened to this norm.
        betas: AdamW's decay rates.
    """

    lr: float = 5e-6
    encoder_lr: float = 3e-6
    layer_decay: float = 0.9
    final: float = 0.1
    warmup: int = 0
    weight_decay: float = 0.1
    clip_norm: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        require(self.lr > 0, "optimiser.lr", self.lr, "positive")
        require(self.encoder_lr >= 0, "optimiser.encoder_lr", self.encoder_lr, "zero or more")
        require(0 < self.layer_decay <= 1, "optimiser.layer_decay", self.layer_decay, "in (0, 1]")
        require(0 <= self.final <= 1, "optimiser.final", self.final, "in [0, 1]")
        require(self.warmup >= 0, "optimiser.warmup", self.warmup, "zero or more")
        require(self.weight_decay >= 0, "optimiser.weight_decay", self.weight_decay, "zero or more")
        require(self.clip_norm > 0, "optimiser.clip_norm", self.clip_norm, "positive")
        require(all(0 <= beta < 1 for beta in self.betas), "optimiser.betas", self.betas, "two numbers in [0, 1)")


@dataclass(frozen=True)
class ScratchConfig:
    """Help for weights that start from nothing.

    Attributes:
        matching: start with memory attention that compares features (`lmeec.training.scratch`); without a
            checkpoint only.
        annotated_memory: chance that an object's target memories are made from the annotations instead of the
            predictions.
    """

    matching: bool = True
    annotated_memory: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.annotated_memory <= 1, "scratch.annotated_memory", self.annotated_memory, "in [0, 1]")


@dataclass(frozen=True)
class PresenceConfig:
    """How the head that says whether an object is visible is trained by itself (`lmeec.training.presence`).

    Attributes:
        absent: share of clips of takes that are cut where an object is annotated as not visible; the others come as
            they come. Synthetic scenes have `synthetic.absent` for it.
        serves: steps that a batch of clips serves: reading it is what costs time, steps from what is kept cost none.
        kept: batches from which every step learns; a few hundred bytes an object and frame.
    """

    absent: float = 0.5
    serves: int = 10
    kept: int = 100

    def __post_init__(self) -> None:
        require(0 <= self.absent <= 1, "presence.absent", self.absent, "in [0, 1]")
        for name in ("serves", "kept"):
            require(getattr(self, name) >= 1, f"presence.{name}", getattr(self, name), "at least 1")


@dataclass(frozen=True)
class ValidationConfig:
    """How the model is judged on the way, by the project's own prediction and metrics.

    Attributes:
        every: steps between validations; the last step is always followed by one.
        takes: validate on so many takes, spread evenly over those there are; None takes all.
        policy: of the memory banks; the default is that of `lmeec predict`, so that the scores are what users get.
    """

    every: int = 1000
    takes: int | None = None
    policy: Policy = DEFAULT_POLICY

    def __post_init__(self) -> None:
        require(self.every >= 1, "validation.every", self.every, "at least 1")
        require(self.takes is None or self.takes >= 1, "validation.takes", self.takes, "at least 1")
        require(self.policy in get_args(Policy), "validation.policy", self.policy, f"one of {get_args(Policy)}")


@dataclass(frozen=True)
class TrainConfig:
    """A training.

    Attributes:
        preset: names the rules by which clips are cut and steps computed (see `lmeec.training.rules`); its other
            settings are in `DEFAULTS`.
        only: train this part alone, and leave all else as it is, to the last bit: `presence`, the head that makes the
            object score. None trains everything. Its other settings are in `presence`.
        checkpoint: weights to begin with: a file of SAM 2.1 or LM-EEC, or a built-in name; None draws random ones.
        model: sizes of the network that begins with random weights, by name; None means base_plus. A checkpoint brings
            its own.
        seed: every draw depends on it and the step's number alone.
        epochs: rounds through the takes.
        passes: clips of every track (object, query camera and target camera) in an epoch.
        steps: optimiser steps; None means those of the epochs. Synthetic scenes have no epochs and need it.
        batch: clips in an optimiser step, over all workers; the phases of synthetic scenes have numbers of their own.
        micro_batch: clips that go through the network at once; as many as fit into memory.
        recompute: compute activations again for the gradients instead of keeping them: several times less memory for
            a third more time.
        mask_stride: masks are compared at a resolution of image size / stride; 1 as in SAM 2.
        drop_path: chance that a frame skips a residual branch of the image encoder's last block; falls evenly to zero
            at the first (stochastic depth).
        save_every: steps between saved states.
        device: where to compute.
        dtype: arithmetic; `auto` is bfloat16 on a GPU and float32 on a CPU.
        losses: weights of the losses.
        optimiser: see there; so are the following.
    """

    preset: Preset = "finetune"
    only: Only | None = None
    checkpoint: str | None = None
    model: str | None = None
    seed: int = 0
    epochs: float = 60
    passes: int = 1
    steps: int | None = None
    batch: int = 32
    micro_batch: int = 1
    recompute: bool = True
    mask_stride: int = 1
    drop_path: float = 0.1
    save_every: int = 200
    device: Device = "auto"
    dtype: Precision = "auto"
    losses: LossWeights = field(default_factory=LossWeights)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    clips: ClipConfig = field(default_factory=ClipConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    scratch: ScratchConfig = field(default_factory=ScratchConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        require(self.preset in RULES, "preset", self.preset, f"one of {', '.join(RULES)}")
        require(self.only in (None, *get_args(Only)), "only", self.only, f"one of {', '.join(get_args(Only))}")
        require(self.model in (None, *PRESETS), "model", self.model, f"one of {', '.join(PRESETS)}")
        if self.checkpoint is not None and self.model is not None:
            raise ConfigError(f"checkpoint {self.checkpoint} brings its own model: leave out model {self.model}")
        require(self.seed >= 0, "seed", self.seed, "zero or more")
        require(0 < self.epochs < math.inf, "epochs", self.epochs, "positive and no infinity")
        require(self.passes >= 1, "passes", self.passes, "at least 1")
        require(self.steps is None or self.steps >= 1, "steps", self.steps, "at least 1")
        require(self.batch >= 1, "batch", self.batch, "at least 1")
        require(self.micro_batch >= 1, "micro_batch", self.micro_batch, "at least 1")
        require(self.mask_stride in (1, 2, 4), "mask_stride", self.mask_stride, "1, 2 or 4")
        if self.preset == "released" and self.clips.train_absent:
            raise ConfigError(
                "`clips.train_absent` is True, but the released recipe trains on no such frames; "
                "lmeec.training.config.released has all of its settings",
                settings=["clips.train_absent"],
            )
        if self.only == "presence" and not self.clips.train_absent:
            raise ConfigError(
                "`only` presence learns from frames without the object, which `clips.train_absent` leaves out",
                settings=["only", "clips.train_absent"],
            )
        require(0 <= self.drop_path < 1, "drop_path", self.drop_path, "in [0, 1)")
        require(self.save_every >= 1, "save_every", self.save_every, "at least 1")

    @property
    def absent_clips(self) -> float:
        """Share of clips of takes that are cut where an object is not visible, besides those that happen to be."""
        return 0.0 if self.only is None else self.presence.absent

    @property
    def steps_a_batch(self) -> int:
        """Steps that a batch of clips serves."""
        return 1 if self.only is None else self.presence.serves

    @property
    def rules(self) -> Rules:
        """The rules of the preset."""
        return RULES[self.preset]


def released() -> TrainConfig:
    """The released recipe, whose weights predict ego2exo; for the other direction, `clips.directions` alone differs.

    It is written for eight GPUs of eight clips each, and for a checkpoint of SAM 2.1.
    """
    return TrainConfig(
        preset="released",
        seed=123,
        epochs=60,
        passes=2,
        batch=64,
        dtype="bfloat16",
        drop_path=0.1,
        losses=LossWeights(focal=20, dice=1, iou=1, object_score=1),
        optimiser=OptimiserConfig(
            lr=5e-6, encoder_lr=3e-6, layer_decay=0.9, final=0.1, warmup=0, weight_decay=0.1, clip_norm=0.1
        ),
        clips=ClipConfig(
            frames=8,
            objects=1,
            directions=("ego2exo",),
            train_absent=False,
            video="full",
            augment=AugmentConfig(
                flip=0.5,
                degrees=25,
                shear=20,
                brightness=0.1,
                contrast=0.03,
                saturation=0.03,
                grayscale=0.05,
                flicker=0.1,
                flicker_contrast=0.05,
                flicker_saturation=0.05,
            ),
        ),
    )


def presence() -> TrainConfig:
    """What `only` presence begins with: one small head, which can take a high rate, on pictures as they are.

    Turned and sheared pictures are left out, as what reads them is no longer trained for it.
    """
    return TrainConfig(
        only="presence",
        epochs=5,
        batch=16,
        micro_batch=4,
        recompute=False,
        drop_path=0,
        optimiser=OptimiserConfig(lr=1e-3, encoder_lr=1e-3, final=0.02, warmup=10, weight_decay=0.01, clip_norm=1),
        clips=ClipConfig(augment=AugmentConfig(degrees=0, shear=0)),
        synthetic=SyntheticConfig(
            followed=4, frames_kept=5, window=16, renewal=1, absent=0.7, phases=(Phase(frames=5, together=True),)
        ),
        validation=ValidationConfig(every=100),
    )


DEFAULTS: dict[Preset, Callable[[], TrainConfig]] = {"finetune": TrainConfig, "released": released}
"""The settings of each preset."""
