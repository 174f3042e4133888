"""Augmentation of clips: each view is changed in one way for all of its frames, so that motion stays true.

Strengths are those of SAM 2's training recipe (section D.2.2): flip, affine, colour jitter and grayscale, then a jitter
of every frame by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from lmeec.errors import require
from lmeec.synthetic.descriptions import MIN_VISIBLE_PIXELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lmeec.training.clips.clip import Clip

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_BORDER = (123, 116, 103)
"""Mean colour of ImageNet as SAM 2's recipe rounds it, which the network sees as nothing."""


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
        grayscale: chance that a view loses its colours.
        flicker: largest relative change of a single frame's brightness; likewise `flicker_contrast` and
            `flicker_saturation`.
    """

    flip: float = 0.5
    degrees: float = 25.0
    shear: float = 20.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    brightness: float = 0.1
    contrast: float = 0.03
    saturation: float = 0.03
    grayscale: float = 0.05
    flicker: float = 0.1
    flicker_contrast: float = 0.05
    flicker_saturation: float = 0.05

    def __post_init__(self) -> None:
        smallest, largest = self.scale
        require(0 < smallest <= largest, "augment.scale", self.scale, "two positive numbers, the smaller first")
        for name in ("flip", "grayscale"):
            require(0 <= getattr(self, name) <= 1, f"augment.{name}", getattr(self, name), "in [0, 1]")
        for name in ("degrees", "shear"):
            require(0 <= getattr(self, name) < 90, f"augment.{name}", getattr(self, name), "in [0, 90)")


def augment(clip: Clip, config: AugmentConfig, rng: np.random.Generator, *, apart: bool = False) -> Clip:
    """Change both views of a clip, each in a way of its own.

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
    moves = [_about_centre(_linear(config, rng, mirrored), _shift(config, rng), size) for mirrored in flips]
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
    query, target = (_recolour(view, _colours(config, rng), config, rng) for view in (clip.query, clip.target))
    return replace(clip, query=query, target=target)


