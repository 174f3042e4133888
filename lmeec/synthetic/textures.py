"""Procedural materials: random ones for things of every sort, and their colour at a point of a surface."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

SOLID, CHECKER, STRIPES, DOTS, CELLS, WOOD, MARBLE, LABEL, TILES, PLAID, SPECKLE = range(11)
MATERIAL_FIELDS = 15
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """A pattern of up to three linear-light colours; `scale` is the pattern's size in metres."""

    pattern: int
    first: Colour
    second: Colour
    third: Colour
    scale: float = 0.02
    gloss: float = 0.1
    angle: float = 0.0
    share: float = 0.5
    seed: int = 0

    def row(self) -> list[float]:
        """The numbers that `colour_at` reads, float64 [MATERIAL_FIELDS]."""
        return [
            self.pattern,
            self.scale,
            *self.first,
            *self.second,
            *self.third,
            self.gloss,
            self.angle,
            self.share,
            self.seed,
        ]

    def recoloured(self, shift: float) -> Material:
        """The same pattern with every hue turned by `shift` (0 to 1 is once around)."""
        return replace(
            self,
            first=_turn_hue(self.first, shift),
            second=_turn_hue(self.second, shift),
            third=_turn_hue(self.third, shift),
        )


def _turn_hue(colour: Colour, shift: float) -> Colour:
    h, s, v = colorsys.rgb_to_hsv(*colour)
    return colorsys.hsv_to_rgb((h + shift) % 1.0, max(s, 0.45), v)


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """Linear-light RGB of a display colour given as hue, saturation and value (0 to 1)."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return r**2.2, g**2.2, b**2.2


_HUES = (
    (0.04, "red"),
    (0.11, "orange"),
    (0.19, "yellow"),
    (0.45, "green"),
    (0.54, "turquoise"),
    (0.70, "blue"),
    (0.81, "purple"),
    (0.94, "pink"),
    (1.01, "red"),
)
"""Where each word's hues end."""


def colour_name(colour: Colour) -> str:
    """An everyday word for a linear-light colour."""
    h, s, v = colorsys.rgb_to_hsv(*(c ** (1 / 2.2) for c in colour))
    if s < 0.18:
        return "black" if v < 0.3 else "grey" if v < 0.72 else "white"
    if 0.02 < h < 0.12 and v < 0.6:
        return "brown"
    return next(name for bound, name in _HUES if h < bound)


CLEAR_HUES = (0.0, 0.08, 0.155, 0.33, 0.5, 0.61, 0.76, 0.89)
"""Display hues in the middle of what a word means: red, orange, yellow, green, turquoise, blue, purple, pink."""


def clear_material(rng: np.random.Generator, hue: float) -> Material:
    """A bright material of one colour, about a hue of `CLEAR_HUES`, that `colour_name` has one word for."""
    colour = from_hsv(hue + rng.uniform(-0.01, 0.01), rng.uniform(0.75, 0.9), rng.uniform(0.75, 0.95))
    return Material(SOLID, colour, colour, colour)


def object_material(rng: np.random.Generator) -> Material:
    """A material for a thing that is handled: any pattern, mostly two colours of one family and a contrast."""
    hue = rng.uniform()
    saturation, value = rng.uniform(0.0, 0.85) ** 0.7, rng.uniform(0.25, 0.95)
    if rng.uniform() < 0.3:
        saturation *= 0.15
    patterns = [SOLID, CHECKER, STRIPES, DOTS, CELLS, WOOD, MARBLE, LABEL, TILES, PLAID, SPECKLE]
    chances = np.array([5, 1, 2, 1.5, 1, 1.5, 1, 3, 0.6, 1, 1.5])
    pattern = int(rng.choice(patterns, p=chances / chances.sum()))
    second = from_hsv(
        hue + rng.normal(0, 0.12), rng.uniform(0, 0.8), np.clip(value + rng.choice([-0.4, 0.4]), 0.1, 0.97)
    )
    third = from_hsv(rng.uniform(), rng.uniform(0, 0.9), rng.uniform(0.1, 0.95))
    return Material(
        pattern,
        from_hsv(hue, saturation, value),
        second,
        third,
        scale=float(rng.uniform(0.008, 0.03)),
        gloss=float(rng.choice([0.02, 0.15, 0.5])),
        angle=float(rng.choice([0.0, math.pi / 2, rng.uniform(0, math.pi)])),
        share=float(rng.uniform(0.25, 0.6)),
        seed=int(rng.integers(1 << 16)),
    )


