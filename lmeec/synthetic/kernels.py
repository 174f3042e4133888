"""Compiled loops of the renderer: find the primitive in each pixel, shade it, light it, and finish the picture.

`rays` is float64 [6, 3]: rows O, Ox, Oy, D, Dx, Dy. The ray of the pixel in column x and row y starts at
O + x Ox + y Oy and runs along D + x Dx + y Dy. For a perspective camera Ox = Oy = 0 and the distance along a ray is
the depth; for the parallel light of a shadow map Dx = Dy = 0. `project` is the [3, 4] matrix from world to pixels.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from lmeec.synthetic.geometry import half_extent, intersect, surface
from lmeec.synthetic.textures import colour_at

NOTHING = -1
LUT_STEPS = 1024
_NEAR = 0.03
_UNLIT = -1e6


@njit(cache=True, nogil=True, error_model="numpy")
def _screen_box(prim: np.ndarray, project: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """Columns x0 to x1 and rows y0 to y1 (ends excluded) that the primitive can touch; empty when behind."""
    ex, ey, ez = half_extent(int(prim[0]), prim[3], prim[4], prim[5])
    corners = np.empty((8, 3))
    for c in range(8):
        lx = ex if c & 1 else -ex
        ly = ey if c & 2 else -ey
        lz = ez if c & 4 else -ez
        x = prim[7] + prim[10] * lx + prim[11] * ly + prim[12] * lz
        y = prim[8] + prim[13] * lx + prim[14] * ly + prim[15] * lz
        z = prim[9] + prim[16] * lx + prim[17] * ly + prim[18] * lz
        for row in range(3):
            corners[c, row] = project[row, 0] * x + project[row, 1] * y + project[row, 2] * z + project[row, 3]
    u0, u1, v0, v1 = 1e9, -1e9, 1e9, -1e9
    for c in range(8):
        if corners[c, 2] >= _NEAR:
            u, v = corners[c, 0] / corners[c, 2], corners[c, 1] / corners[c, 2]
            u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
        for bit in (1, 2, 4):
            other = c ^ bit
            # Edges that cross the near plane end on it.
            if other > c and (corners[c, 2] < _NEAR) != (corners[other, 2] < _NEAR):
                s = (_NEAR - corners[c, 2]) / (corners[other, 2] - corners[c, 2])
                u = (corners[c, 0] + s * (corners[other, 0] - corners[c, 0])) / _NEAR
                v = (corners[c, 1] + s * (corners[other, 1] - corners[c, 1])) / _NEAR
                u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    x0, x1 = int(max(math.floor(u0), 0.0)), int(min(math.ceil(u1) + 1.0, float(width)))
    y0, y1 = int(max(math.floor(v0), 0.0)), int(min(math.ceil(v1) + 1.0, float(height)))
    return x0, x1, y0, y1


@njit(cache=True, nogil=True, error_model="numpy")
def draw(
    prims: np.ndarray,
    offset: int,
    skip_unseen: bool,
    rays: np.ndarray,
    project: np.ndarray,
    depth: np.ndarray,
    index: np.ndarray,
) -> tuple[int, int, int, int]:
    """Draw primitives into a depth buffer (float32 [H, W]) and an index buffer (int16 [H, W]).

    `offset` is added to the indices. Returns the box x0, x1, y0, y1 of all that can have been drawn.
    """
    height, width = depth.shape
    local = np.empty((6, 3))
    box_x0, box_x1, box_y0, box_y1 = width, 0, height, 0
    for p in range(len(prims)):
        prim = prims[p]
        if skip_unseen and prim[19] != 0.0:
            continue
        x0, x1, y0, y1 = _screen_box(prim, project, height, width)
        if x0 >= x1 or y0 >= y1:
            continue
        box_x0, box_x1 = min(box_x0, x0), max(box_x1, x1)
        box_y0, box_y1 = min(box_y0, y0), max(box_y1, y1)
        for k in range(6):
            x, y, z = rays[k, 0], rays[k, 1], rays[k, 2]
            if k == 0:
                x, y, z = x - prim[7], y - prim[8], z - prim[9]
            for axis in range(3):
                local[k, axis] = prim[10 + axis] * x + prim[13 + axis] * y + prim[16 + axis] * z
        kind, s0, s1, s2, s3 = int(prim[0]), prim[3], prim[4], prim[5], prim[6]
        for y in range(y0, y1):
            ox, oy, oz = local[0, 0] + y * local[2, 0], local[0, 1] + y * local[2, 1], local[0, 2] + y * local[2, 2]
            dx, dy, dz = local[3, 0] + y * local[5, 0], local[3, 1] + y * local[5, 1], local[3, 2] + y * local[5, 2]
            for x in range(x0, x1):
                t = intersect(
                    kind,
                    s0,
                    s1,
                    s2,
                    s3,
                    ox + x * local[1, 0],
                    oy + x * local[1, 1],
                    oz + x * local[1, 2],
                    dx + x * local[4, 0],
                    dy + x * local[4, 1],
                    dz + x * local[4, 2],
                )
                if t < depth[y, x]:
                    depth[y, x] = t
                    index[y, x] = p + offset
    return box_x0, box_x1, box_y0, box_y1


@njit(cache=True, nogil=True, error_model="numpy")
def _room_hit(room: np.ndarray, ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> tuple[float, int]:
    """Distance to the room's inside, the side met (0 to 5: +x, +y, -x, -y, floor, ceiling)."""
    tx = ((room[0] if dx > 0 else -room[0]) - ox) / dx
    ty = ((room[1] if dy > 0 else -room[1]) - oy) / dy
    tz = ((room[2] if dz > 0 else 0.0) - oz) / dz
    if tx < ty and tx < tz:
        return tx, (0 if dx > 0 else 2)
    if ty < tz:
        return ty, (1 if dy > 0 else 3)
    return tz, (5 if dz > 0 else 4)


