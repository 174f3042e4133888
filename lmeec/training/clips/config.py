"""How clips are cut from takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, get_args

from lmeec.config import Direction, Video
from lmeec.errors import require
from lmeec.training.clips.augment import AugmentConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from lmeec.training.clips.clip import Clip


@dataclass(frozen=True)
class ClipConfig:
    """How clips are cut from takes.

    Attributes:
        frames: successive annotated frames in a clip; clips must not be longer than the memory banks hold.
        objects: at most so many objects of a clip are followed.
        directions: which views are queries.
        train_absent: train on frames in which the object is annotated as not visible, too; `released` rules never do.
        video: which videos to read.
        augment: strengths of the augmentation.
    """

    frames: int = 8
    objects: int = 3
    directions: tuple[Direction, ...] = ("ego2exo", "exo2ego")
    train_absent: bool = True
    video: Video = "auto"
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        require(self.frames >= 2, "clips.frames", self.frames, "at least 2, for a memory to be used")
        require(self.objects >= 1, "clips.objects", self.objects, "at least 1")
        require(bool(self.directions), "clips.directions", self.directions, "one or both directions")
        for direction in self.directions:
            require(direction in get_args(Direction), "clips.directions", direction, "ego2exo or exo2ego")


class ClipRules(Protocol):
    """What of the rules of a training concerns its clips, as `lmeec.training.rules.Rules` has it."""

    @property
    def half(self) -> bool:
        """Whether what a resized mask covers by exactly one half belongs to the object."""
        ...

    @property
    def judges_lost(self) -> bool:
        """Whether an object of which resizing leaves nothing counts as not visible."""
        ...

    @property
    def augment(self) -> Callable[[Clip, AugmentConfig, np.random.Generator], Clip]:
        """Changes a clip."""
        ...


class DrawsClips(Protocol):
    """What of the settings of a training says which clips it draws, as `lmeec.training.config.TrainConfig` has it."""

    @property
    def seed(self) -> int:
        """Every draw depends on it."""
        ...

    @property
    def steps(self) -> int | None:
        """Optimiser steps; None means those of the epochs."""
        ...

    @property
    def epochs(self) -> float:
        """Rounds through the takes."""
        ...

    @property
    def passes(self) -> int:
        """Clips of every track in an epoch."""
        ...

    @property
    def batch(self) -> int:
        """Clips in an optimiser step."""
        ...

    @property
    def clips(self) -> ClipConfig:
        """How they are cut."""
        ...

    @property
    def absent_clips(self) -> float:
        """Share of clips that are cut where an object is annotated as not visible, besides those that happen to be."""
        ...

    @property
    def rules(self) -> ClipRules:
        """By which rules."""
        ...
