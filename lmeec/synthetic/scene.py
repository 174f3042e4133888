"""A random tabletop scene: a room, people whose hands move things about, look-alikes, clutter, light and cameras.

A scene is data only and everything in it follows from its seed; `render.Renderer` draws its frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmeec.errors import ConfigError
from lmeec.synthetic.actors import Actor
from lmeec.synthetic.motion import Event, HeadPath, Timeline
from lmeec.synthetic.shapes import Shape

PRIMITIVE_FIELDS = 20
MAX_OBJECTS = 24
MAX_EXO_CAMERAS = 8
EGO_CAMERA = "aria01_214-1"
SCENARIOS = {"kitchen": "Cooking", "workshop": "Bike Repair", "playroom": "Playing"}


@dataclass(frozen=True)
class SceneConfig:
    """What a scene holds; `exo_cameras` is the fewest and the most of them.

    `theme` is one of SCENARIOS, None draws it. A `plain` scene is for models that see small pictures and know few
    words: it has no clutter and no look-alikes, each thing has a shape and a clear colour of its own, and hands take
    turns, so that one thing is handled at a time; its things are `object_scale` times as large as life.

    Raises:
        ConfigError: if a value is outside of what it may be.
    """

    seconds: float = 20.0
    fps: int = 30
    objects: int = 6
    exo_cameras: tuple[int, int] = (2, 4)
    theme: str | None = None
    plain: bool = False
    object_scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 3600:
            raise ConfigError(f"seconds must be over 0 and at most 3600, not {self.seconds}")
        if not 1 <= self.fps <= 240:
            raise ConfigError(f"fps must be from 1 to 240, not {self.fps}")
        if not 1 <= self.objects <= MAX_OBJECTS:
            raise ConfigError(f"objects must be from 1 to {MAX_OBJECTS}, not {self.objects}")
        low, high = self.exo_cameras
        if not 1 <= low <= high <= MAX_EXO_CAMERAS:
            raise ConfigError(f"exo_cameras must be from 1 to {MAX_EXO_CAMERAS}, fewest first, not {low}..{high}")
        if self.theme is not None and self.theme not in SCENARIOS:
            raise ConfigError(f"theme must be one of {', '.join(SCENARIOS)}, not {self.theme!r}")
        if not 0.5 <= self.object_scale <= 3:
            raise ConfigError(f"object_scale must be from 0.5 to 3, not {self.object_scale}")

    @property
    def frames(self) -> int:
        """Frames of each video, at least one."""
        return max(1, round(self.seconds * self.fps))


@dataclass(frozen=True)
class SceneObject:
    """A thing that is annotated. `twin` is the index of the object it looks like, `identical` whether in colour too."""

    name: str
    shape: Shape
    materials: tuple[int, int, int]
    twin: int | None = None
    identical: bool = False


@dataclass(frozen=True)
class Photometry:
    """How a camera turns light into pixel values: each camera has its own exposure, colours, noise and sharpness."""

    exposure: float
    white_balance: tuple[float, float, float]
    gamma: float
    saturation: float
    vignette: float
    noise: float
    blur: float


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; `focal` is in image heights. The path has one entry a frame, or one for a static camera."""

    name: str
    is_ego: bool
    focal: float
    aspect: float
    path: HeadPath
    photometry: Photometry

    def view(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Position [3] and rotation [3, 3] (columns right, down, forward) at a frame."""
        index = frame if self.is_ego else 0
        return self.path.positions[index], self.path.rotations[index]


@dataclass(frozen=True)
class Light:
    """A key light that casts shadows, a fill light that does not, and light from above and below; linear RGB."""

    direction: np.ndarray
    key: np.ndarray
    fill_direction: np.ndarray
    fill: np.ndarray
    sky: np.ndarray
    ground: np.ndarray


@dataclass(frozen=True)
class Room:
    """The room's inside: half sizes x and y, height, and material indices of walls (4), floor and ceiling."""

    half: tuple[float, float]
    height: float
    materials: tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """One take's world. Arrays of primitives have PRIMITIVE_FIELDS columns (see `primitive_rows`)."""

    seed: int
    config: SceneConfig
    theme: str
    objects: tuple[SceneObject, ...]
    cameras: tuple[Camera, ...]
    actors: tuple[Actor, ...]
    events: tuple[Event, ...]
    timeline: Timeline
    light: Light
    room: Room
    materials: np.ndarray
    static: np.ndarray
    centre: np.ndarray
    actor_materials: tuple[tuple[int, int, int, int], ...]

    @property
    def scenario(self) -> str:
        """The activity, in the words of the data set."""
        return SCENARIOS[self.theme]

    def camera(self, name: str) -> Camera:
        """The camera of that name; KeyError if there is none."""
        return {camera.name: camera for camera in self.cameras}[name]

    def moving(self, frame: int) -> np.ndarray:
        """Primitives of objects and people at a frame, [K, PRIMITIVE_FIELDS]."""
        time = frame / self.config.fps
        positions, rotations = self.timeline.poses(time)
        rows = [
            shape_rows(thing.shape, thing.materials, positions[index], rotations[index], index + 1)
            for index, thing in enumerate(self.objects)
        ]
        for number, actor in enumerate(self.actors):
            body = actor.body(frame, time, self.timeline)
            materials = np.array(self.actor_materials[number])[body.slots]
            # Only the first person wears the ego camera; everybody else is seen whole by it.
            unseen = ~body.own_view if number == 0 else np.zeros(len(body.kinds), bool)
            rows.append(primitive_rows(body.kinds, 0, materials, body.sizes, body.positions, body.rotations, unseen))
        return np.concatenate(rows)


def primitive_rows(
    kinds: np.ndarray,
    owner: int,
    materials: np.ndarray,
    sizes: np.ndarray,
    positions: np.ndarray,
    rotations: np.ndarray,
    unseen: np.ndarray | bool = False,
) -> np.ndarray:
    """Primitives as rows: kind, object number (0 = none), material, size (4), position (3), rotation (9), unseen."""
    rows = np.empty((len(kinds), PRIMITIVE_FIELDS))
    rows[:, 0], rows[:, 1], rows[:, 2] = kinds, owner, materials
    rows[:, 3:7], rows[:, 7:10], rows[:, 10:19] = sizes, positions, rotations.reshape(-1, 9)
    rows[:, 19] = unseen
    return rows


def shape_rows(
    shape: Shape, materials: tuple[int, int, int], position: np.ndarray, turn: np.ndarray, owner: int
) -> np.ndarray:
    """A shape's primitives with its centre (at half its height) at `position` [3], turned by `turn` [3, 3]."""
    offsets = np.array([part.position for part in shape.parts]).reshape(-1, 3) - [0.0, 0.0, shape.height / 2]
    sizes = np.zeros((len(shape.parts), 4))
    for row, part in zip(sizes, shape.parts, strict=True):
        row[: len(part.size)] = part.size
    return primitive_rows(
        np.array([part.kind for part in shape.parts]),
        owner,
        np.array([materials[part.slot] for part in shape.parts]),
        sizes,
        offsets @ turn.T + position,
        turn @ np.array([part.turn for part in shape.parts]).reshape(-1, 3, 3),
    )