@njit(cache=True, nogil=True, error_model="numpy")
def shade(  # noqa: PLR0915 -- one loop, which numba compiles whole
    prims: np.ndarray,
    materials: np.ndarray,
    room: np.ndarray,
    lights: np.ndarray,
    light_project: np.ndarray,
    rays: np.ndarray,
    first: int,
    depth: np.ndarray,
    index: np.ndarray,
    base: np.ndarray,
    key: np.ndarray,
    lit_at: np.ndarray,
) -> None:
    """Shade every pixel whose index is at least `first`.

    Writes, all float32 [H, W, 3]: `base`, light that no shadow takes away; `key`, the key light's share where nothing
    shadows it; `lit_at`, the place in the shadow map (column, row, depth). lights is [7, 3]: key direction, key colour,
    fill direction, fill colour, sky, ground, and the depth row of the shadow map's projection (direction is unit).
    """
    height, width = depth.shape
    pixel = math.sqrt(rays[4, 0] ** 2 + rays[4, 1] ** 2 + rays[4, 2] ** 2)
    for y in range(height):
        for x in range(width):
            number = index[y, x]
            if number < first:
                continue
            dx = rays[3, 0] + x * rays[4, 0] + y * rays[5, 0]
            dy = rays[3, 1] + x * rays[4, 1] + y * rays[5, 1]
            dz = rays[3, 2] + x * rays[4, 2] + y * rays[5, 2]
            ox, oy, oz = rays[0, 0], rays[0, 1], rays[0, 2]
            if number == NOTHING:
                t, side = _room_hit(room, ox, oy, oz, dx, dy, dz)
                px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
                nx, ny, nz = 0.0, 0.0, 0.0
                if side in {0, 2}:
                    nx, u, v = (-1.0 if side == 0 else 1.0), py, pz
                elif side in {1, 3}:
                    ny, u, v = (-1.0 if side == 1 else 1.0), px, pz
                else:
                    nz, u, v = (-1.0 if side == 5 else 1.0), px, py
                material, grain = int(room[3 + side]), 0.0
            else:
                prim = prims[number]
                t = float(depth[y, x])
                px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
                qx, qy, qz = px - prim[7], py - prim[8], pz - prim[9]
                lx = prim[10] * qx + prim[13] * qy + prim[16] * qz
                ly = prim[11] * qx + prim[14] * qy + prim[17] * qz
                lz = prim[12] * qx + prim[15] * qy + prim[18] * qz
                ax, ay, az, u, v = surface(int(prim[0]), prim[3], prim[4], prim[5], prim[6], lx, ly, lz)
                nx = prim[10] * ax + prim[11] * ay + prim[12] * az
                ny = prim[13] * ax + prim[14] * ay + prim[15] * az
                nz = prim[16] * ax + prim[17] * ay + prim[18] * az
                material, grain = int(prim[2]), 3.0 * abs(ax) + 5.0 * abs(ay)
            length = math.sqrt(dx * dx + dy * dy + dz * dz)
            facing = (nx * dx + ny * dy + nz * dz) / length
            if facing > 0.0:
                nx, ny, nz, facing = -nx, -ny, -nz, -facing
            row = materials[material]
            r, g, b = colour_at(row, u, v, grain, t * pixel / max(-facing, 0.2))
            up = 0.5 + 0.5 * nz
            fill = max(0.0, -(nx * lights[2, 0] + ny * lights[2, 1] + nz * lights[2, 2]))
            base[y, x, 0] = r * (lights[4, 0] * up + lights[5, 0] * (1 - up) + lights[3, 0] * fill)
            base[y, x, 1] = g * (lights[4, 1] * up + lights[5, 1] * (1 - up) + lights[3, 1] * fill)
            base[y, x, 2] = b * (lights[4, 2] * up + lights[5, 2] * (1 - up) + lights[3, 2] * fill)
            lambert = -(nx * lights[0, 0] + ny * lights[0, 1] + nz * lights[0, 2])
            if lambert <= 0.0:
                key[y, x, 0] = key[y, x, 1] = key[y, x, 2] = 0.0
                lit_at[y, x, 0] = _UNLIT
                continue
            hx, hy, hz = -lights[0, 0] - dx / length, -lights[0, 1] - dy / length, -lights[0, 2] - dz / length
            shine = max(nx * hx + ny * hy + nz * hz, 0.0) / max(math.sqrt(hx * hx + hy * hy + hz * hz), 1e-6)
            shine = shine * shine
            shine = shine * shine
            shine = shine * shine
            shine = row[11] * shine * shine * shine
            key[y, x, 0] = (r * lambert + shine) * lights[1, 0]
            key[y, x, 1] = (g * lambert + shine) * lights[1, 1]
            key[y, x, 2] = (b * lambert + shine) * lights[1, 2]
            # Shadows are looked up a little above the surface, which keeps it from shadowing itself.
            sx, sy, sz = px + 0.008 * nx, py + 0.008 * ny, pz + 0.008 * nz
            m = light_project
            lit_at[y, x, 0] = m[0, 0] * sx + m[0, 1] * sy + m[0, 2] * sz + m[0, 3]
            lit_at[y, x, 1] = m[1, 0] * sx + m[1, 1] * sy + m[1, 2] * sz + m[1, 3]
            lit_at[y, x, 2] = lights[0, 0] * sx + lights[0, 1] * sy + lights[0, 2] * sz - lights[6, 0]


