"""Frames of a scene as one of its cameras sees them: RGB and the map of which object is visible in each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lmeec.errors import ConfigError
from lmeec.synthetic import kernels
from lmeec.synthetic.geometry import unit

if TYPE_CHECKING:
    from lmeec.synthetic.scene import Camera, Scene

MIN_SIDE, MAX_SIDE = 16, 4096
_SHADOW_CELLS = 384
_SHADOW_SPAN = 3.2
_FAR = 1e9
_NOISE_MARGIN = 61
_BLUR_FROM = 3.0


@dataclass(frozen=True)
class Frame:
    """One rendered frame.

    Attributes:
        rgb: uint8 [H, W, 3].
        objects: 0, or 1 + the index of the object seen there, uint8 [H, W].
        surfaces: 0 for the room's sides, or 1 + the number of the material seen there, uint8 [H, W].
    """

    rgb: np.ndarray
    objects: np.ndarray
    surfaces: np.ndarray


class Renderer:
    """Renders one camera of a scene at one size; a static camera's unmoving surroundings are drawn once.

    Equal scenes, cameras, sizes and frames give equal pixels, in whatever order frames are asked for. Not for use from
    several threads at once: give each its own.
    """

    def __init__(self, scene: Scene, camera: Camera, size: tuple[int, int]) -> None:
        """`size` is (height, width) in pixels.

        Raises:
            ConfigError: if a side is not from 16 to 4096 pixels.
        """
        if not all(MIN_SIDE <= side <= MAX_SIDE for side in size):
            raise ConfigError(f"size must be from {MIN_SIDE} to {MAX_SIDE} pixels a side, not {size[0]}x{size[1]}")
        self._scene, self._camera, self._size = scene, camera, size
        self._room = np.array([*scene.room.half, scene.room.height, *scene.room.materials], float)
        self._light_rays, self._light_project, self._lights = _light_view(scene)
        self._still_shadow, self._still_shadow_index = _blank((_SHADOW_CELLS, _SHADOW_CELLS))
        kernels.draw(
            scene.static, 0, False, self._light_rays, self._light_project, self._still_shadow, self._still_shadow_index
        )
        self._lut, self._gains = _tone_curve(camera), _gains(camera)
        self._noise = self._draw_noise()
        self._buffers = _float_buffers(size)
        self._colours = np.zeros((*size, 3), np.uint8)
        self._still = None if camera.is_ego else self._draw_still()

    def render(self, frame: int) -> Frame:
        """The frame of that number.

        Raises:
            IndexError: if the scene has no such frame.
        """
        if not 0 <= frame < self._scene.config.frames:
            raise IndexError(f"frame {frame} of a scene of {self._scene.config.frames} frames")
        moving = self._scene.moving(frame)
        prims = np.concatenate([self._scene.static, moving])
        shadow, relight = self._shadow(moving)
        rays, project = _camera_view(self._camera, frame, self._size)
        still_count = len(self._scene.static)
        if self._still is None:
            first = kernels.NOTHING
            depth, index = _blank(self._size)
            kernels.draw(prims, 0, True, rays, project, depth, index)
            still = (*self._buffers, self._colours)
        else:
            first = still_count
            depth, index = self._still.depth.copy(), self._still.index.copy()
            kernels.draw(moving, still_count, False, rays, project, depth, index)
            still = (*self._still.buffers, self._still.colours)
        self._shade(prims, rays, first, depth, index, self._buffers)
        kernels.develop(first, relight, index, still, self._buffers, shadow, self._gains, self._lut, self._colours)
        objects, surfaces = (np.empty(self._size, np.uint8) for _ in range(2))
        kernels.owners(index, prims[:, 1].astype(np.uint8), objects)
        kernels.owners(index, (prims[:, 2] + 1).clip(0, 255).astype(np.uint8), surfaces)
        return Frame(self._finish(frame, index), objects, surfaces)

    def _shade(
        self,
        prims: np.ndarray,
        rays: np.ndarray,
        first: int,
        depth: np.ndarray,
        index: np.ndarray,
        buffers: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        scene = self._scene
        kernels.shade(
            prims, scene.materials, self._room, self._lights, self._light_project, rays, first, depth, index, *buffers
        )

    def _shadow(self, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The shadow map with moving things in it, and the box of its cells that they can have changed."""
        shadow, index = self._still_shadow.copy(), self._still_shadow_index.copy()
        x0, x1, y0, y1 = kernels.draw(moving, 0, False, self._light_rays, self._light_project, shadow, index)
        return shadow, np.array([x0 - 2.0, x1 + 2.0, y0 - 2.0, y1 + 2.0])

    def _draw_still(self) -> _Still:
        depth, index = _blank(self._size)
        rays, project = _camera_view(self._camera, 0, self._size)
        static = self._scene.static
        kernels.draw(static, 0, False, rays, project, depth, index)
        buffers, colours = _float_buffers(self._size), np.zeros((*self._size, 3), np.uint8)
        self._shade(static, rays, kernels.NOTHING, depth, index, buffers)
        still = (*buffers, colours)
        everything = np.array([0.0, 0.0, 0.0, 0.0])
        kernels.develop(
            kernels.NOTHING, everything, index, still, buffers, self._still_shadow, self._gains, self._lut, colours
        )
        return _Still(depth, index, buffers, colours)

    def _draw_noise(self) -> np.ndarray:
        height, width = self._size
        rng = np.random.default_rng([self._scene.seed, *self._camera.name.encode()])
        shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3)
        grains = rng.normal(0, self._camera.photometry.noise, shape)
        return np.clip(np.rint(grains), -60, 60).astype(np.int8)

    def _finish(self, frame: int, index: np.ndarray) -> np.ndarray:
        """Soft edges, lens and motion blur, and noise."""
        picture = np.empty_like(self._colours)
        kernels.soften_edges(index, self._colours, picture)
        scale = self._size[0] / 448
        if self._camera.photometry.blur * scale > 0.25:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self._camera.photometry.blur * scale))
        if self._camera.is_ego:
            picture = self._motion_blur(picture, frame)
        shifts = np.random.default_rng([self._scene.seed, frame]).integers(0, _NOISE_MARGIN, 2)
        kernels.add_noise(picture, self._noise, int(shifts[0]), int(shifts[1]))
        return picture

    def _motion_blur(self, picture: np.ndarray, frame: int) -> np.ndarray:
        """Smear the picture along the head's turn during half a frame's exposure."""
        last = self._scene.config.frames - 1
        before, after = self._camera.view(max(frame - 1, 0))[1], self._camera.view(min(frame + 1, last))[1]
        ahead = after.T @ before[:, 2]
        shift = self._camera.focal * self._size[0] * ahead[:2] / max(ahead[2], 0.2) / 4
        length = float(np.hypot(*shift))
        if length < _BLUR_FROM * self._size[0] / 448:
            return picture
        reach = min(int(np.ceil(length)), 31)
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        step = shift / length * min(length, reach) / 2
        ends = [(round(float(reach + sign * step[0])), round(float(reach + sign * step[1]))) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        return cv2.filter2D(picture, -1, kernel / kernel.sum())


@dataclass(frozen=True)
class _Still:
    """What a static camera sees of the unmoving scene; float buffers as `kernels.shade` writes them."""

    depth: np.ndarray
    index: np.ndarray
    buffers: tuple[np.ndarray, np.ndarray, np.ndarray]
    colours: np.ndarray


def _blank(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.full(size, _FAR, np.float32), np.full(size, kernels.NOTHING, np.int16)


def _float_buffers(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    zeros = [np.zeros((*size, 3), np.float32) for _ in range(3)]
    return zeros[0], zeros[1], zeros[2]


def _camera_view(camera: Camera, frame: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rays [6, 3] and projection [3, 4] of a perspective camera."""
    position, turn = camera.view(frame)
    height, width = size
    focal, cx, cy = camera.focal * height, width / 2, height / 2
    right, down, forward = turn.T
    rays = np.zeros((6, 3))
    rays[0] = position
    rays[3] = forward + right * (0.5 - cx) / focal + down * (0.5 - cy) / focal
    rays[4], rays[5] = right / focal, down / focal
    lens = np.array([[focal, 0, cx], [0, focal, cy], [0, 0, 1.0]])
    return rays, lens @ np.concatenate([turn.T, -(turn.T @ position)[:, None]], axis=1)


def _light_view(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rays [6, 3] and projection [3, 4] of the shadow map, and the lights [7, 3] as `kernels.shade` takes them."""
    light = scene.light
    direction = unit(light.direction)
    across = unit(np.cross(direction, [0.31, 0.95, 0.02]))
    other = np.cross(direction, across)
    step = _SHADOW_SPAN / _SHADOW_CELLS
    start = scene.centre - 4.0 * direction
    rays = np.zeros((6, 3))
    rays[0] = start + (across + other) * (0.5 - _SHADOW_CELLS / 2) * step
    rays[1], rays[2], rays[3] = across * step, other * step, direction
    project = np.zeros((3, 4))
    for row, axis in enumerate((across, other)):
        project[row] = [*(axis / step), _SHADOW_CELLS / 2 - axis @ start / step]
    project[2, 3] = 1.0
    near = [direction @ start, 0.0, 0.0]
    rows = [direction, light.key, light.fill_direction, light.fill, light.sky, light.ground, near]
    return rays, project, np.array(rows)


def _gains(camera: Camera) -> np.ndarray:
    photometry = camera.photometry
    balance = np.array(photometry.white_balance) * photometry.exposure
    return np.array([*balance, photometry.saturation, photometry.vignette])


def _tone_curve(camera: Camera) -> np.ndarray:
    """Display value uint8 over the square root of linear light, with highlights rolled off."""
    light = (np.arange(2 * kernels.LUT_STEPS) / kernels.LUT_STEPS) ** 2
    rolled = light * (1 + light / 4) / (1 + light) * 1.6
    return np.rint(255 * np.clip(rolled, 0, 1) ** (1 / camera.photometry.gamma)).astype(np.uint8)
