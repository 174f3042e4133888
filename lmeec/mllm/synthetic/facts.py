"""What is true of the clips of a synthetic take, and which of its moments become clips."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmeec.clips.captions import caption_of
from lmeec.mllm.pixels import frame_indices
from lmeec.synthetic.descriptions import sentences
from lmeec.synthetic.motion import FETCH, INSPECT, MOVE, STASH
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.writer import take_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmeec.mllm.synthetic.world import World
    from lmeec.synthetic.scene import Scene

_LEAD = 0.4
"""Seconds before a grasp and after a release that a clip shows."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a clip.

    Attributes:
        take: Number of the take, from 0.
        caption: The annotator's sentence, rewritten as Ego-ExoClip's.
        frames: Numbers of the frames that are looked at, the same in both views.
        thing: What is handled, as "red mug".
        action: What is done with it.
        hand: `left` or `right`, of the one who acts.
        wearer: Whether the camera's wearer acts.
        people: How many people are at the table.
        following: What comes next with the thing; None where that is open.
    """

    take: int
    caption: str
    frames: tuple[int, ...]
    thing: str
    action: str
    hand: str
    wearer: bool
    people: int
    following: str | None


@dataclass(frozen=True, slots=True)
class Planned:
    """A clip before it is drawn: its facts, and the number of the thing in its scene."""

    facts: Facts
    object: int


_ON_TABLE, _IN_BOX = "it is put on the table", "it is put in the box"
_TAKES = {MOVE: "pick it up", STASH: "pick it up", INSPECT: "look at it", FETCH: "take it out of the box"}
_LEAVES = {MOVE: "put it down", INSPECT: "put it down", FETCH: "put it down", STASH: "put it in the box"}
ACTIONS: tuple[str, ...] = tuple(dict.fromkeys((*_TAKES.values(), *_LEAVES.values())))
FOLLOWING: tuple[str, ...] = (_ON_TABLE, _IN_BOX)
"""All actions, and all that may come next."""

_NEXT = {MOVE: _ON_TABLE, INSPECT: _ON_TABLE, FETCH: _ON_TABLE, STASH: _IN_BOX}


def plan_takes(world: World, seed: int, takes: int) -> Iterator[tuple[int, list[Planned]]]:
    """Plan the clips of takes, so that actions, what comes next, and kinds of things come about equally often.

    Args:
        world: The setting.
        seed: Of the split.
        takes: How many.

    Yields:
        The seed of the take's scene, and its clips in the order of time; there may be none.
    """
    actions: Counter[tuple[str, str | None]] = Counter()
    words: Counter[str] = Counter()
    for number in range(takes):
        scene_seed = take_seed(seed, number)
        found = list(_planned(make_scene(scene_seed, world.scene), number, world.frames))
        kinds = [(one.facts.action, one.facts.following) for one in found]
        things = [one.facts.thing.split(" ", 1)[1] for one in found]
        order = np.random.default_rng([seed, number]).permutation(len(found)).tolist()
        chosen: list[int] = []
        while len(chosen) < world.clips_per_take and order:
            seen = {at: actions[kinds[at]] * len(actions) + words[things[at]] * len(words) for at in order}
            rarest = min(order, key=seen.__getitem__)
            order.remove(rarest)
            chosen.append(rarest)
            actions[kinds[rarest]] += 1
            words[things[rarest]] += 1
        yield scene_seed, [found[place] for place in sorted(chosen)]


def _planned(scene: Scene, take: int, frames: int) -> Iterator[Planned]:
    """Every grasp and release of a scene whose clip lies within it."""
    for time, text, event in sentences(scene):
        taken = time == event.grasp
        half = (event.release - event.grasp) / 2
        start, end = (time - _LEAD, time + half) if taken else (time - half, time + _LEAD)
        first, past = round(start * scene.config.fps), round(end * scene.config.fps)
        if first < 0 or past > scene.config.frames:
            continue
        facts = Facts(
            take=take,
            caption=caption_of(text),
            frames=tuple(first + place for place in frame_indices(past - first, frames)),
            thing=scene.objects[event.object].name.rsplit("_", 1)[0],
            action=(_TAKES if taken else _LEAVES)[event.kind],
            hand=("left", "right")[event.hand],
            wearer=event.actor == 0,
            people=len(scene.actors),
            following=_NEXT[event.kind] if taken else None,
        )
        yield Planned(facts, event.object)
