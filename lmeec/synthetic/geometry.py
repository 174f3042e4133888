"""Rotations, and the analytic primitives every scene is made of: how a ray meets them, and their surface there.

A primitive lives in its own frame (metres): boxes, ellipsoids, frusta, capsules and tori, all centred, with z as axis.
`size` means: BOX (half x, half y, half z); ELLIPSOID (radii x, y, z, cut: the part above cut * rz is open);
FRUSTUM (bottom radius, top radius, half height, 1 if open at the top); CAPSULE (radius, half length without the ends);
TORUS (ring radius, tube radius).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

BOX, ELLIPSOID, FRUSTUM, CAPSULE, TORUS = range(5)
MISS = 1e30
_CLOSEST = 1e-3
_TORUS_STEPS = 40


def rotation(axis: str, angle: float) -> np.ndarray:
    """The [3, 3] matrix that turns by `angle` radians around the axis x, y or z."""
    c, s = math.cos(angle), math.sin(angle)
    if axis == "x":
        return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    if axis == "y":
        return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def unit(vector: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] at length one."""
    result: np.ndarray = vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12)
    return result


def axis_frames(direction: np.ndarray) -> np.ndarray:
    """Rotations [N, 3, 3] whose z axes point along `direction` [N, 3]."""
    z = unit(direction)
    helper = np.where(np.abs(z[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    x = unit(np.cross(helper, z))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def look_at(position: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Camera rotation [3, 3], columns right, down and forward in the world, looking from position to target."""
    forward = unit(np.asarray(target, float) - position)
    right = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    frame = np.stack([right, np.cross(forward, right), forward], axis=1)
    rolled: np.ndarray = frame @ rotation("z", roll)
    return rolled


@njit(cache=True, nogil=True, error_model="numpy")
def half_extent(kind: int, s0: float, s1: float, s2: float) -> tuple[float, float, float]:
    """Half sizes of the primitive's bounding box in its own frame."""
    if kind == FRUSTUM:
        r = max(s0, s1)
        return r, r, s2
    if kind == CAPSULE:
        return s0, s0, s1 + s0
    if kind == TORUS:
        return s0 + s1, s0 + s1, s1
    return s0, s1, s2


@njit(cache=True, nogil=True, error_model="numpy")
def _box(s0: float, s1: float, s2: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    ax, ay, az = 1.0 / dx, 1.0 / dy, 1.0 / dz
    x0, x1 = (-s0 - ox) * ax, (s0 - ox) * ax
    y0, y1 = (-s1 - oy) * ay, (s1 - oy) * ay
    z0, z1 = (-s2 - oz) * az, (s2 - oz) * az
    enter = max(min(x0, x1), min(y0, y1), min(z0, z1))
    leave = min(max(x0, x1), max(y0, y1), max(z0, z1))
    if enter <= leave and enter > _CLOSEST:
        return enter
    return MISS


@njit(cache=True, nogil=True, error_model="numpy")
def _ellipsoid(
    s0: float, s1: float, s2: float, cut: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    px, py, pz = ox / s0, oy / s1, oz / s2
    qx, qy, qz = dx / s0, dy / s1, dz / s2
    a = qx * qx + qy * qy + qz * qz
    b = px * qx + py * qy + pz * qz
    root = b * b - a * (px * px + py * py + pz * pz - 1.0)
    if root < 0.0:
        return MISS
    root = math.sqrt(root)
    near = (-b - root) / a
    if near > _CLOSEST and pz + near * qz <= cut:
        return near
    far = (-b + root) / a
    if far > _CLOSEST and pz + far * qz <= cut:
        return far
    return MISS


@njit(cache=True, nogil=True, error_model="numpy")
def _frustum(
    r0: float, r1: float, h: float, opened: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> float:
    mean, slope = 0.5 * (r0 + r1), (r1 - r0) / (2.0 * h)
    best = MISS
    radius, grow = mean + slope * oz, slope * dz
    a = dx * dx + dy * dy - grow * grow
    b = ox * dx + oy * dy - radius * grow
    root = b * b - a * (ox * ox + oy * oy - radius * radius)
    if root >= 0.0 and a != 0.0:
        root = math.sqrt(root)
        for t in ((-b - root) / a, (-b + root) / a):
            if _CLOSEST < t < best and abs(oz + t * dz) <= h:
                best = t
    t = (-h - oz) / dz
    if _CLOSEST < t < best and (ox + t * dx) ** 2 + (oy + t * dy) ** 2 <= r0 * r0:
        best = t
    if opened == 0.0:
        t = (h - oz) / dz
        if _CLOSEST < t < best and (ox + t * dx) ** 2 + (oy + t * dy) ** 2 <= r1 * r1:
            best = t
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _capsule(r: float, h: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    best = MISS
    a = dx * dx + dy * dy
    b = ox * dx + oy * dy
    root = b * b - a * (ox * ox + oy * oy - r * r)
    if root < 0.0:
        return MISS
    t = (-b - math.sqrt(root)) / a
    if t > _CLOSEST and abs(oz + t * dz) <= h:
        best = t
    length = dx * dx + dy * dy + dz * dz
    for end in (-h, h):
        b = ox * dx + oy * dy + (oz - end) * dz
        root = b * b - length * (ox * ox + oy * oy + (oz - end) ** 2 - r * r)
        if root >= 0.0:
            t = (-b - math.sqrt(root)) / length
            if _CLOSEST < t < best:
                best = t
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _torus(ring: float, tube: float, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> float:
    # Sphere tracing: simpler and steadier than the quartic, and tori cover few pixels.
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    dx, dy, dz = dx / length, dy / length, dz / length
    along = -(ox * dx + oy * dy + oz * dz)
    bound = ring + tube
    miss = ox * ox + oy * oy + oz * oz - along * along - bound * bound
    if miss > 0.0:
        return MISS
    half = math.sqrt(-miss)
    t, last = max(along - half, _CLOSEST), along + half
    for _ in range(_TORUS_STEPS):
        x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
        gap = math.sqrt((math.sqrt(x * x + y * y) - ring) ** 2 + z * z) - tube
        if gap < 1e-4:
            return t / length
        t += gap
        if t > last:
            return MISS
    return MISS


@njit(cache=True, nogil=True, error_model="numpy")
def intersect(
    kind: int,
    s0: float,
    s1: float,
    s2: float,
    s3: float,
    ox: float,
    oy: float,
    oz: float,
    dx: float,
    dy: float,
    dz: float,
) -> float:
    """Distance along the ray (in units of d) to the nearest surface, or MISS; all in the primitive's frame."""
    if kind == BOX:
        return _box(s0, s1, s2, ox, oy, oz, dx, dy, dz)
    if kind == ELLIPSOID:
        return _ellipsoid(s0, s1, s2, s3, ox, oy, oz, dx, dy, dz)
    if kind == FRUSTUM:
        return _frustum(s0, s1, s2, s3, ox, oy, oz, dx, dy, dz)
    if kind == CAPSULE:
        return _capsule(s0, s1, ox, oy, oz, dx, dy, dz)
    return _torus(s0, s1, ox, oy, oz, dx, dy, dz)


@njit(cache=True, nogil=True, error_model="numpy")
def surface(
    kind: int, s0: float, s1: float, s2: float, s3: float, x: float, y: float, z: float
) -> tuple[float, float, float, float, float]:
    """Outward unit normal (3 numbers) and surface coordinates u, v in metres at a point of the primitive."""
    if kind == BOX:
        ax, ay, az = abs(x) / s0, abs(y) / s1, abs(z) / s2
        if ax >= ay and ax >= az:
            return math.copysign(1.0, x), 0.0, 0.0, y, z
        if ay >= az:
            return 0.0, math.copysign(1.0, y), 0.0, x, z
        return 0.0, 0.0, math.copysign(1.0, z), x, y
    if kind == ELLIPSOID:
        nx, ny, nz = x / (s0 * s0), y / (s1 * s1), z / (s2 * s2)
        scale = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz)
        return nx * scale, ny * scale, nz * scale, math.atan2(y, x) * max(s0, s1), z
    if kind == FRUSTUM:
        if z < 1e-4 - s2:
            return 0.0, 0.0, -1.0, x, y
        if s3 == 0.0 and z > s2 - 1e-4:
            return 0.0, 0.0, 1.0, x, y
        slope = (s1 - s0) / (2.0 * s2)
        scale = 1.0 / (math.sqrt(1.0 + slope * slope) * max(math.sqrt(x * x + y * y), 1e-9))
        nz = -slope / math.sqrt(1.0 + slope * slope)
        return x * scale, y * scale, nz, math.atan2(y, x) * 0.5 * (s0 + s1), z
    if kind == CAPSULE:
        over = z - min(max(z, -s1), s1)
        return x / s0, y / s0, over / s0, math.atan2(y, x) * s0, z
    rho = max(math.sqrt(x * x + y * y), 1e-9)
    out = (rho - s0) / (rho * s1)
    return x * out, y * out, z / s1, math.atan2(y, x) * s0, z