def accent_material(rng: np.random.Generator) -> Material:
    """A plain material for handles, lids and caps."""
    colour = from_hsv(rng.uniform(), rng.uniform(0, 0.7) * rng.integers(0, 2), rng.uniform(0.08, 0.9))
    return Material(SOLID, colour, colour, colour, gloss=0.3, seed=int(rng.integers(1 << 16)))


def plain_material(colour: Colour, gloss: float = 0.05, seed: int = 0) -> Material:
    """One colour with a faint unevenness."""
    return Material(SOLID, colour, colour, colour, scale=0.05, gloss=gloss, seed=seed)


def room_material(rng: np.random.Generator, part: str) -> Material:
    """A material for a "wall", "floor", "ceiling", "table" or "furniture"."""
    seed = int(rng.integers(1 << 16))
    if part == "ceiling":
        return plain_material(from_hsv(0.12, 0.04, rng.uniform(0.75, 0.95)), 0.0, seed)
    if part == "wall":
        wall = from_hsv(rng.uniform(), rng.uniform(0, 0.25), rng.uniform(0.5, 0.92))
        darker = (wall[0] * 0.8, wall[1] * 0.8, wall[2] * 0.8)
        pattern = int(rng.choice([SOLID, SOLID, STRIPES, TILES]))
        return Material(pattern, wall, darker, wall, scale=rng.uniform(0.1, 0.3), gloss=0.0, seed=seed)
    hue, value = rng.uniform(0.04, 0.11), rng.uniform(0.25, 0.85)
    wood = from_hsv(hue, rng.uniform(0.25, 0.6), value)
    dark = (wood[0] * 0.6, wood[1] * 0.55, wood[2] * 0.5)
    if rng.uniform() < 0.55:
        return Material(WOOD, wood, dark, dark, scale=rng.uniform(0.03, 0.12), gloss=0.08, seed=seed)
    stone = from_hsv(rng.uniform(), rng.uniform(0, 0.3), rng.uniform(0.15, 0.95))
    other = from_hsv(rng.uniform(), rng.uniform(0, 0.2), rng.uniform(0.2, 0.9))
    choices = {"floor": [TILES, CHECKER, SPECKLE], "table": [SOLID, SPECKLE, MARBLE, PLAID, TILES]}
    pattern = int(rng.choice(choices.get(part, [SOLID, SOLID, STRIPES])))
    scale = rng.uniform(0.15, 0.5) if part == "floor" else rng.uniform(0.03, 0.15)
    return Material(pattern, stone, other, other, scale=scale, gloss=0.05, seed=seed)