@njit(cache=True, nogil=True, error_model="numpy")
def _light_share(shadow: np.ndarray, u: float, v: float, far: float) -> float:
    """How much of the key light arrives, 0 to 1: four nearest cells of the shadow map, weighted."""
    u, v = u - 0.5, v - 0.5
    if not (0.0 <= u < shadow.shape[1] - 1.0 and 0.0 <= v < shadow.shape[0] - 1.0):
        return 1.0
    i, j = int(u), int(v)
    fu, fv = u - i, v - j
    far -= 0.004
    above = (1 - fu) * (shadow[j, i] >= far) + fu * (shadow[j, i + 1] >= far)
    below = (1 - fu) * (shadow[j + 1, i] >= far) + fu * (shadow[j + 1, i + 1] >= far)
    return float((1 - fv) * above + fv * below)


@njit(cache=True, nogil=True, error_model="numpy")
def develop(
    first: int,
    relight: np.ndarray,
    index: np.ndarray,
    still: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    moving: tuple[np.ndarray, np.ndarray, np.ndarray],
    shadow: np.ndarray,
    gains: np.ndarray,
    lut: np.ndarray,
    out: np.ndarray,
) -> None:
    """Light the pixels and turn light into display values: uint8 [H, W, 3] into `out`.

    Pixels with an index of at least `first` are taken from `moving` (base, key, lit_at), the others from `still`, whose
    last part is their developed colour: it is kept unless the pixel lies in the columns and rows `relight` (x0, x1, y0,
    y1) of the shadow map. gains: white balance with exposure (3), saturation, vignette; lut is uint8 over root light.
    """
    height, width = index.shape
    centre_x, centre_y = 0.5 * width, 0.5 * height
    corner = 1.0 / (centre_x * centre_x + centre_y * centre_y)
    top = len(lut) - 1
    for y in range(height):
        for x in range(width):
            if index[y, x] >= first:
                base, key, lit_at = moving[0], moving[1], moving[2]
            else:
                base, key, lit_at = still[0], still[1], still[2]
                u, v = lit_at[y, x, 0], lit_at[y, x, 1]
                if not (relight[0] <= u < relight[1] and relight[2] <= v < relight[3]):
                    out[y, x, 0], out[y, x, 1], out[y, x, 2] = still[3][y, x, 0], still[3][y, x, 1], still[3][y, x, 2]
                    continue
            share = 0.0
            if lit_at[y, x, 0] > _UNLIT:
                share = _light_share(shadow, lit_at[y, x, 0], lit_at[y, x, 1], lit_at[y, x, 2])
            r = base[y, x, 0] + share * key[y, x, 0]
            g = base[y, x, 1] + share * key[y, x, 1]
            b = base[y, x, 2] + share * key[y, x, 2]
            edge = 1.0 - gains[4] * ((x - centre_x) ** 2 + (y - centre_y) ** 2) * corner
            r, g, b = r * gains[0] * edge, g * gains[1] * edge, b * gains[2] * edge
            grey = 0.3 * r + 0.6 * g + 0.1 * b
            r = max(grey + gains[3] * (r - grey), 0.0)
            g = max(grey + gains[3] * (g - grey), 0.0)
            b = max(grey + gains[3] * (b - grey), 0.0)
            out[y, x, 0] = lut[min(int(math.sqrt(r) * LUT_STEPS), top)]
            out[y, x, 1] = lut[min(int(math.sqrt(g) * LUT_STEPS), top)]
            out[y, x, 2] = lut[min(int(math.sqrt(b) * LUT_STEPS), top)]


