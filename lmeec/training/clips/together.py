"""All directed pairs of a scene's views as clips that share them: what shows in several pairs is encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmeec.synthetic.descriptions import MIN_VISIBLE_PIXELS
from lmeec.training.clips.augment import augment_views, drop_specks
from lmeec.training.clips.clip import Clip
from lmeec.training.clips.pictures import CAMERAS, objects_in

if TYPE_CHECKING:
    from lmeec.training.clips.augment import AugmentConfig
    from lmeec.training.clips.pictures import ScenePictures

PAIRS = 2 * (CAMERAS - 1)
"""Directed pairs of an ego view with each exo view."""

_LACKED = 3.0
"""How much more likely an object is followed that a target view lacks."""


@dataclass(frozen=True)
class Together:
    """How pairs are cut.

    Attributes:
        frames: T of the clips.
        followed: at most so many objects of a query view are followed.
        absent: chance that one view is that without one of the objects.
        augment: of the views.
    """

    frames: int
    followed: int
    absent: float
    augment: AugmentConfig


@dataclass(frozen=True)
class _View:
    """A view after augmentation, with the objects in it: [T, S, S, 3], [T, S, S], [T, S, S]; of which scene."""

    frames: np.ndarray
    things: np.ndarray
    objects: np.ndarray
    scene: int
    lacking: int


def directed_pairs(
    here: ScenePictures, other: ScenePictures | None, how: Together, track_length: int, rng: np.random.Generator
) -> list[Clip]:
    """Clips of one span of a scene: ego to each exo view, and back.

    Args:
        here: the scene.
        other: takes the place of one exo view, where nothing of the scene is seen; None leaves it.
        how: see there.
        track_length: steps of the tracks that the clips stand for.
        rng: is advanced.

    Returns:
        At most `PAIRS` clips: a query view that shows no object at every instant gives none.
    """
    chosen = [(here, view) for view in range(CAMERAS)]
    if rng.uniform() < how.absent:
        poorer = here.lacking.index(next(number for number in here.lacking if number))
        chosen[here.cameras[poorer]] = (here, poorer)
    exo = [place for place, (_, view) in enumerate(chosen) if not here.ego[view]]
    if other is not None:
        place = int(rng.choice(exo))
        chosen[place] = (other, next(view for view, ego in enumerate(other.ego) if not ego))
    start = int(rng.integers(here.frames.shape[1] - how.frames + 1))
    span = slice(start, start + how.frames)
    drawn = augment_views([(one.frames[view, span], one.things[view, span]) for one, view in chosen], how.augment, rng)
    views = [
        _View(frames, things, objects_in(things), one.seed % (1 << 32), one.lacking[view])
        for (frames, things), (one, view) in zip(drawn, chosen, strict=True)
    ]
    ego = next(place for place in range(CAMERAS) if place not in exo)
    pairs = []
    for query in (ego, *exo):
        targets = exo if query == ego else [ego]
        pairs += _clips(views[query], [views[place] for place in targets], how, track_length, rng)
    return pairs


def _clips(
    query: _View, targets: list[_View], how: Together, track_length: int, rng: np.random.Generator
) -> list[Clip]:
    """The clips of a query view, of the same objects in the same order."""
    followed = _followed(query, targets, how.followed, rng)
    if not len(followed):
        return []
    masks = _masks(query.objects, followed)
    identity = query.scene * 256 + followed.astype(np.int64)
    return [
        Clip(
            query=query.frames,
            target=target.frames,
            query_masks=masks,
            target_masks=drop_specks(_masks(target.objects, followed) & (target.scene == query.scene)),
            annotated=np.ones(masks.shape[:2], bool),
            track_length=max(how.frames, track_length),
            identity=identity,
            things=(query.things, target.things),
            scenes=(query.scene, target.scene),
        )
        for target in targets
    ]


def _followed(query: _View, targets: list[_View], most: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of the objects to follow: in every query frame, those that a target lacks more likely."""
    counts = np.stack([np.bincount(picture.ravel(), minlength=256) for picture in query.objects])
    found = np.flatnonzero((counts >= MIN_VISIBLE_PIXELS).all(0))
    found = found[found > 0]
    if len(found) <= most:
        return found
    lacked = [~np.isin(found, np.unique(target.objects)) | (found == target.lacking) for target in targets]
    chances = np.where(np.any(lacked, axis=0), _LACKED, 1.0)
    return rng.choice(found, most, replace=False, p=chances / chances.sum())


def _masks(objects: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Masks [K, T, S, S] of some objects in a map of objects [T, S, S]."""
    masks: np.ndarray = objects[None] == numbers.astype(objects.dtype)[:, None, None, None]
    return masks
