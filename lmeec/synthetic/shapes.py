"""The catalogue of things in a scene: composite shapes of a few primitives, in metres, standing on z = 0."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lmeec.synthetic.geometry import BOX, CAPSULE, ELLIPSOID, FRUSTUM, TORUS, rotation

if TYPE_CHECKING:
    from collections.abc import Callable

_IDENTITY = np.eye(3)
_UPRIGHT_RING = rotation("x", np.pi / 2)
_LYING = rotation("y", np.pi / 2)


@dataclass(frozen=True)
class Part:
    """One primitive of a shape: `slot` picks the material (0 main, 1 accent, 2 second accent)."""

    kind: int
    size: tuple[float, ...]
    position: tuple[float, float, float]
    turn: np.ndarray
    slot: int = 0

    def enlarged(self, factor: float) -> Part:
        """The same primitive `factor` times as large and as far from the thing's foot; a fourth size is a share."""
        size = (*(factor * one for one in self.size[:3]), *self.size[3:])
        x, y, z = self.position
        return replace(self, size=size, position=(factor * x, factor * y, factor * z))


@dataclass(frozen=True)
class Shape:
    """A thing's parts, the radius of the circle that it needs on the table, and its height."""

    word: str
    parts: tuple[Part, ...]
    radius: float
    height: float

    def enlarged(self, factor: float) -> Shape:
        """The same thing `factor` times as large."""
        parts = tuple(part.enlarged(factor) for part in self.parts)
        return replace(self, parts=parts, radius=factor * self.radius, height=factor * self.height)


def _part(
    kind: int, size: tuple[float, ...], at: tuple[float, float, float], slot: int = 0, turn: np.ndarray = _IDENTITY
) -> Part:
    return Part(kind, size, at, turn, slot)


def mug(rng: np.random.Generator) -> Shape:
    """An open mug with a ring for a handle."""
    r, h = rng.uniform(0.035, 0.05), rng.uniform(0.08, 0.12)
    flare = r * rng.uniform(0.85, 1.1)
    handle = _part(TORUS, (0.3 * h, 0.007), (flare + 0.012, 0, h * 0.5), int(rng.integers(0, 2)), _UPRIGHT_RING)
    return Shape("mug", (_part(FRUSTUM, (flare, r, h / 2, 1.0), (0, 0, h / 2)), handle), r + 0.045, h)


def bowl(rng: np.random.Generator) -> Shape:
    """An open bowl on a foot."""
    r, h = rng.uniform(0.06, 0.11), rng.uniform(0.05, 0.08)
    foot = _part(FRUSTUM, (r * 0.5, r * 0.45, 0.008), (0, 0, 0.008))
    return Shape("bowl", (_part(ELLIPSOID, (r, r, h, 0.0), (0, 0, h + 0.004)), foot), r, h + 0.004)


def bottle(rng: np.random.Generator) -> Shape:
    """A bottle with shoulder, neck and cap."""
    r, h = rng.uniform(0.03, 0.042), rng.uniform(0.11, 0.18)
    parts = (
        _part(FRUSTUM, (r, r, h / 2), (0, 0, h / 2)),
        _part(FRUSTUM, (r, 0.014, 0.02), (0, 0, h + 0.02)),
        _part(FRUSTUM, (0.014, 0.014, 0.02), (0, 0, h + 0.06)),
        _part(FRUSTUM, (0.017, 0.017, 0.01), (0, 0, h + 0.085), 1),
    )
    return Shape("bottle", parts, r, h + 0.095)


def can(rng: np.random.Generator) -> Shape:
    """A can with bright rims."""
    r, h = rng.uniform(0.03, 0.052), rng.uniform(0.06, 0.13)
    parts = (
        _part(FRUSTUM, (r, r, h / 2), (0, 0, h / 2)),
        _part(FRUSTUM, (r * 1.02, r * 1.02, 0.003), (0, 0, 0.003), 1),
        _part(FRUSTUM, (r * 1.02, r * 0.96, 0.004), (0, 0, h), 1),
    )
    return Shape("can", parts, r, h)


