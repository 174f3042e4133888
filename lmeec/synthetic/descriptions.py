"""What happens in a scene, in sentences with a time stamp, as annotators of the data set write them.

Everything in them follows from the scene and its rendered masks, so that it is true: who moves what and when, which
static camera shows it best, and whether the ego camera shows it at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmeec.synthetic.motion import FETCH, INSPECT, MOVE, STASH, Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from lmeec.synthetic.scene import Scene

MIN_VISIBLE_PIXELS = 8
"""Fewer of an object count as not visible."""

_WINDOW_SECONDS = 0.5
"""Before and after a time stamp, for what a camera shows of it."""

_TAKES = {
    MOVE: ("{who} picks up the {what}.", "{who} grabs the {what} with the {hand} hand.", "{who} lifts the {what}."),
    INSPECT: ("{who} takes the {what} to look at it.", "{who} lifts the {what} towards the face."),
    STASH: ("{who} picks up the {what}.", "{who} takes the {what} from the table."),
    FETCH: ("{who} takes the {what} out of the box.", "{who} reaches into the box for the {what}."),
}
_LEAVES = {
    MOVE: ("{who} puts the {what} down on the table.", "{who} places the {what} on the table."),
    INSPECT: ("{who} puts the {what} back on the table.", "{who} sets down the {what}."),
    STASH: ("{who} drops the {what} into the box.", "{who} puts the {what} in the box."),
    FETCH: ("{who} puts the {what} on the table.", "{who} sets the {what} down on the table."),
}
_HANDS = ("left", "right")


def describe(scene: Scene, visible: Mapping[str, NDArray[np.int64]]) -> list[dict[str, Any]]:
    """Describe a scene: each handling of an object when it is grasped, and when it is let go.

    Args:
        scene: The scene.
        visible: Camera to pixels in which each object is visible, [frames, objects].

    Returns:
        Entries as `annotations/atomic_descriptions_val.json` has them, in the order of time.
    """
    seconds = scene.config.frames / scene.config.fps
    said = sorted(sentences(scene), key=lambda one: one[0])
    return [_entry(scene, visible, time, text, event) for time, text, event in said if time < seconds]


def sentences(scene: Scene) -> Iterator[tuple[float, str, Event]]:
    """Yield when each thing is grasped and let go, in seconds, with the sentence and the handling that it is of."""
    for number, event in enumerate(scene.events):
        words = {
            "who": _who(event),
            "what": scene.objects[event.object].name.rsplit("_", 1)[0],
            "hand": _HANDS[event.hand],
        }
        for time, ways in ((event.grasp, _TAKES[event.kind]), (event.release, _LEAVES[event.kind])):
            yield time, ways[number % len(ways)].format(**words), event


def _who(event: Event) -> str:
    """The first person wears the camera."""
    return "C" if event.actor == 0 else "O"


def _entry(
    scene: Scene, visible: Mapping[str, NDArray[np.int64]], time: float, text: str, event: Event
) -> dict[str, Any]:
    """One description; pixels are means over the frames about its time stamp."""
    fps, frames = scene.config.fps, scene.config.frames
    first = min(max(0, round((time - _WINDOW_SECONDS) * fps)), frames - 1)
    window = slice(first, max(first + 1, round((time + _WINDOW_SECONDS) * fps)))
    pixels = {camera: float(counts[window, event.object].mean()) for camera, counts in visible.items()}
    shown = {camera.name: pixels[camera.name] for camera in scene.cameras if not camera.is_ego}
    best = max(shown, key=lambda name: shown[name])
    ego = next(camera.name for camera in scene.cameras if camera.is_ego)
    return {
        "text": text,
        "timestamp": round(time, 3),
        "subject": _who(event),
        "ego_visible": pixels[ego] >= MIN_VISIBLE_PIXELS,
        "best_exo": {"cam_id": best} if shown[best] >= MIN_VISIBLE_PIXELS else None,
        "unsure": False,
    }
