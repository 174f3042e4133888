"""Who moves which object when: a plan of events for every hand, and the objects' poses that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmeec.synthetic.geometry import rotation

MOVE, INSPECT, STASH, FETCH = "move", "inspect", "stash", "fetch"
LEFT, RIGHT = 0, 1


@dataclass(frozen=True)
class Pose:
    """Where an object stands: its centre in metres and its turn about the vertical in radians."""

    position: np.ndarray
    yaw: float

    @property
    def rotation(self) -> np.ndarray:
        """Object to world, [3, 3]."""
        return rotation("z", self.yaw)


@dataclass(frozen=True)
class Event:
    """One handling of one object by one hand; times in seconds.

    The hand sets out at `reach`, holds the object from `grasp` to `release`, and is back at `retreat`. The object
    follows a cubic Bezier curve of control points `path` [4, 3], leaning by up to `tilt` radians on the way.
    """

    object: int
    actor: int
    hand: int
    kind: str
    reach: float
    grasp: float
    release: float
    retreat: float
    start: Pose
    end: Pose
    path: np.ndarray
    spin: float
    tilt: float
    tilt_axis: str

    def pose(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Position [3] and rotation [3, 3] of the object while it is held."""
        s = ease((time - self.grasp) / (self.release - self.grasp))
        weights = np.array([(1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s * s * (1 - s), s**3])
        turn = self.start.yaw + (self.end.yaw + self.spin - self.start.yaw) * s
        lean = rotation(self.tilt_axis, self.tilt * np.sin(np.pi * s) ** 2)
        return weights @ self.path, rotation("z", turn) @ lean


def ease(s: float) -> float:
    """Minimum-jerk course from 0 to 1."""
    s = min(max(s, 0.0), 1.0)
    return s * s * s * (10 - 15 * s + 6 * s * s)


@dataclass(frozen=True)
class Workspace:
    """Where things may stand: the table top's half sizes and height, clutter on it, and the bin beside it.

    clutter: circles (x, y, radius) [K, 3]; bin: the place in the bin where a stashed object lies, [3];
    faces: a point before each actor's face [A, 3]; hands: where their left and right hands rest [A, 2, 3].
    """

    half: tuple[float, float]
    top: float
    clutter: np.ndarray
    bin: np.ndarray
    faces: np.ndarray
    hands: np.ndarray

    def free_place(
        self, rng: np.random.Generator, radius: float, taken: np.ndarray, near: np.ndarray | None = None
    ) -> np.ndarray | None:
        """A spot (x, y) on the table clear of clutter and of `taken` circles [K, 3]; None when none is found."""
        circles = np.concatenate([self.clutter, taken]) if len(taken) else self.clutter
        edge = min(radius, 0.1) + 0.01
        low, high = np.array([edge - self.half[0], edge - self.half[1]]), np.array(self.half) - edge
        for _ in range(80):
            spot = rng.uniform(low, high)
            if near is not None and rng.uniform() < 0.5:
                spot = np.clip(near + rng.normal(0, 0.15, 2), low, high)
            if not len(circles) or np.all(np.hypot(*(circles[:, :2] - spot).T) > circles[:, 2] + radius):
                return spot
        return None


class Planner:
    """Draws the events of a scene, so that no object is in two hands and no two stand in one place."""

    def __init__(
        self, rng: np.random.Generator, workspace: Workspace, radii: np.ndarray, heights: np.ndarray, seconds: float
    ) -> None:
        """Objects are given by their radii [N] and heights [N] in metres."""
        self._rng, self._space, self._radii, self._heights = rng, workspace, radii, heights
        self._seconds = seconds
        self._pace = float(np.clip(seconds / 12, 0.2, 1.0))
        self._places = np.zeros((len(radii), 3))
        self._poses: list[Pose] = []
        self._busy = np.zeros(len(radii))
        self._in_bin: int | None = None

    def place_objects(self) -> list[Pose]:
        """First poses of all objects, standing on the table."""
        rng = self._rng
        for index, radius in enumerate(self._radii):
            # A crowded table lets things stand closer together rather than fail.
            spot = None
            for share in (1.0, 0.8, 0.6, 0.4):
                spot = self._space.free_place(rng, radius * share, self._places[:index])
                if spot is not None:
                    break
            if spot is None:
                spot = rng.uniform(-0.7, 0.7, 2) * self._space.half
            self._places[index] = (*spot, radius)
            self._poses.append(self._standing(index, spot, rng.uniform(-np.pi, np.pi)))
        return list(self._poses)

    def plan(self, hands: list[tuple[int, int]]) -> list[Event]:
        """Events of all (actor, hand) pairs up to the end of the take, in the order of their grasps."""
        rng = self._rng
        ready = {hand: rng.uniform(0.0, 1.0) * self._pace for hand in hands}
        events: list[Event] = []
        while ready:
            hand = min(ready, key=lambda item: ready[item])
            if ready[hand] > self._seconds:
                del ready[hand]
                continue
            event = self._next(hand, ready[hand], first=not events)
            if event is None:
                ready[hand] += 0.5 * self._pace
                continue
            events.append(event)
            ready[hand] = event.retreat + rng.exponential(0.5) * self._pace
        return sorted(events, key=lambda event: event.grasp)

    def plan_in_turn(self, hands: list[tuple[int, int]]) -> list[Event]:
        """Events up to the end of the take, one after the other, each by one of the (actor, hand) pairs."""
        rng = self._rng
        time = rng.uniform(0.0, 1.0) * self._pace
        events: list[Event] = []
        while time <= self._seconds:
            event = self._next(hands[int(rng.integers(len(hands)))], time, first=not events)
            if event is None:
                time += 0.5 * self._pace
                continue
            events.append(event)
            time = event.retreat + rng.exponential(0.5) * self._pace
        return events

    def _standing(self, index: int, spot: np.ndarray, yaw: float) -> Pose:
        return Pose(np.array([spot[0], spot[1], self._space.top + self._heights[index] / 2]), yaw)

    def _next(self, hand: tuple[int, int], time: float, first: bool) -> Event | None:
        rng = self._rng
        free = [i for i in range(len(self._radii)) if self._busy[i] <= time]
        if not free:
            return None
        if self._in_bin is not None and self._in_bin in free and rng.uniform() < 0.6:
            return self._handle(hand, time, self._in_bin, FETCH)
        on_table = [i for i in free if i != self._in_bin]
        if not on_table:
            return None
        # Mostly each hand takes what is near it, rather than reach across the other one.
        home = self._space.hands[hand][:2]
        gaps = np.array([np.hypot(*(self._poses[i].position[:2] - home)) for i in on_table])
        chances = np.exp(-((gaps / 0.3) ** 2)) + 1e-3
        index = int(rng.choice(on_table, p=chances / chances.sum()))
        if self._in_bin is None and (first or rng.uniform() < 0.15):
            return self._handle(hand, time, int(min(on_table, key=lambda i: self._radii[i])), STASH)
        return self._handle(hand, time, index, INSPECT if rng.uniform() < 0.25 else MOVE)

    def _handle(self, hand: tuple[int, int], time: float, index: int, kind: str) -> Event | None:
        rng, start, pace = self._rng, self._poses[index], self._pace
        if kind == STASH:
            lying = self._space.bin + np.array([0.0, 0.0, self._heights[index] / 2])
            end: Pose | None = Pose(lying, start.yaw)
        else:
            end = self._new_pose(index, start, self._space.hands[hand][:2])
        if end is None:
            return None
        reach = time + rng.uniform(0.4, 0.8) * pace
        hold = rng.uniform(1.0, 2.2) * pace + (rng.uniform(0.8, 2.0) * pace if kind != MOVE else 0.0)
        rise = rng.uniform(0.06, 0.3) if rng.uniform() < 0.75 else 0.0
        if kind == INSPECT:
            face = self._space.faces[hand[0]] + rng.normal(0, 0.05, 3)
            path = np.stack([start.position, face, face, end.position])
        elif kind == MOVE:
            up = np.array([0, 0, rise])
            path = np.stack([start.position, start.position + up, end.position + up, end.position])
        else:
            path = np.stack([start.position, start.position, end.position, end.position])
            path[1:3, 2] = self._space.top + 0.45
        event = Event(
            object=index,
            actor=hand[0],
            hand=hand[1],
            kind=kind,
            reach=time,
            grasp=reach,
            release=reach + hold,
            retreat=reach + hold + rng.uniform(0.4, 0.7) * pace,
            start=start,
            end=end,
            path=path,
            spin=float(rng.choice([-1, 1]) * 2 * np.pi) if kind == INSPECT and rng.uniform() < 0.5 else 0.0,
            tilt=float(rng.uniform(0.5, 1.6) if kind == INSPECT else rng.uniform(0, 0.5) if rise else 0.0),
            tilt_axis=str(rng.choice(["x", "y"])),
        )
        self._poses[index] = end
        self._places[index] = (1e3, 1e3, 0.0) if kind == STASH else (*end.position[:2], self._radii[index])
        if kind in (STASH, FETCH):
            self._in_bin = index if kind == STASH else None
        # A stashed object stays away for a moment, so that its return can be told from its leaving.
        self._busy[index] = event.release + (rng.uniform(1.5, 4.0) * pace if kind == STASH else 0.3 * pace)
        return event

    def _new_pose(self, index: int, start: Pose, home: np.ndarray) -> Pose | None:
        others = np.delete(self._places, index, axis=0)
        spot = self._space.free_place(self._rng, self._radii[index], others, near=0.6 * start.position[:2] + 0.4 * home)
        if spot is None:
            return None
        return self._standing(index, spot, start.yaw + self._rng.normal(0, 0.8))


class Timeline:
    """Object poses at any time, from their first poses and the events."""

    def __init__(self, first: list[Pose], events: list[Event]) -> None:
        """Events must be in the order of their grasps."""
        self._first = first
        self._events: list[list[Event]] = [[] for _ in first]
        for event in events:
            self._events[event.object].append(event)

    def poses(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions [N, 3] and rotations [N, 3, 3] of all objects."""
        positions, rotations = np.empty((len(self._first), 3)), np.empty((len(self._first), 3, 3))
        for index, events in enumerate(self._events):
            latest = None
            for event in events:
                if event.grasp > time:
                    break
                latest = event
            if latest is not None and time < latest.release:
                positions[index], rotations[index] = latest.pose(time)
            else:
                rest = self._first[index] if latest is None else latest.end
                positions[index], rotations[index] = rest.position, rest.rotation
        return positions, rotations


@dataclass(frozen=True)
class HeadPath:
    """Eye positions [T, 3] and camera rotations [T, 3, 3] (columns right, down, forward) for every frame."""

    positions: np.ndarray
    rotations: np.ndarray


def head_path(
    rng: np.random.Generator, eye: np.ndarray, events: list[Event], actor: int, frames: int, fps: float
) -> HeadPath:
    """The course of a head over a table: eyes follow the hands, wander, and now and then turn away."""
    times = np.arange(frames) / fps
    seconds = frames / fps
    targets = np.tile([0.0, 0.05, eye[2] - 0.6], (frames, 1))
    for event in events:
        if event.actor == actor:
            during = (times >= event.reach) & (times < event.release + 0.2)
            targets[during] = 0.5 * targets[during] + 0.5 * (event.path[0] + event.path[3]) / 2
    away = np.zeros(frames)
    turn = rng.uniform(0.15, 0.45) * seconds
    while turn < seconds:
        length = min(rng.uniform(0.8, 2.2), 0.25 * seconds)
        away[(times >= turn) & (times < turn + length)] = rng.choice([-1, 1]) * rng.uniform(0.8, 1.7)
        turn += length + rng.uniform(3.0, 9.0)
    window = max(3, int(0.35 * fps) | 1)
    targets += _wander(rng, frames, fps, 0.6)[:, :3] * [0.1, 0.07, 0.04]
    targets, away = _smooth(targets, window), _smooth(away[:, None], window)[:, 0]
    sway = _wander(rng, frames, fps, 1.1)
    positions = eye + sway * [0.05, 0.04, 0.025]
    positions[:, :2] += 0.12 * (targets[:, :2] - [0.0, 0.05])
    rolls = _wander(rng, frames, fps, 0.9)[:, 0] * 0.04
    return HeadPath(positions, _gaze(positions, targets, away, rolls))


def _gaze(positions: np.ndarray, targets: np.ndarray, away: np.ndarray, rolls: np.ndarray) -> np.ndarray:
    forward = targets - positions
    c, s = np.cos(away), np.sin(away)
    x, y = forward[:, 0] * c - forward[:, 1] * s, forward[:, 0] * s + forward[:, 1] * c
    # Turning away lifts the gaze as well: one looks at the room, not at the floor.
    forward = np.stack([x, y, forward[:, 2] * (1 - 0.35 * np.abs(away))], axis=1)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    down = np.cross(forward, right)
    cr, sr = np.cos(rolls)[:, None], np.sin(rolls)[:, None]
    return np.stack([right * cr + down * sr, down * cr - right * sr, forward], axis=-1)


def _wander(rng: np.random.Generator, frames: int, fps: float, rate: float) -> np.ndarray:
    """Smooth random courses [frames, 3] of about unit size that change `rate` times a second."""
    knots = max(4, int(frames / fps * rate) + 3)
    values = rng.normal(size=(knots, 3)).clip(-1.8, 1.8)
    at = np.linspace(0, knots - 1, frames)
    line = np.stack([np.interp(at, np.arange(knots), values[:, axis]) for axis in range(3)], axis=1)
    return _smooth(line, max(3, int(fps / rate * 0.8) | 1))


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    kernel = np.hanning(window + 2)[1:-1]
    kernel /= kernel.sum()
    padded = np.pad(values, ((window // 2, window // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in range(values.shape[1])], axis=1)