def jar(rng: np.random.Generator) -> Shape:
    """A jar with a lid of another colour."""
    r, h = rng.uniform(0.035, 0.06), rng.uniform(0.07, 0.13)
    lid = _part(FRUSTUM, (r * 0.95, r * 0.95, 0.012), (0, 0, h + 0.012), 1)
    return Shape("jar", (_part(FRUSTUM, (r, r, h / 2), (0, 0, h / 2)), lid), r, h + 0.024)


def carton(rng: np.random.Generator) -> Shape:
    """A packet."""
    x, y, z = rng.uniform(0.03, 0.09), rng.uniform(0.02, 0.05), rng.uniform(0.04, 0.12)
    return Shape("packet", (_part(BOX, (x, y, z), (0, 0, z)),), float(np.hypot(x, y)), 2 * z)


def pan(rng: np.random.Generator) -> Shape:
    """A pan with a long handle."""
    r, h = rng.uniform(0.09, 0.13), rng.uniform(0.035, 0.07)
    parts = (
        _part(FRUSTUM, (r * 0.85, r, h / 2, 1.0), (0, 0, h / 2)),
        _part(CAPSULE, (0.011, 0.07), (r + 0.075, 0, h * 0.8), 1, _LYING),
    )
    return Shape("pan", parts, r + 0.03, h)


def plate(rng: np.random.Generator) -> Shape:
    """A flat plate with a rim of another colour."""
    r = rng.uniform(0.08, 0.13)
    parts = (
        _part(FRUSTUM, (r * 0.6, r * 0.97, 0.008, 1.0), (0, 0, 0.008)),
        _part(TORUS, (r * 0.97, 0.005), (0, 0, 0.016), 1),
    )
    return Shape("plate", parts, r, 0.02)


def fruit(rng: np.random.Generator) -> Shape:
    """A fruit with a stalk."""
    r = rng.uniform(0.03, 0.05)
    h = r * rng.uniform(0.85, 1.25)
    stalk = _part(CAPSULE, (0.003, 0.01), (0, 0, 2 * h + 0.004), 1)
    return Shape("fruit", (_part(ELLIPSOID, (r, r, h, 1.0), (0, 0, h)), stalk), r, 2 * h)


def teapot(rng: np.random.Generator) -> Shape:
    """A pot with spout, handle and lid."""
    r = rng.uniform(0.06, 0.085)
    h = r * 0.85
    parts = (
        _part(ELLIPSOID, (r, r, h, 1.0), (0, 0, h)),
        _part(TORUS, (r * 0.5, 0.008), (-r * 1.05, 0, h), 1, _UPRIGHT_RING),
        _part(FRUSTUM, (0.018, 0.009, r * 0.45), (r * 1.2, 0, h * 1.15), 0, rotation("y", 0.8)),
        _part(ELLIPSOID, (0.014, 0.014, 0.012, 1.0), (0, 0, 2 * h + 0.008), 1),
    )
    return Shape("teapot", parts, r * 1.55, 2 * h)


def book(rng: np.random.Generator) -> Shape:
    """A closed book: covers around pages."""
    x, y, z = rng.uniform(0.07, 0.11), rng.uniform(0.05, 0.08), rng.uniform(0.008, 0.022)
    parts = (
        _part(BOX, (x, y, 0.002), (0, 0, 0.002)),
        _part(BOX, (x * 0.97, y * 0.97, z), (0, 0, z + 0.002), 1),
        _part(BOX, (x, y, 0.002), (0, 0, 2 * z + 0.004)),
        _part(BOX, (x, 0.002, z), (0, -y, z + 0.002)),
    )
    return Shape("book", parts, float(np.hypot(x, y)), 2 * z + 0.006)


