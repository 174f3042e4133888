"""The pictures of clips: both views of a take at the same instants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lmeec.mllm.synthetic.marks import marks_of
from lmeec.synthetic.descriptions import MIN_VISIBLE_PIXELS
from lmeec.synthetic.geometry import look_at
from lmeec.synthetic.motion import STASH, HeadPath
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene_builder import make_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.mllm.synthetic.facts import Facts, Planned
    from lmeec.mllm.synthetic.world import World
    from lmeec.synthetic.motion import Event
    from lmeec.synthetic.scene import Camera, Scene

_REFERENCE_SIDE = 448


@dataclass(frozen=True, slots=True)
class Drawn:
    """A clip.

    Attributes:
        facts: What is true of it.
        pictures: uint8 [2, T, S, S, 3] RGB, the ego view first.
        marks: uint8 [2, T, M, 3], see `lmeec.mllm.synthetic.marks`.
    """

    facts: Facts
    pictures: NDArray[np.uint8]
    marks: NDArray[np.uint8]


def draw_take(world: World, scene_seed: int, planned: list[Planned]) -> list[Drawn]:
    """Draw the clips of a take; those whose thing one of the views does not show are left out.

    Args:
        world: The setting.
        scene_seed: As `plan_takes` gives it.
        planned: As well.

    Returns:
        The clips that are kept.
    """
    if not planned:
        return []
    scene = make_scene(scene_seed, world.scene)
    renderers = [Renderer(scene, camera, (world.size, world.size)) for camera in cameras(scene, world)]
    names = [thing.name.rsplit("_", 1)[0] for thing in scene.objects]
    least = MIN_VISIBLE_PIXELS * (world.size / 128) ** 2
    drawn = []
    for one in planned:
        views = [[renderer.render(frame) for frame in one.facts.frames] for renderer in renderers]
        visible = [np.mean([(frame.objects == one.object + 1).sum() for frame in view]) for view in views]
        if min(visible) >= least:
            pictures = np.stack([[frame.rgb for frame in view] for view in views])
            marks = np.stack([[marks_of(frame.objects, names, one.object) for frame in view] for view in views])
            drawn.append(Drawn(one.facts, pictures, marks))
    return drawn


def cameras(scene: Scene, world: World) -> tuple[Camera, Camera]:
    """The ego and the exo camera of the setting: the exo camera stands beside the table, across from the box."""
    ego = next(camera for camera in scene.cameras if camera.is_ego)
    exo = next(camera for camera in scene.cameras if not camera.is_ego)
    side, top = _box_side(scene.events), scene.centre[2]
    position = np.array([-0.8 * side, 0.1, top + 0.9])
    target = np.array([0.1 * side, -0.02, top + 0.05])
    blur = world.ego_blur * _REFERENCE_SIDE  # what a renderer takes for pictures of this height
    return (
        replace(ego, aspect=1.0, focal=world.ego_focal, photometry=replace(ego.photometry, blur=blur)),
        replace(
            exo,
            aspect=1.0,
            focal=world.exo_focal,
            path=HeadPath(position[None], look_at(position, target, 0.0)[None]),
        ),
    )


def _box_side(events: tuple[Event, ...]) -> float:
    """On which side of the wearer the box is: 1 for the right; it does not matter where nothing goes into it."""
    return next((float(np.sign(event.end.position[0])) for event in events if event.kind == STASH), 1.0)
