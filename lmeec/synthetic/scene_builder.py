"""Draws scenes: a room, a table with objects, look-alikes and clutter, people, light and cameras, all from one seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lmeec.synthetic.actors import HAIR, SKIN, SLEEVE, TROUSERS, Actor
from lmeec.synthetic.geometry import BOX, look_at, rotation, unit
from lmeec.synthetic.motion import LEFT, RIGHT, Event, HeadPath, Planner, Pose, Timeline, Workspace, head_path
from lmeec.synthetic.scene import (
    EGO_CAMERA,
    Camera,
    Light,
    Photometry,
    Room,
    Scene,
    SceneConfig,
    SceneObject,
    primitive_rows,
    shape_rows,
)
from lmeec.synthetic.shapes import CATALOGUE, Shape
from lmeec.synthetic.textures import (
    CLEAR_HUES,
    Material,
    accent_material,
    clear_material,
    colour_name,
    from_hsv,
    object_material,
    plain_material,
    room_material,
)

_Triple = Sequence[float] | np.ndarray


def make_scene(seed: int, config: SceneConfig | None = None) -> Scene:
    """Draw a scene; the same seed and configuration always give the same one."""
    return _SceneBuilder(np.random.default_rng(seed), seed, config or SceneConfig()).build()


class _SceneBuilder:
    """Holds what the steps of drawing a scene share: the random generator, materials and static primitives."""

    def __init__(self, rng: np.random.Generator, seed: int, config: SceneConfig) -> None:
        self._rng, self._seed, self._config = rng, seed, config
        self._materials: list[Material] = []
        self._static: list[np.ndarray] = []
        self._top = float(rng.uniform(0.72, 0.9))
        self._half = (float(rng.uniform(0.55, 0.8)), float(rng.uniform(0.36, 0.46)))

    def build(self) -> Scene:
        rng, config = self._rng, self._config
        drawn = str(rng.choice(list(CATALOGUE)))
        theme = config.theme or drawn
        room = self._room()
        self._table()
        bin_place = self._bin()
        self._furniture(room)
        clutter = np.zeros((0, 3)) if config.plain else self._clutter(theme)
        things = self._plain_objects(theme) if config.plain else self._objects(theme)
        eye = np.array(
            [rng.uniform(-0.08, 0.08), -self._half[1] - rng.uniform(0.0, 0.12), self._top + rng.uniform(0.55, 0.7)]
        )
        eyes = [eye]
        if rng.uniform() < (0.7 if config.plain else 0.4):
            eyes.append(np.array([rng.uniform(-0.25, 0.25), self._half[1] + 0.22, self._top + rng.uniform(0.5, 0.65)]))
        facings = [np.array([0.0, -math.copysign(1.0, eye[1]), 0.0]) for eye in eyes]
        hands = np.array([self._idle_hands(eye, facing) for eye, facing in zip(eyes, facings, strict=True)])
        faces = np.array([eye + 0.35 * facing - [0.0, 0.0, 0.22] for eye, facing in zip(eyes, facings, strict=True)])
        space = Workspace(self._half, self._top, clutter, bin_place, faces, hands)
        radii = np.array([thing.shape.radius for thing in things])
        heights = np.array([thing.shape.height for thing in things])
        planner = Planner(rng, space, radii, heights, config.seconds)
        first = planner.place_objects()
        if config.plain:
            events = planner.plan_in_turn([(actor, hand) for actor in range(len(eyes)) for hand in (RIGHT, LEFT)])
        else:
            events = planner.plan([(0, RIGHT), (0, LEFT), (1, RIGHT)][: len(eyes) + 1])
        actors, dressed = self._actors(eyes, facings, hands, events, np.stack([radii, heights], axis=1))
        return Scene(
            seed=self._seed,
            config=config,
            theme=theme,
            objects=things,
            cameras=self._cameras(room, actors[0].head),
            actors=actors,
            events=tuple(events),
            timeline=Timeline(first, events),
            light=self._light(),
            room=room,
            materials=np.array([material.row() for material in self._materials]),
            static=np.concatenate(self._static),
            centre=np.array([0.0, 0.0, self._top]),
            actor_materials=dressed,
        )

    def _add(self, material: Material) -> int:
        self._materials.append(material)
        return len(self._materials) - 1

    def _box(self, centre: _Triple, half: _Triple, material: int, turn: float = 0.0) -> None:
        size = np.array([[*half, 0.0]])
        frame = rotation("z", turn)[None]
        self._static.append(primitive_rows(np.array([BOX]), 0, np.array([material]), size, np.array([centre]), frame))

    def _room(self) -> Room:
        rng = self._rng
        wall = room_material(rng, "wall")
        walls = [self._add(wall) for _ in range(4)]
        if rng.uniform() < 0.5:
            walls[int(rng.integers(4))] = self._add(room_material(rng, "wall"))
        floor, ceiling = self._add(room_material(rng, "floor")), self._add(room_material(rng, "ceiling"))
        half = (float(rng.uniform(2.6, 4.0)), float(rng.uniform(2.6, 4.0)))
        first, second, third, fourth = walls
        return Room(half, float(rng.uniform(2.5, 3.0)), (first, second, third, fourth, floor, ceiling))

    def _table(self) -> None:
        top, legs = self._add(room_material(self._rng, "table")), self._add(room_material(self._rng, "furniture"))
        x, y = self._half
        self._box((0.0, 0.0, self._top - 0.018), (x, y, 0.018), top)
        leg = (self._top - 0.036) / 2
        for sx in (-1, 1):
            for sy in (-1, 1):
                self._box((sx * (x - 0.06), sy * (y - 0.06), leg), (0.028, 0.028, leg), legs)

    def _bin(self) -> np.ndarray:
        """A carton on a stool beside the table; returns the place of things inside."""
        rng = self._rng
        side = float(rng.choice([-1.0, 1.0]))
        x, y, rim, deep = side * (self._half[0] + 0.22), float(rng.uniform(-0.2, 0.05)), self._top - 0.08, 0.32
        card, stool = self._add(room_material(rng, "furniture")), self._add(room_material(rng, "furniture"))
        floor, half = rim - deep, 0.15
        self._box((x, y, floor / 2), (half * 0.9, half * 0.9, floor / 2), stool)
        self._box((x, y, floor + 0.004), (half, half, 0.004), card)
        for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            flat = (0.004, half, deep / 2) if dx else (half, 0.004, deep / 2)
            self._box((x + dx * half, y + dy * half, floor + deep / 2), flat, card)
        return np.array([x, y, floor + 0.01])

    def _furniture(self, room: Room) -> None:
        """Cupboards, shelves with things on them, and pictures along the walls."""
        rng = self._rng
        for side in range(4):
            angle = side * math.pi / 2
            turn, reach = rotation("z", angle), room.half[side % 2] - 0.02
            width = room.half[(side + 1) % 2]
            for _ in range(int(rng.integers(1, 4))):
                along, deep = rng.uniform(-0.8, 0.8) * width, rng.uniform(0.15, 0.25)
                wide, tall = rng.uniform(0.25, 0.6), rng.choice([0.4, 0.45, 0.95])
                front = self._add(room_material(rng, "furniture"))
                self._box(turn @ [reach - deep, along, tall], (deep, wide, tall), front, angle)
                if tall < 0.9:
                    for _ in range(int(rng.integers(1, 4))):
                        size = rng.uniform(0.05, 0.16, 3)
                        at = turn @ [reach - deep, along + rng.uniform(-0.8, 0.8) * wide, 2 * tall + size[2]]
                        self._box(at, size, self._add(object_material(rng)), angle + rng.uniform(-0.5, 0.5))
            for _ in range(int(rng.integers(0, 3))):
                at = turn @ [reach, rng.uniform(-0.8, 0.8) * width, rng.uniform(1.5, 1.9)]
                flat = (0.015, *rng.uniform(0.15, 0.45, 2))
                self._box(at, flat, self._add(_enlarged(object_material(rng), 4.0)), angle)

    def _clutter(self, theme: str) -> np.ndarray:
        """Unannotated things on the table, two of them tall enough to hide others; returns their circles [K, 3]."""
        rng = self._rng
        circles = np.zeros((0, 3))
        space = Workspace(self._half, self._top, circles, np.zeros(3), np.zeros((0, 3)), np.zeros((0, 2, 3)))
        makers = CATALOGUE[theme]
        for number in range(int(rng.integers(4, 8))):
            if number < 2:
                half = rng.uniform([0.05, 0.025, 0.09], [0.1, 0.05, 0.16])
                spot = space.free_place(rng, 0.12, circles)
                if spot is None:
                    continue
                label = self._add(_enlarged(object_material(rng), 1.5))
                self._box((*spot, self._top + half[2]), half, label, rng.uniform(-0.6, 0.6))
                circles = np.concatenate([circles, [[*spot, 0.085]]])
                continue
            shape = makers[int(rng.integers(len(makers)))](rng)
            spot = space.free_place(rng, shape.radius, circles)
            if spot is None:
                continue
            slots = (self._add(object_material(rng)), self._add(accent_material(rng)), self._add(accent_material(rng)))
            at = np.array([*spot, self._top + shape.height / 2])
            pose = Pose(at, float(rng.uniform(-np.pi, np.pi)))
            self._static.append(shape_rows(shape, slots, pose.position, pose.rotation, 0))
            circles = np.concatenate([circles, [[*spot, shape.radius]]])
        return circles

    def _objects(self, theme: str) -> tuple[SceneObject, ...]:
        """Annotated things: of three, one is an identical twin; of five, another is a twin in other colours."""
        rng = self._rng
        makers, count = CATALOGUE[theme], self._config.objects
        twins = {count - 1: (0, True)} if count >= 3 else {}
        if count >= 5:
            twins[count - 2] = (1, False)
        kinds = rng.permutation(len(makers))
        things: list[SceneObject] = []
        for index in range(count):
            if index in twins:
                original, identical = twins[index]
                things.append(self._twin(things, original, identical))
                continue
            shape = makers[int(kinds[index % len(kinds)])](rng)
            slots = (self._add(object_material(rng)), self._add(accent_material(rng)), self._add(accent_material(rng)))
            things.append(SceneObject(self._name(things, shape, slots[0]), shape, slots))
        return tuple(things)

    def _plain_objects(self, theme: str) -> tuple[SceneObject, ...]:
        """Annotated things of one clear colour each, of which no two share a shape or a colour while there are more."""
        rng, makers = self._rng, CATALOGUE[theme]
        kinds, hues = rng.permutation(len(makers)), rng.permutation(len(CLEAR_HUES))
        things: list[SceneObject] = []
        for index in range(self._config.objects):
            shape = makers[int(kinds[index % len(kinds)])](rng).enlarged(self._config.object_scale)
            main = clear_material(rng, CLEAR_HUES[int(hues[index % len(hues)])])
            slots = (self._add(main), self._add(accent_material(rng)), self._add(accent_material(rng)))
            things.append(SceneObject(self._name(things, shape, slots[0]), shape, slots))
        return tuple(things)

    def _twin(self, things: list[SceneObject], original: int, identical: bool) -> SceneObject:
        model = things[original]
        slots = model.materials
        if not identical:
            shift = float(self._rng.uniform(0.25, 0.75))
            slots = (self._add(self._materials[slots[0]].recoloured(shift)), *slots[1:])
        return SceneObject(self._name(things, model.shape, slots[0]), model.shape, slots, original, identical)

    def _name(self, things: list[SceneObject], shape: Shape, material: int) -> str:
        """Colour, word and a running number, as annotators name things: "blue mug_0"."""
        label = f"{colour_name(self._materials[material].first)} {shape.word}"
        return f"{label}_{sum(thing.name.rsplit('_', 1)[0] == label for thing in things)}"

    def _idle_hands(self, eye: np.ndarray, facing: np.ndarray) -> np.ndarray:
        """Where a person's left and right hand rest at the table's edge, [2, 3]."""
        side = np.cross(facing, [0.0, 0.0, 1.0])
        front = np.array([eye[0], -facing[1] * (self._half[1] - 0.06), self._top + 0.03])
        return np.stack([front - 0.2 * side, front + 0.2 * side])

    def _actors(
        self,
        eyes: list[np.ndarray],
        facings: list[np.ndarray],
        hands: np.ndarray,
        events: list[Event],
        spans: np.ndarray,
    ) -> tuple[tuple[Actor, ...], tuple[tuple[int, int, int, int], ...]]:
        rng = self._rng
        actors, dressed = [], []
        for number, eye in enumerate(eyes):
            mine = [tuple(e for e in events if (e.actor, e.hand) == (number, hand)) for hand in (LEFT, RIGHT)]
            head = self._head(eye, events, number)
            actors.append(Actor(facings[number], head, hands[number], (mine[0], mine[1]), spans))
            skin = from_hsv(rng.uniform(0.05, 0.08), rng.uniform(0.3, 0.5), rng.uniform(0.35, 0.95))
            looks = {SKIN: plain_material(skin, 0.1), HAIR: plain_material(from_hsv(0.07, 0.5, rng.uniform(0.05, 0.5)))}
            looks[SLEEVE] = _enlarged(object_material(rng), 1.5)
            looks[TROUSERS] = plain_material(from_hsv(rng.uniform(), 0.3, rng.uniform(0.1, 0.5)))
            body, arms, top, legs = (self._add(looks[slot]) for slot in (SKIN, SLEEVE, HAIR, TROUSERS))
            dressed.append((body, arms, top, legs))
        return tuple(actors), tuple(dressed)

    def _head(self, eye: np.ndarray, events: list[Event], number: int) -> HeadPath:
        return head_path(self._rng, eye, events, number, self._config.frames, self._config.fps)

    def _photometry(self) -> Photometry:
        rng = self._rng
        warm = rng.normal(0, 0.09)
        return Photometry(
            exposure=float(np.exp(rng.normal(0.0, 0.22))),
            white_balance=(float(np.exp(warm)), float(np.exp(rng.normal(0, 0.03))), float(np.exp(-warm))),
            gamma=float(rng.uniform(1.9, 2.5)),
            saturation=float(rng.uniform(0.7, 1.2)),
            vignette=float(rng.uniform(0.0, 0.35)),
            noise=float(rng.uniform(0.6, 3.5)),
            blur=float(max(0.0, rng.uniform(-0.5, 0.9))),
        )

    def _cameras(self, room: Room, head: HeadPath) -> tuple[Camera, ...]:
        rng, config = self._rng, self._config
        ego = Camera(EGO_CAMERA, True, float(rng.uniform(0.55, 0.68)), 1.0, head, self._photometry())
        count = int(rng.integers(config.exo_cameras[0], config.exo_cameras[1] + 1))
        pattern = str(rng.choice(["cam{:02d}", "gp{:02d}"]))
        # Around the table, not straight behind the wearer, whose back would fill the picture.
        angles = -math.pi / 2 + np.linspace(0.6, 2 * math.pi - 0.6, count + 1)
        angles = angles[:-1] + (angles[1] - angles[0]) * rng.uniform(0.15, 0.85, count)
        cameras = [ego]
        for number, angle in enumerate(rng.permutation(angles)):
            distance = rng.uniform(1.3, 2.2)
            limit = np.array(room.half) - 0.55
            spot = np.clip(distance * np.array([math.cos(angle), math.sin(angle)]), -limit, limit)
            position = np.array([*spot, self._top + rng.uniform(0.45, 1.15)])
            target = np.array([*rng.uniform(-0.12, 0.12, 2), self._top + rng.uniform(-0.05, 0.15)])
            view = look_at(position, target, float(rng.normal(0, 0.02)))
            focal = float(rng.uniform(0.95, 1.25) * np.clip(distance / 1.6, 0.8, 1.2))
            path = HeadPath(position[None], view[None])
            cameras.append(Camera(pattern.format(number + 1), False, focal, 796 / 448, path, self._photometry()))
        return tuple(cameras)

    def _light(self) -> Light:
        rng = self._rng
        tilt, around, warmth = rng.uniform(0.25, 0.95), rng.uniform(0, 2 * np.pi), rng.normal(0, 0.08)
        tint = np.array([math.exp(warmth), 1.0, math.exp(-warmth)])
        key = rng.uniform(0.55, 1.15)
        around_fill = around + rng.uniform(2.0, 4.3)
        return Light(
            direction=np.array([math.cos(around) * math.sin(tilt), math.sin(around) * math.sin(tilt), -math.cos(tilt)]),
            key=key * tint,
            fill_direction=unit(np.array([math.cos(around_fill), math.sin(around_fill), -0.6])),
            fill=rng.uniform(0.05, 0.25) / tint,
            sky=rng.uniform(0.25, 0.5) * np.array([1.0, 1.0, 1.0]),
            ground=rng.uniform(0.08, 0.2) * np.array([1.0, 0.95, 0.9]),
        )


def _enlarged(material: Material, factor: float) -> Material:
    return replace(material, scale=material.scale * factor)