def augment_views(
    views: Sequence[tuple[np.ndarray, np.ndarray]], config: AugmentConfig, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Change views of one scene, each in a way of its own, but all mirrored or none.

    Args:
        views: frames uint8 [T, S, S, 3] and maps of what they show, uint8 [T, S, S], of each view; they stay as they
            are.
        config: strengths.
        rng: is advanced.

    Returns:
        The views likewise; maps are 0 where a view shows nothing of the scene.
    """
    flip = rng.uniform() < config.flip
    changed = []
    for frames, things in views:
        size = frames.shape[1]
        move = _about_centre(_linear(config, rng, flip), _shift(config, rng), size)
        moved = _recolour(_warp_frames(frames, move, size), _colours(config, rng), config, rng)
        warped = [cv2.warpAffine(one, move, (size, size), flags=cv2.INTER_NEAREST) for one in things]
        changed.append((moved, np.stack(warped)))
    return changed


def augment_as_one(clip: Clip, config: AugmentConfig, rng: np.random.Generator) -> Clip:
    """Change both views of a clip in the same way, as the released training does.

    Flip, affine map, colours and grayscale are drawn once for both views, and the map is one of their frames before
    they were squashed to a square: a turn stays a turn. Single frames flicker by themselves.

    The released code warps masks and frames at their own size and resizes what comes out; here they are resized before.
    Where its warp empties the first mask of the target view, it leaves that view alone as it was and the query view
    warped, which is a defect: here, where the first mask of either view would be lost, neither is warped.

    Args:
        clip: stays as it is.
        config: strengths.
        rng: is advanced.

    Returns:
        A new clip of the same objects.
    """
    mirrored = rng.uniform() < config.flip
    linear, shift = _linear(config, rng, mirrored), _shift(config, rng)
    warped = _warp(clip, linear, shift)
    if _loses_a_first_mask(clip, warped):
        warped = _warp(clip, np.diag([-1.0 if mirrored else 1.0, 1.0]), np.zeros(2))
    colours = _colours(config, rng)
    query, target = (_recolour(view, colours, config, rng) for view in (warped.query, warped.target))
    return replace(warped, query=query, target=target)


def _warp(clip: Clip, linear: NDArray[np.float64], shift: NDArray[np.float64]) -> Clip:
    """Both views by one map of their pixels before they were squashed."""
    size = clip.query.shape[1]
    query, target = (
        _about_centre(linear * np.array([[1, 1 / aspect], [aspect, 1]]), shift, size) for aspect in clip.aspects
    )
    return replace(
        clip,
        query=_warp_frames(clip.query, query, size),
        target=_warp_frames(clip.target, target, size),
        query_masks=_warp_masks(clip.query_masks, query, size),
        target_masks=_warp_masks(clip.target_masks, target, size),
    )


def _loses_a_first_mask(clip: Clip, warped: Clip) -> bool:
    return any(
        bool((before[:, 0].any((1, 2)) & ~after[:, 0].any((1, 2))).any())
        for before, after in ((clip.query_masks, warped.query_masks), (clip.target_masks, warped.target_masks))
    )


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


def _linear(config: AugmentConfig, rng: np.random.Generator, mirrored: bool) -> NDArray[np.float64]:
    """The linear part of a map of pixels, [2, 2]."""
    angle, shear = (math.radians(rng.uniform(-limit, limit)) for limit in (config.degrees, config.shear))
    zoom = math.exp(rng.uniform(math.log(config.scale[0]), math.log(config.scale[1])))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    mirror = np.diag([-1.0 if mirrored else 1.0, 1.0])
    linear: NDArray[np.float64] = zoom * turn @ np.array([[1.0, math.tan(shear)], [0.0, 1.0]]) @ mirror
    return linear


def _shift(config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """A displacement as a share of the picture's sides, [2]."""
    return rng.uniform(-config.shift, config.shift, 2)


def _about_centre(linear: NDArray[np.float64], shift: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The map of pixels that turns about the picture's centre, [2, 3]."""
    centre = np.full(2, (size - 1) / 2)
    return np.concatenate([linear, (centre + shift * size - linear @ centre)[:, None]], axis=1)


def _warp_frames(frames: np.ndarray, move: np.ndarray, size: int) -> np.ndarray:
    return np.stack([cv2.warpAffine(frame, move, (size, size), borderValue=_BORDER) for frame in frames])


def _warp_masks(masks: np.ndarray, move: np.ndarray, size: int) -> np.ndarray:
    flat = masks.reshape(-1, *masks.shape[2:]).view(np.uint8)
    warped = [cv2.warpAffine(mask, move, (size, size), flags=cv2.INTER_NEAREST) for mask in flat]
    return np.stack(warped).view(bool).reshape(*masks.shape[:2], size, size)


class _Colours(NamedTuple):
    """Factors of all frames of a view."""

    brightness: float
    contrast: float
    saturation: float


def _colours(config: AugmentConfig, rng: np.random.Generator) -> _Colours:
    brightness, contrast, saturation = (
        1 + rng.uniform(-limit, limit) for limit in (config.brightness, config.contrast, config.saturation)
    )
    return _Colours(brightness, contrast, 0.0 if rng.uniform() < config.grayscale else saturation)


def _recolour(
    frames: NDArray[np.uint8], colours: _Colours, config: AugmentConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change colours of a view's frames; the order of the changes makes no difference but to rounding."""
    limits = (config.flicker, config.flicker_contrast, config.flicker_saturation)
    brightness, contrast, saturation = (
        (factor * (1 + rng.uniform(-limit, limit, len(frames)))).astype(np.float32)[:, None, None, None]
        for factor, limit in zip(colours, limits, strict=True)
    )
    changed = frames.astype(np.float32) * brightness
    grey = (changed @ _GREY)[..., None]
    changed = grey + (changed - grey) * saturation
    middle = grey.mean((1, 2, 3), keepdims=True)
    mixed: NDArray[np.float32] = middle + (changed - middle) * contrast
    return mixed.round().clip(0, 255).astype(np.uint8)
