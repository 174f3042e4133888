"""People around the table: bodies, arms that reach for what their hands hold, and hands, as capsules and ellipsoids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmeec.synthetic.geometry import CAPSULE, ELLIPSOID, axis_frames, unit
from lmeec.synthetic.motion import LEFT, RIGHT, Event, HeadPath, Timeline, ease

SKIN, SLEEVE, HAIR, TROUSERS = range(4)
_UP = np.array([0.0, 0.0, 1.0])
_UPPER_ARM, _FOREARM = 0.3, 0.26


@dataclass(frozen=True)
class Body:
    """Primitives of one person at one moment, as arrays over their K parts.

    kinds [K], sizes [K, 4], positions [K, 3], rotations [K, 3, 3], slots [K] (SKIN, SLEEVE, ...),
    own_view [K]: False for parts too near to the person's own eyes to be seen by them.
    """

    kinds: np.ndarray
    sizes: np.ndarray
    positions: np.ndarray
    rotations: np.ndarray
    slots: np.ndarray
    own_view: np.ndarray


class _Parts:
    """Collects capsules and ellipsoids."""

    def __init__(self) -> None:
        self._ends: list[tuple[np.ndarray, np.ndarray]] = []
        self._rows: list[tuple[int, float, float, float, int, bool]] = []

    def capsule(self, start: np.ndarray, end: np.ndarray, radius: float, slot: int, own: bool = True) -> None:
        self._ends.append((start, end))
        half = 0.5 * float(np.linalg.norm(end - start))
        self._rows.append((CAPSULE, radius, half, 0.0, slot, own))

    def ellipsoid(
        self, centre: np.ndarray, along: np.ndarray, radii: tuple[float, float, float], slot: int, own: bool = True
    ) -> None:
        self._ends.append((centre - along, centre + along))
        self._rows.append((ELLIPSOID, *radii, slot, own))

    def build(self) -> Body:
        ends = np.array(self._ends)
        rows = np.array(self._rows)
        sizes = np.concatenate([rows[:, 1:4], np.ones((len(rows), 1))], axis=1)
        return Body(
            kinds=rows[:, 0],
            sizes=sizes,
            positions=ends.mean(axis=1),
            rotations=axis_frames(ends[:, 1] - ends[:, 0]),
            slots=rows[:, 4].astype(int),
            own_view=rows[:, 5].astype(bool),
        )


@dataclass(frozen=True)
class Actor:
    """One person: where they stand, where they face, their head's course and what their hands do."""

    facing: np.ndarray
    head: HeadPath
    idle: np.ndarray
    events: tuple[tuple[Event, ...], tuple[Event, ...]]
    reach_over: np.ndarray

    def body(self, frame: int, time: float, timeline: Timeline) -> Body:
        """The person's primitives at a frame."""
        eye, gaze = self.head.positions[frame], self.head.rotations[frame]
        side = np.cross(self.facing, _UP)
        parts = _Parts()
        skull = eye - 0.09 * gaze[:, 2]
        parts.ellipsoid(skull, _UP, (0.075, 0.095, 0.11), SKIN, own=False)
        parts.ellipsoid(skull - 0.02 * gaze[:, 2] + 0.03 * _UP, _UP, (0.085, 0.1, 0.1), HAIR, own=False)
        chest = eye - 0.14 * self.facing - 0.25 * _UP
        hips = chest * [1.0, 1.0, 0.0] - 0.03 * self.facing + 0.9 * _UP
        middle, half = 0.5 * (chest + hips), 0.5 * (chest[2] - hips[2])
        parts.capsule(skull, chest, 0.055, SKIN, own=False)
        parts.ellipsoid(middle, _UP, (0.125, 0.19, half + 0.13), SLEEVE, own=False)
        parts.capsule(chest - 0.15 * side, chest + 0.15 * side, 0.07, SLEEVE, own=False)
        parts.ellipsoid(hips, _UP, (0.125, 0.17, 0.14), TROUSERS, own=False)
        for lateral in (-0.1, 0.1):
            foot = np.array([hips[0], hips[1], 0.05]) + lateral * side
            parts.capsule(hips + lateral * side, foot, 0.085, TROUSERS, own=False)
        for hand in (LEFT, RIGHT):
            sign = 1.0 if hand == RIGHT else -1.0
            shoulder = chest + 0.19 * sign * side
            self._arm(parts, shoulder, sign * side, hand, time, timeline)
        return parts.build()

    def _arm(
        self, parts: _Parts, shoulder: np.ndarray, outward: np.ndarray, hand: int, time: float, timeline: Timeline
    ) -> None:
        grip, closed, width = self._grip(hand, time, timeline)
        forward = unit((grip - shoulder) * [1.0, 1.0, 0.35])
        wrist = grip - 0.11 * forward + 0.02 * _UP
        elbow, wrist_end = _elbow(shoulder, wrist, unit(outward - 1.2 * _UP))
        parts.capsule(shoulder, elbow, 0.05, SLEEVE)
        parts.capsule(elbow, elbow + 0.55 * (wrist_end - elbow), 0.043, SLEEVE)
        parts.capsule(elbow + 0.5 * (wrist_end - elbow), wrist_end, 0.028, SKIN)
        _hand(parts, wrist_end, grip, forward, outward, closed, width)

    def _grip(self, hand: int, time: float, timeline: Timeline) -> tuple[np.ndarray, float, float]:
        """Where the hand is centred, how far it is closed (0 to 1) and the width that it holds."""
        idle = self.idle[hand] + 0.008 * np.array([np.sin(1.3 * time + hand), np.cos(1.7 * time), 0.0])
        for event in self.events[hand]:
            if event.reach <= time < event.retreat:
                return self._working(event, idle, time, timeline)
        return idle, 0.1, 0.03

    def _working(
        self, event: Event, idle: np.ndarray, time: float, timeline: Timeline
    ) -> tuple[np.ndarray, float, float]:
        positions, _ = timeline.poses(min(max(time, event.grasp), event.release - 1e-6))
        radius, height = self.reach_over[event.object]
        toward = unit((idle - positions[event.object]) * [1.0, 1.0, 0.0])
        width = min(radius, 0.045)
        grip = positions[event.object] + toward * max(radius - 0.045, 0.0) + 0.2 * height * _UP
        if time < event.grasp:
            share = ease((time - event.reach) / (event.grasp - event.reach))
        else:
            share = 1.0 - ease((time - event.release) / (event.retreat - event.release))
        lift = 0.1 * np.sin(np.pi * share) * _UP
        return idle + share * (grip - idle) + lift, 0.1 + 0.9 * share, width


