"""The setting of nano's clips, and the seeds that keep takes to train on from those to judge on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmeec.errors import require
from lmeec.synthetic.scene import SceneConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

Split = Literal["train", "val", "held_out"]

SEEDS: Mapping[Split, int] = {"train": 1501, "val": 1502, "held_out": 1503}
"""Of the takes to train on, to look at while training, and to judge on."""

TAKES: Mapping[Split, int] = {"train": 2000, "val": 60, "held_out": 300}
"""How many takes each has."""


@dataclass(frozen=True)
class World:
    """The setting: what takes hold, how their cameras see, and which clips are drawn.

    Attributes:
        size: Side of the square pictures.
        frames: Looks at a clip, T.
        seconds: Length of a take.
        objects: Things in a take.
        object_scale: How much larger than life these are.
        ego_focal: Focal length of the ego camera in picture heights; 0.35 sees 110 degrees, as Aria's glasses.
        ego_blur: Standard deviation of its blur, as a share of the picture's side.
        exo_focal: Focal length of the exo camera.
        clips_per_take: At most.
    """

    size: int = 128
    frames: int = 4
    seconds: float = 30.0
    objects: int = 4
    object_scale: float = 1.6
    ego_focal: float = 0.35
    ego_blur: float = 2 / 128
    exo_focal: float = 0.95
    clips_per_take: int = 4

    def __post_init__(self) -> None:
        for name in ("size", "frames", "objects", "clips_per_take"):
            require(getattr(self, name) >= 1, f"world.{name}", getattr(self, name), "at least 1")
        for name in ("ego_focal", "exo_focal"):
            require(getattr(self, name) > 0, f"world.{name}", getattr(self, name), "over 0")
        require(self.ego_blur >= 0, "world.ego_blur", self.ego_blur, "0 or more")

    @property
    def scene(self) -> SceneConfig:
        """What its scenes hold."""
        return SceneConfig(
            seconds=self.seconds,
            objects=self.objects,
            exo_cameras=(1, 1),
            theme="kitchen",
            plain=True,
            object_scale=self.object_scale,
        )