def toy_car(rng: np.random.Generator) -> Shape:
    """A toy car: body, cabin and four wheels."""
    x, y, w = rng.uniform(0.06, 0.09), rng.uniform(0.03, 0.04), rng.uniform(0.015, 0.022)
    wheels = tuple(
        _part(FRUSTUM, (w, w, 0.007), (sx * x * 0.6, sy * y, w), 1, _UPRIGHT_RING) for sx in (-1, 1) for sy in (-1, 1)
    )
    body = _part(BOX, (x, y * 0.9, 0.018), (0, 0, w + 0.018))
    cabin = _part(BOX, (x * 0.5, y * 0.75, 0.016), (-x * 0.15, 0, w + 0.05), 2)
    return Shape("toy car", (body, cabin, *wheels), float(np.hypot(x, y)), w + 0.066)


def tape_roll(rng: np.random.Generator) -> Shape:
    """A roll of tape lying flat."""
    r, tube = rng.uniform(0.03, 0.05), rng.uniform(0.012, 0.02)
    return Shape("tape roll", (_part(TORUS, (r, tube), (0, 0, tube)),), r + tube, 2 * tube)


def hammer(rng: np.random.Generator) -> Shape:
    """A hammer lying on its side."""
    long = rng.uniform(0.08, 0.12)
    parts = (
        _part(CAPSULE, (0.012, long), (0, 0, 0.018), 0, _LYING),
        _part(BOX, (0.016, 0.045, 0.016), (long, 0, 0.018), 1),
        _part(FRUSTUM, (0.018, 0.018, 0.012), (long, 0.055, 0.018), 1, _UPRIGHT_RING),
    )
    return Shape("hammer", parts, long + 0.02, 0.036)


def screwdriver(rng: np.random.Generator) -> Shape:
    """A screwdriver lying on its side."""
    long = rng.uniform(0.04, 0.06)
    parts = (
        _part(FRUSTUM, (0.016, 0.013, long), (-long, 0, 0.016), 0, _LYING),
        _part(CAPSULE, (0.004, long), (long, 0, 0.016), 1, _LYING),
    )
    return Shape("screwdriver", parts, 2 * long, 0.032)


def spoon(rng: np.random.Generator) -> Shape:
    """A cooking spoon lying flat."""
    long = rng.uniform(0.08, 0.11)
    parts = (
        _part(CAPSULE, (0.007, long), (0, 0, 0.008), 0, _LYING),
        _part(ELLIPSOID, (0.04, 0.026, 0.012, 1.0), (long + 0.03, 0, 0.012)),
    )
    return Shape("cooking spoon", parts, long + 0.03, 0.024)


def cutting_board(rng: np.random.Generator) -> Shape:
    """A board with a hole-less grip."""
    x, y = rng.uniform(0.09, 0.13), rng.uniform(0.06, 0.09)
    parts = (
        _part(BOX, (x, y, 0.009), (0, 0, 0.009)),
        _part(BOX, (0.03, 0.02, 0.009), (x + 0.03, 0, 0.009)),
    )
    return Shape("cutting board", parts, float(np.hypot(x, y)), 0.018)


def bell(rng: np.random.Generator) -> Shape:
    """A cone with a ball on top."""
    r, h = rng.uniform(0.035, 0.055), rng.uniform(0.07, 0.12)
    ball = _part(ELLIPSOID, (0.018, 0.018, 0.018, 1.0), (0, 0, h + 0.012), 1)
    return Shape("skittle", (_part(FRUSTUM, (r, 0.012, h / 2), (0, 0, h / 2)), ball), r, h + 0.03)


CATALOGUE: dict[str, tuple[Callable[[np.random.Generator], Shape], ...]] = {
    "kitchen": (mug, bowl, bottle, can, jar, carton, pan, plate, fruit, teapot, spoon, cutting_board),
    "workshop": (can, jar, carton, tape_roll, hammer, screwdriver, bottle, mug, book, bell),
    "playroom": (toy_car, bell, carton, book, fruit, mug, bowl, tape_roll, bottle, teapot),
}