@njit(cache=True, nogil=True, error_model="numpy")
def soften_edges(index: np.ndarray, colours: np.ndarray, out: np.ndarray) -> None:
    """Copy uint8 colours [H, W, 3], blending pixels at borders between primitives with their four neighbours."""
    height, width = index.shape
    out[:] = colours
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            here = index[y, x]
            if index[y, x - 1] != here or index[y, x + 1] != here or index[y - 1, x] != here or index[y + 1, x] != here:
                for c in range(3):
                    around = (
                        int(colours[y, x - 1, c]) + colours[y, x + 1, c] + colours[y - 1, x, c] + colours[y + 1, x, c]
                    )
                    out[y, x, c] = (4 * int(colours[y, x, c]) + around + 4) >> 3


@njit(cache=True, nogil=True, error_model="numpy")
def add_noise(picture: np.ndarray, noise: np.ndarray, shift_y: int, shift_x: int) -> None:
    """Add a window of int8 `noise` [h, w, 3], which must be larger than the picture by the shifts, in place."""
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            for c in range(3):
                value = int(picture[y, x, c]) + noise[y + shift_y, x + shift_x, c]
                picture[y, x, c] = min(max(value, 0), 255)


@njit(cache=True, nogil=True, error_model="numpy")
def owners(index: np.ndarray, owner: np.ndarray, out: np.ndarray) -> None:
    """Numbers uint8 [H, W] from the index buffer and each primitive's number [P], 0 where there is none."""
    for y in range(index.shape[0]):
        for x in range(index.shape[1]):
            number = index[y, x]
            out[y, x] = owner[number] if number >= 0 else 0