@njit(cache=True, nogil=True, error_model="numpy")
def hashed(x: int, y: int, z: int) -> float:
    """An even pseudo-random number in [0, 1) for a grid point."""
    h = (x * 374761393 + y * 668265263 + z * 1440662683) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 1103515245) & 0xFFFFFFFF
    return ((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@njit(cache=True, nogil=True, error_model="numpy")
def _noise2(x: float, y: float, seed: int) -> float:
    ix, iy = math.floor(x), math.floor(y)
    fx, fy = x - ix, y - iy
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    kx, ky = int(ix), int(iy)
    low = hashed(kx, ky, seed) * (1 - fx) + hashed(kx + 1, ky, seed) * fx
    high = hashed(kx, ky + 1, seed) * (1 - fx) + hashed(kx + 1, ky + 1, seed) * fx
    return low * (1 - fy) + high * fy


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest_cell(u: float, v: float, seed: int) -> tuple[float, float]:
    """Distance to the border of the cell at (u, v), roughly, and the cell's own number in [0, 1)."""
    iu, iv = math.floor(u), math.floor(v)
    best, second, owner = 9.0, 9.0, 0.0
    for j in range(iv - 1, iv + 2):
        for i in range(iu - 1, iu + 2):
            x = i + hashed(i, j, seed) - u
            y = j + hashed(i, j, seed + 1) - v
            d = x * x + y * y
            if d < best:
                second, best, owner = best, d, hashed(i, j, seed + 2)
            elif d < second:
                second = d
    return math.sqrt(second) - math.sqrt(best), owner


@njit(cache=True, nogil=True, error_model="numpy")
def _label(u: float, v: float, band: float, seed: int) -> float:
    """0 outside of the label's band, 1 on its paper, 2 on its print, 3 on its emblem."""
    if abs(v) > band:
        return 0.0
    period = 5.0 * band
    centre = u - period * math.floor(u / period + 0.5)
    if centre * centre + v * v < 0.3 * band * band:
        return 3.0
    row, col = math.floor(v / 0.009), math.floor(u / 0.005)
    if v / 0.009 - row < 0.55 and abs(centre) > 0.9 * band and hashed(int(col), int(row), seed) < 0.6:
        return 2.0
    return 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def blend_weights(
    pattern: int, u: float, v: float, w: float, angle: float, share: float, seed: int
) -> tuple[float, float]:
    """How much of the second and of the third colour shows at (u, v), in units of the pattern's scale."""
    if pattern == STRIPES:
        s = u * math.cos(angle) + v * math.sin(angle)
        return (1.0 if s - math.floor(s) < share else 0.0), 0.0
    if pattern == CHECKER:
        return float((math.floor(u) + math.floor(v)) & 1), 0.0
    if pattern == DOTS:
        iu, iv = math.floor(u), math.floor(v)
        x, y = u - iu - 0.5, v - iv - 0.5
        radius = 0.22 + 0.2 * hashed(int(iu), int(iv), seed)
        return (1.0 if x * x + y * y < radius * radius else 0.0), 0.0
    if pattern == CELLS:
        border, owner = _nearest_cell(u, v, seed)
        if border < 0.08:
            return 0.0, 1.0
        return owner, 0.0
    if pattern == WOOD:
        grain = _noise2(u * 0.25, v * 2.0, seed)
        ring = v + 2.5 * grain + w
        return abs(2.0 * (ring - math.floor(ring)) - 1.0) * 0.8 + 0.2 * _noise2(u, v * 9.0, seed + 1), 0.0
    if pattern == MARBLE:
        s = u * 0.5 + 3.0 * _noise2(u * 0.7, v * 0.7, seed) + _noise2(u * 2.1, v * 2.1, seed + 1)
        return 0.5 + 0.5 * math.sin(3.0 * s), 0.0
    if pattern == TILES:
        iu, iv = math.floor(u), math.floor(v)
        if u - iu < 0.04 or v - iv < 0.04:
            return 0.0, 1.0
        return 0.35 * hashed(int(iu), int(iv), seed), 0.0
    if pattern == PLAID:
        a, b = u - math.floor(u), v - math.floor(v)
        third = 1.0 if (a < 0.08 or b < 0.08) else 0.0
        return 0.5 * ((1.0 if a > 0.55 else 0.0) + (1.0 if b > 0.55 else 0.0)), third
    if pattern == SPECKLE:
        spot = hashed(math.floor(u * 4), math.floor(v * 4), seed)
        return (1.0 if spot < 0.12 else 0.0), (1.0 if spot > 0.93 else 0.0)
    return 0.0, 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def colour_at(m: np.ndarray, u: float, v: float, w: float, footprint: float) -> tuple[float, float, float]:
    """Linear-light colour of material row `m` at surface point (u, v).

    w shifts grain between faces; footprint is the size of a pixel on the surface in metres: patterns finer than
    a pixel fade to their mean, so that they do not shimmer.
    """
    pattern, scale, seed = int(m[0]), m[1], int(m[14])
    if pattern == LABEL:
        part = _label(u, v, scale * 1.6, seed)
        second, third = (1.0 if part == 2.0 else 0.0), (1.0 if part == 1.0 else 0.0)
        if part == 3.0:
            second, third = 0.5, 0.0
        fade = min(max(1.6 - footprint / 0.008, 0.0), 1.0) if part == 2.0 else 1.0
        second, third = second * fade, (third if part != 2.0 else 1.0 - fade)
    elif pattern == SOLID:
        second, third = 0.0, 0.0
    else:
        second, third = blend_weights(pattern, u / scale, v / scale, w, m[12], m[13], seed)
        fade = min(max(1.7 - footprint / (0.6 * scale), 0.0), 1.0)
        second, third = 0.4 + (second - 0.4) * fade, third * fade
    first = 1.0 - min(second + third, 1.0)
    second = min(second, 1.0 - third)
    shade = 0.93 + 0.14 * _noise2(u * 60.0, v * 60.0, seed) if footprint < 0.01 else 1.0
    r = m[2] * first + m[5] * second + m[8] * third
    g = m[3] * first + m[6] * second + m[9] * third
    b = m[4] * first + m[7] * second + m[10] * third
    return r * shade, g * shade, b * shade