def _elbow(shoulder: np.ndarray, wrist: np.ndarray, bend: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elbow and wrist of a two-bone arm; bones grow a little rather than let the hand miss its object."""
    line = wrist - shoulder
    length = max(float(np.linalg.norm(line)), 1e-6)
    stretch = max(1.0, length / (0.98 * (_UPPER_ARM + _FOREARM)))
    upper, fore = _UPPER_ARM * stretch, _FOREARM * stretch
    along = np.clip((upper**2 - fore**2 + length**2) / (2 * length), -upper, upper)
    line = line / length
    perpendicular = unit(bend - line * (bend @ line))
    return shoulder + line * along + perpendicular * np.sqrt(max(upper**2 - along**2, 0.0)), wrist


def _hand(
    parts: _Parts,
    wrist: np.ndarray,
    grip: np.ndarray,
    forward: np.ndarray,
    outward: np.ndarray,
    closed: float,
    width: float,
) -> None:
    """A palm, four fingers around the outer side of what is held, and a thumb on the inner side."""
    across = unit(outward - forward * (outward @ forward))
    normal = np.cross(across, forward)
    normal = normal if normal[2] >= 0 else -normal
    palm = wrist + 0.05 * forward
    knuckles = wrist + 0.085 * forward
    parts.capsule(wrist, palm + 0.02 * forward + 0.012 * across, 0.024, SKIN)
    parts.capsule(wrist, palm + 0.02 * forward - 0.012 * across, 0.024, SKIN)
    for number in range(4):
        spread = (number - 1.5) * 0.019
        flat_middle = knuckles + 0.04 * forward + spread * across
        flat_tip = knuckles + 0.075 * forward + 1.1 * spread * across - 0.012 * normal
        held = grip - spread * normal
        held_middle = held + (width + 0.012) * across
        held_tip = held + 0.7 * width * across + (0.5 * width + 0.02) * forward
        base = knuckles + (1 - closed) * spread * across + closed * (0.015 * across - 0.8 * spread * normal)
        middle = flat_middle + closed * (held_middle - flat_middle)
        parts.capsule(base, middle, 0.0095, SKIN)
        parts.capsule(middle, flat_tip + closed * (held_tip - flat_tip), 0.0085, SKIN)
    thumb = palm - 0.025 * across
    open_tip = thumb + 0.05 * forward - 0.03 * across
    held_tip = grip - (width + 0.01) * across + 0.015 * normal
    parts.capsule(thumb, open_tip + closed * (held_tip - open_tip), 0.011, SKIN)
