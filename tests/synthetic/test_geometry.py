"""Rays against the primitives of synthetic scenes: hits lie on the surface, misses pass by."""

import numpy as np
import pytest

from lmeec.synthetic.geometry import (
    BOX,
    CAPSULE,
    ELLIPSOID,
    FRUSTUM,
    MISS,
    TORUS,
    half_extent,
    intersect,
    surface,
)


def _box(p, s):
    return np.max(np.abs(p) / s[:3], axis=-1) - 1


def _ellipsoid(p, s):
    return np.linalg.norm(p / s[:3], axis=-1) - 1


def _frustum(p, s):
    radius = 0.5 * (s[0] + s[1]) + (s[1] - s[0]) / (2 * s[2]) * p[..., 2]
    return np.maximum(np.linalg.norm(p[..., :2], axis=-1) - radius, np.abs(p[..., 2]) - s[2])


def _capsule(p, s):
    middle = np.clip(p[..., 2], -s[1], s[1])
    return np.linalg.norm(np.concatenate([p[..., :2], (p[..., 2] - middle)[..., None]], axis=-1), axis=-1) - s[0]


def _torus(p, s):
    return np.hypot(np.linalg.norm(p[..., :2], axis=-1) - s[0], p[..., 2]) - s[1]


SOLIDS = [
    (BOX, (0.4, 0.2, 0.3, 0.0), _box),
    (ELLIPSOID, (0.4, 0.2, 0.3, 1.0), _ellipsoid),
    (FRUSTUM, (0.4, 0.1, 0.3, 0.0), _frustum),
    (FRUSTUM, (0.2, 0.2, 0.3, 0.0), _frustum),
    (CAPSULE, (0.15, 0.3, 0.0, 0.0), _capsule),
    (TORUS, (0.3, 0.1, 0.0, 0.0), _torus),
]


@pytest.mark.parametrize(("kind", "size", "inside"), SOLIDS)
def test_rays_stop_at_the_first_point_of_a_solid(kind, size, inside):
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        start = rng.normal(size=3)
        start *= 2 / np.linalg.norm(start)
        ray = rng.normal(0, 0.25, 3) - start
        t = intersect(kind, *size, *start, *ray)
        travelled = np.linspace(0, 2, 2000) if t == MISS else np.linspace(0, t - 2e-3, 2000)
        assert inside(start + travelled[:, None] * ray, size).min() > -2e-3
        if t == MISS:
            continue
        hits += 1
        point = start + t * ray
        assert abs(inside(point, size)) < 2e-3
        assert np.all(np.abs(point) <= np.array(half_extent(kind, *size[:3])) + 1e-3)
    assert 50 < hits < 300


@pytest.mark.parametrize(("kind", "size", "inside"), SOLIDS)
def test_normals_point_out_of_the_solid(kind, size, inside):
    rng = np.random.default_rng(4)
    for _ in range(100):
        start = rng.normal(size=3)
        start *= 2 / np.linalg.norm(start)
        t = intersect(kind, *size, *start, *-start)
        if t == MISS:
            continue
        point = start - t * start
        normal = np.array(surface(kind, *size, *point)[:3])
        assert np.linalg.norm(normal) == pytest.approx(1, abs=2e-2)
        assert inside(point + 0.01 * normal, size) > inside(point - 0.01 * normal, size)


def test_one_looks_into_open_vessels():
    down = (0.05, 0.0, 1.0, 0.0, 0.0, -1.0)
    assert intersect(FRUSTUM, 0.2, 0.2, 0.3, 0.0, *down) == pytest.approx(0.7)
    assert intersect(FRUSTUM, 0.2, 0.2, 0.3, 1.0, *down) == pytest.approx(1.3)
    assert intersect(ELLIPSOID, 0.3, 0.3, 0.3, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -1.0) == pytest.approx(1.3)
