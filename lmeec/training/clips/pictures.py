"""Pictures of a synthetic scene to cut clips from: the same instants in every camera, and in one without an object."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lmeec.synthetic.render import Frame, Renderer
from lmeec.synthetic.scene import Camera, Scene, SceneConfig
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.writer import frame_size

FPS = SceneConfig().fps
CAMERAS = 3
"""An ego and two exo cameras."""

FIRST_SURFACE = 32
"""Numbers of things from here on are surfaces that belong to no object."""


@dataclass(frozen=True)
class Sketch:
    """What the pictures of a scene follow from.

    Attributes:
        seed: of the scene.
        seconds: its length.
        objects: how many it has.
        frames: those that are drawn, the same in all views.
        lacking: number of the object that one view is drawn without, from 1.
        poorer: the camera of that view.
    """

    seed: int
    seconds: float
    objects: int
    frames: tuple[int, ...]
    lacking: int
    poorer: int


@dataclass(frozen=True)
class ScenePictures:
    """Views [V] of the same n instants: all cameras, and one of them again without one of the objects.

    Attributes:
        seed: of the scene.
        frames: uint8 [V, n, S, S, 3].
        things: uint8 [V, n, S, S]: what each pixel shows, the number of an object from 1, or from `FIRST_SURFACE` on a
            surface, by its material.
        ego: whether a view is of an ego camera.
        cameras: the camera of each view.
        lacking: number of the object that is taken out of a view, 0 for none.
    """

    seed: int
    frames: np.ndarray
    things: np.ndarray
    ego: tuple[bool, ...]
    cameras: tuple[int, ...]
    lacking: tuple[int, ...]


def draw_pictures(sketch: Sketch, size: int) -> ScenePictures:
    """Render them, as squares of `size` pixels a side."""
    scene = make_scene(
        sketch.seed, SceneConfig(seconds=sketch.seconds, objects=sketch.objects, exo_cameras=(CAMERAS - 1, CAMERAS - 1))
    )
    views = [(scene, camera) for camera in scene.cameras]
    views.append((_without(scene, sketch.lacking), scene.cameras[sketch.poorer]))
    rendered = [_view(some, camera, sketch.frames, size) for some, camera in views]
    return ScenePictures(
        seed=sketch.seed,
        frames=np.stack([pictures for pictures, _ in rendered]),
        things=np.stack([things for _, things in rendered]),
        ego=tuple(camera.is_ego for _, camera in views),
        cameras=(*range(CAMERAS), sketch.poorer),
        lacking=(*[0] * CAMERAS, sketch.lacking),
    )


def objects_in(things: np.ndarray) -> np.ndarray:
    """Numbers of objects in a map of things, 0 for what is none."""
    return np.where(things < FIRST_SURFACE, things, 0)


def _view(scene: Scene, camera: Camera, frames: tuple[int, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    renderer = Renderer(scene, camera, frame_size(camera, size))
    rendered = [renderer.render(frame) for frame in frames]
    side = (size, size)
    pictures = [cv2.resize(frame.rgb, side, interpolation=cv2.INTER_AREA) for frame in rendered]
    things = [cv2.resize(_things(frame), side, interpolation=cv2.INTER_NEAREST) for frame in rendered]
    return np.stack(pictures), np.stack(things)


def _things(frame: Frame) -> np.ndarray:
    # Materials are numbered within a scene, a hundred or so; more would share a number.
    surfaces = FIRST_SURFACE + frame.surfaces % (256 - FIRST_SURFACE)
    return np.where(frame.objects > 0, frame.objects, surfaces).astype(np.uint8)


def _without(scene: Scene, number: int) -> Scene:
    """The scene with an object taken out; the others keep their numbers."""
    thing = scene.objects[number - 1]
    gone = replace(thing, shape=replace(thing.shape, parts=()))
    return replace(scene, objects=(*scene.objects[: number - 1], gone, *scene.objects[number:]))
