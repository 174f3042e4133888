"""Augmentation of clips: each view is changed in one way for all of its frames, so that motion stays true.

Strengths are those of SAM 2's training recipe (section D.2.2): flip, affine, colour jitter and grayscale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lmeec.checks import require
from lmeec.data.synthetic.descriptions import MIN_VISIBLE_PIXELS

if TYPE_CHECKING:
    from lmeec.training.clip import Clip

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_BORDER = (124, 116, 104)
"""Mean colour of ImageNet, which the network sees as nothing."""


@dataclass(frozen=True)
class AugmentConfig:
    """Strengths of the augmentation.

    Attributes:
        flip: chance of mirroring both views.
        degrees: largest rotation of a view, either way.
        shear: largest shear of a view in degrees, either way.
        scale: smallest and largest magnification of a view.
        shift: largest displacement of a view, as a share of its side.
        brightness: largest relative change; likewise `contrast` and `saturation`.
        flicker: largest relative change of a single frame's brightness.
        grayscale: chance that a view loses its colours.
    """

    flip: float = 0.5
    degrees: float = 25.0
    shear: float = 20.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    brightness: float = 0.1
    contrast: float = 0.03
    saturation: float = 0.03
    flicker: float = 0.1
    grayscale: float = 0.05

    def __post_init__(self) -> None:
        smallest, largest = self.scale
        require(0 < smallest <= largest, "augment.scale", self.scale, "two positive numbers, the smaller first")
        for name in ("flip", "grayscale"):
            require(0 <= getattr(self, name) <= 1, f"augment.{name}", getattr(self, name), "in [0, 1]")
        for name in ("degrees", "shear"):
            require(0 <= getattr(self, name) < 90, f"augment.{name}", getattr(self, name), "in [0, 90)")


def augment(clip: Clip, config: AugmentConfig, rng: np.random.Generator, *, apart: bool = False) -> Clip:
    """Change both views of a clip.

    Args:
        clip: stays as it is.
        config: strengths.
        rng: is advanced.
        apart: mirror each view by itself; for clips whose views are the same picture.

    Returns:
        A new clip. Objects that leave the query view on the way are left out; where none would remain, the views
        keep their geometry.
    """
    flip = rng.uniform() < config.flip
    flips = (flip, rng.uniform() < config.flip if apart else flip)
    size = clip.query.shape[1]
    moves = [_affine(config, rng, size, mirrored) for mirrored in flips]
    query_masks = _warp_masks(clip.query_masks, moves[0], size)
    kept = _seen_throughout(query_masks)
    if kept.any():
        clip = replace(
            clip,
            query=_warp_frames(clip.query, moves[0], size),
            target=_warp_frames(clip.target, moves[1], size),
            query_masks=query_masks[kept],
            target_masks=_warp_masks(clip.target_masks[kept], moves[1], size),
            annotated=clip.annotated[kept],
        )
    return replace(clip, query=_recolour(clip.query, config, rng), target=_recolour(clip.target, config, rng))


def crop(
    clip: Clip, size: int, magnification: tuple[float, float], jitter: float, rng: np.random.Generator
) -> Clip | None:
    """Cut a smaller square out of each view, around one of the objects where the view shows it.

    Args:
        clip: stays as it is.
        size: side of the square that comes out.
        magnification: smallest and largest, drawn for each view.
        jitter: how far the object may be from the middle, as a share of the square's side.
        rng: is advanced.

    Returns:
        A new clip of the objects that the query's square shows at every instant; None if it shows none so.
    """
    chosen = int(rng.integers(len(clip.annotated)))
    query, target = (
        _window(masks[chosen], size, magnification, jitter, rng) for masks in (clip.query_masks, clip.target_masks)
    )
    query_masks = drop_specks(_warp_masks(clip.query_masks, query, size))
    kept = _seen_throughout(query_masks)
    if not kept.any():
        return None
    return replace(
        clip,
        query=_warp_frames(clip.query, query, size),
        target=_warp_frames(clip.target, target, size),
        query_masks=query_masks[kept],
        target_masks=drop_specks(_warp_masks(clip.target_masks[kept], target, size)),
        annotated=clip.annotated[kept],
    )


def drop_specks(masks: np.ndarray) -> np.ndarray:
    """Empty the masks of which next to nothing shows, as annotations have them; [K, T, H, W]."""
    kept: np.ndarray = masks & (masks.sum((2, 3), keepdims=True) >= MIN_VISIBLE_PIXELS)
    return kept


def _seen_throughout(masks: np.ndarray) -> np.ndarray:
    """Which objects show at every instant, bool [K], of masks [K, T, S, S]."""
    seen: np.ndarray = np.any(masks, (2, 3)).all(1)
    return seen


def _window(
    masks: np.ndarray, size: int, magnification: tuple[float, float], jitter: float, rng: np.random.Generator
) -> np.ndarray:
    """The map of pixels of a square about masks [T, S, S], or about any place if they are empty; [2, 3]."""
    whole = masks.shape[-1]
    zoom = math.exp(rng.uniform(math.log(magnification[0]), math.log(magnification[1])))
    side = size / zoom
    rows, columns = np.nonzero(masks.any(0))
    middle = np.array([columns.mean(), rows.mean()]) if len(rows) else rng.uniform(0.2, 0.8, 2) * whole
    middle = middle + rng.uniform(-jitter, jitter, 2) * side
    margin = min(side, whole) / 2
    middle = middle.clip(margin, whole - margin)
    return np.array([[zoom, 0, size / 2 - zoom * middle[0]], [0, zoom, size / 2 - zoom * middle[1]]])


def _affine(config: AugmentConfig, rng: np.random.Generator, size: int, mirrored: bool) -> np.ndarray:
    """A map of pixels about the picture's centre, [2, 3]."""
    angle, shear = (math.radians(rng.uniform(-limit, limit)) for limit in (config.degrees, config.shear))
    zoom = math.exp(rng.uniform(math.log(config.scale[0]), math.log(config.scale[1])))
    shift = rng.uniform(-config.shift, config.shift, 2) * size
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = zoom * turn @ np.array([[1.0, math.tan(shear)], [0.0, 1.0]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    centre = np.full(2, (size - 1) / 2)
    return np.concatenate([linear, (centre + shift - linear @ centre)[:, None]], axis=1)


def _warp_frames(frames: np.ndarray, move: np.ndarray, size: int) -> np.ndarray:
    return np.stack([cv2.warpAffine(frame, move, (size, size), borderValue=_BORDER) for frame in frames])


def _warp_masks(masks: np.ndarray, move: np.ndarray, size: int) -> np.ndarray:
    flat = masks.reshape(-1, *masks.shape[2:]).view(np.uint8)
    warped = [cv2.warpAffine(mask, move, (size, size), flags=cv2.INTER_NEAREST) for mask in flat]
    return np.stack(warped).view(bool).reshape(*masks.shape[:2], size, size)


def _recolour(frames: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    brightness, contrast, saturation = (
        1 + rng.uniform(-limit, limit) for limit in (config.brightness, config.contrast, config.saturation)
    )
    flicker = 1 + rng.uniform(-config.flicker, config.flicker, len(frames)).astype(np.float32)
    saturation = 0.0 if rng.uniform() < config.grayscale else saturation
    colours = frames.astype(np.float32) * (brightness * flicker[:, None, None, None])
    grey = colours @ _GREY
    colours = grey[..., None] + (colours - grey[..., None]) * np.float32(saturation)
    middle = grey.mean((1, 2))[:, None, None, None]
    changed: np.ndarray = (middle + (colours - middle) * np.float32(contrast)).round().clip(0, 255).astype(np.uint8)
    return changed
