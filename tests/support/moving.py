"""Clips of coloured squares that move over a plain floor in two views: simple enough to be learned by heart."""

from __future__ import annotations

import numpy as np

from lmeec.training.clips.clip import Clip

COLOURS = np.array([[220, 40, 40], [40, 200, 60], [50, 80, 230]], np.uint8)


def moving_clip(seed: int, frames: int = 3, objects: int = 2, size: int = 64, absent: bool = True) -> Clip:
    """A clip whose last object is gone from a frame of the target view, and whose first is not annotated at the end."""
    rng = np.random.default_rng([7, seed])
    shape = (objects, frames, size, size)
    views, masks = [], []
    for _ in range(2):
        view = np.full((frames, size, size, 3), 110, np.uint8)
        mask = np.zeros(shape, bool)
        for k in range(objects):
            y, x = rng.integers(4, size - 24, 2)
            for t in range(frames):
                mask[k, t, y + t : y + t + 18, x + t : x + t + 18] = True
        for k in range(objects):
            mask[:k] &= ~mask[k]
        for k in range(objects):
            view[mask[k]] = COLOURS[k]
        views.append(view + rng.integers(0, 8, view.shape, np.uint8))
        masks.append(mask)
    annotated = np.ones(shape[:2], bool)
    if absent:
        masks[1][-1, -2] = False
        annotated[0, -1] = objects < 2
    seen = masks[0].any((2, 3)).all(1)
    return Clip(views[0], views[1], masks[0][seen], masks[1][seen], annotated[seen], frames + 2, f"clip {seed}")


class MovingClips:
    """A `ClipSource` of them."""

    def __init__(self, clips: int, **options) -> None:
        self._clips, self._options = clips, options

    def batch(self, step: int) -> list[Clip]:
        return [moving_clip(step * self._clips + place, **self._options) for place in range(self._clips)]


class OneBatch:
    """A `ClipSource` that gives the same clips at every step."""

    def __init__(self, clips: list[Clip]) -> None:
        self._clips = clips

    def batch(self, step: int) -> list[Clip]:
        return self._clips
