"""Clips of synthetic scenes, drawn and rendered on the fly: unlimited, and each a function of seed and step alone.

A window of scenes slides along the training: every step some new scenes enter and the oldest leave, and clips are cut
from all of them. So a scene's pictures serve several times, in other pairs and other augmentations.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Self

import cv2
import numpy as np

from lmeec.errors import ConfigError, require
from lmeec.synthetic.descriptions import MIN_VISIBLE_PIXELS
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene import MAX_OBJECTS, Camera, Scene, SceneConfig
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.writer import frame_size
from lmeec.training.clips.augment import AugmentConfig, augment, crop, drop_specks
from lmeec.training.clips.clip import Clip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

TRAINING_SEEDS = 1 << 40
"""Scenes to train on have seeds from here on; those of data sets that are written to disk lie below."""

_AHEAD = 2
_STEADY = AugmentConfig(flicker_contrast=0.0, flicker_saturation=0.0)
_APART = replace(
    _STEADY, degrees=20, shear=8, scale=(0.8, 1.25), shift=0.1, brightness=0.25, contrast=0.2, saturation=0.2
)
_MAGNIFICATION = (0.7, 1.7)
_JITTER = 0.35


@dataclass(frozen=True)
class Phase:
    """A stretch of the curriculum; its values are held from `until` of the phase before up to its own.

    Attributes:
        until: the last step of the phase, as a share of the whole training.
        frames: T of the clips.
        clips: clips in a batch.
        real: share of clips that pair different cameras, at the phase's beginning and end; the others show the same
            picture on both sides, augmented apart.
        crop: side of the squares that are cut out around an object of the clip, in pixels; None takes whole pictures.
            Squares cost little and show objects large: the place to begin.
    """

    until: float = 1.0
    frames: int = 8
    clips: int = 8
    real: tuple[float, float] = (1.0, 1.0)
    crop: int | None = None

    def __post_init__(self) -> None:
        require(0 < self.until <= 1, "phases.until", self.until, "in (0, 1]")
        require(self.frames >= 1, "phases.frames", self.frames, "at least 1")
        require(self.clips >= 1, "phases.clips", self.clips, "at least 1")
        require(all(0 <= share <= 1 for share in self.real), "phases.real", self.real, "two numbers in [0, 1]")
        whole = self.crop is None or (self.crop > 0 and self.crop % 32 == 0)
        require(whole, "phases.crop", self.crop, "a multiple of 32")


@dataclass(frozen=True)
class SyntheticConfig:
    """How clips are drawn from synthetic scenes.

    Attributes:
        objects: fewest and most objects in a scene.
        followed: at most so many objects of a clip are followed.
        seconds: length of a scene.
        gaps: seconds between a clip's frames, one of these.
        frames_kept: frames of each camera that are rendered of a scene.
        window: scenes at hand at any step.
        renewal: steps after which the oldest scene is replaced by a new one.
        absent: share of clips whose target view is rendered without one of the objects.
        strange: share of clips whose target view is of another scene.
        track_length: fewest and most steps of the tracks that clips stand for.
        augment: of clips that pair different cameras.
        phases: the curriculum.
    """

    objects: tuple[int, int] = (4, 8)
    followed: int = 6
    seconds: float = 20.0
    gaps: tuple[float, ...] = (0.5, 1.0, 1.0, 1.0, 2.0)
    frames_kept: int = 8
    window: int = 64
    renewal: int = 3
    absent: float = 0.2
    strange: float = 0.03
    track_length: tuple[int, int] = (6, 30)
    augment: AugmentConfig = field(
        default_factory=lambda: replace(_STEADY, degrees=8, shear=5, scale=(0.9, 1.15), shift=0.03)
    )
    phases: tuple[Phase, ...] = (Phase(),)

    def __post_init__(self) -> None:
        for name, most in (("objects", MAX_OBJECTS), ("track_length", 1000)):
            low, high = getattr(self, name)
            require(1 <= low <= high <= most, f"synthetic.{name}", (low, high), f"from 1 to {most}, the fewest first")
        for name in ("followed", "frames_kept", "window", "renewal"):
            require(getattr(self, name) >= 1, f"synthetic.{name}", getattr(self, name), "at least 1")
        for name in ("absent", "strange"):
            require(0 <= getattr(self, name) <= 1, f"synthetic.{name}", getattr(self, name), "in [0, 1]")
        require(bool(self.phases), "synthetic.phases", self.phases, "one or more phases")
        longest = max(phase.frames for phase in self.phases)
        if longest > self.frames_kept:
            raise ConfigError(f"phases have clips of {longest} frames, but frames_kept is {self.frames_kept}")
        if (len(self.gaps) and max(self.gaps) * self.frames_kept >= self.seconds) or not self.gaps:
            raise ConfigError(f"gaps of {self.gaps} s do not fit {self.frames_kept} times into {self.seconds} s")


@dataclass(frozen=True)
class _Pictures:
    """What is kept of a scene: views [V] of the same instants; in `lacking`, a view's object that is taken out.

    frames uint8 [V, n, S, S, 3], objects uint8 [V, n, S, S], ego [V], lacking [V] (0 = none).
    """

    frames: np.ndarray
    objects: np.ndarray
    ego: tuple[bool, ...]
    lacking: tuple[int, ...]


class SyntheticClips:
    """A `ClipSource` of synthetic scenes; a context manager that ends its rendering thread.

    Args:
        config: what to draw.
        size: side S of the pictures.
        seed: of the whole training.
        steps: optimiser steps of the whole training, which the curriculum is spread over.
    """

    def __init__(self, config: SyntheticConfig, size: int, seed: int, steps: int) -> None:
        self._config, self._size, self._seed, self._steps = config, size, seed, steps
        self._scenes: dict[int, Future[_Pictures]] = {}
        self._renderer = ThreadPoolExecutor(1, "scenes")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._renderer.shutdown(cancel_futures=True)

    def batch(self, step: int) -> list[Clip]:
        """See `ClipSource`."""
        rng = np.random.default_rng([self._seed, step])
        phase, real = self._phase(step)
        first = step // self._config.renewal
        self._slide(first)
        chosen = first + rng.permutation(self._config.window)
        return list(islice(self._clips(chosen, phase, real, rng), phase.clips))

    def _phase(self, step: int) -> tuple[Phase, float]:
        """The phase of a step, and its share of real pairs."""
        done, begun = step / self._steps, 0.0
        for phase in self._config.phases:
            if done < phase.until or phase is self._config.phases[-1]:
                way = (done - begun) / max(phase.until - begun, 1e-9)
                return phase, phase.real[0] + (phase.real[1] - phase.real[0]) * min(way, 1.0)
            begun = phase.until
        raise AssertionError("a curriculum has at least one phase")

    def _slide(self, first: int) -> None:
        """Have the scenes of the window rendered, and the next ones begun."""
        for number in [number for number in self._scenes if number < first]:
            del self._scenes[number]
        for number in range(first, first + self._config.window + _AHEAD):
            if number not in self._scenes:
                self._scenes[number] = self._renderer.submit(self._render, number)

    def _clips(self, scenes: np.ndarray, phase: Phase, real: float, rng: np.random.Generator) -> Iterator[Clip]:
        """Clips of these scenes, round and round; scenes that show too little are passed over."""
        for _ in range(20):
            for number in scenes:
                pictures = self._scenes[int(number)].result()
                other = self._scenes[int(rng.choice(scenes))].result() if rng.uniform() < self._config.strange else None
                clip = self._cut(pictures, other, phase, rng.uniform() < real, rng)
                if clip is not None:
                    yield clip
        raise ConfigError("hardly any scene shows an object in both views; use longer scenes or more objects")

    def _cut(
        self, here: _Pictures, other: _Pictures | None, phase: Phase, real: bool, rng: np.random.Generator
    ) -> Clip | None:
        frames = phase.frames
        whole = [view for view, lacking in enumerate(here.lacking) if not lacking]
        query = int(rng.choice([view for view in whole if here.ego[view]])) if rng.uniform() < 0.5 else None
        query = int(rng.choice([view for view in whole if not here.ego[view]])) if query is None else query
        target = self._target(here, query, rng) if real else query
        start = int(rng.integers(here.frames.shape[1] - frames + 1))
        span = slice(start, start + frames)
        seen = here.objects[query, span]
        hidden = here.objects[target, span]
        if other is not None and real:
            target_frames, hidden = other.frames[min(target, len(other.ego) - 1), span], np.zeros_like(hidden)
        else:
            target_frames = here.frames[target, span]
        followed = self._followed(seen, hidden, here.lacking[target], rng)
        if not len(followed):
            return None
        clip = Clip(
            query=here.frames[query, span],
            target=target_frames,
            query_masks=_masks(seen, followed),
            target_masks=drop_specks(_masks(hidden, followed)),
            annotated=np.ones((len(followed), frames), bool),
            track_length=max(frames, int(rng.integers(*self._config.track_length, endpoint=True))),
        )
        if phase.crop is not None:
            cut = crop(clip, phase.crop, _MAGNIFICATION, _JITTER, rng)
            if cut is None:
                return None
            clip = cut
        return augment(clip, self._config.augment if real else _APART, rng, apart=not real)

    def _target(self, here: _Pictures, query: int, rng: np.random.Generator) -> int:
        lacking = rng.uniform() < self._config.absent
        views = [v for v, ego in enumerate(here.ego) if ego != here.ego[query] and bool(here.lacking[v]) == lacking]
        return int(rng.choice(views or [v for v, ego in enumerate(here.ego) if ego != here.ego[query]]))

    def _followed(self, seen: np.ndarray, hidden: np.ndarray, lacking: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers of the objects to follow: in every query frame, those that the target lacks more likely."""
        counts = np.stack([np.bincount(picture.ravel(), minlength=256) for picture in seen])
        found = np.flatnonzero((counts >= MIN_VISIBLE_PIXELS).all(0))
        found = found[found > 0]
        if len(found) <= self._config.followed:
            return found
        shown = np.isin(found, np.unique(hidden)) & (found != lacking)
        chances = np.where(shown, 1.0, 3.0)
        return rng.choice(found, self._config.followed, replace=False, p=chances / chances.sum())

    def _render(self, number: int) -> _Pictures:
        """Draw a scene and render one ego and two exo cameras, and one of them without one of the objects."""
        config = self._config
        rng = np.random.default_rng([self._seed, 1, number])
        objects = int(rng.integers(config.objects[0], config.objects[1], endpoint=True))
        scene = make_scene(
            TRAINING_SEEDS + (self._seed << 20) + number,
            SceneConfig(seconds=config.seconds, objects=objects, exo_cameras=(2, 2)),
        )
        gap = float(rng.choice(config.gaps))
        span = gap * (config.frames_kept - 1)
        times = rng.uniform(0, config.seconds - span - 1 / 30) + gap * np.arange(config.frames_kept)
        frames = (times * scene.config.fps).astype(int)
        lacking = 1 + int(rng.integers(objects))
        poorer = int(rng.integers(len(scene.cameras)))
        views = [(scene, camera) for camera in scene.cameras]
        views.append((_without(scene, lacking), scene.cameras[poorer]))
        rendered = [self._view(some, camera, frames) for some, camera in views]
        return _Pictures(
            frames=np.stack([pictures for pictures, _ in rendered]),
            objects=np.stack([objects for _, objects in rendered]),
            ego=tuple(camera.is_ego for _, camera in views),
            lacking=(*[0] * len(scene.cameras), lacking),
        )

    def _view(self, scene: Scene, camera: Camera, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        renderer = Renderer(scene, camera, frame_size(camera, self._size))
        rendered = [renderer.render(int(frame)) for frame in frames]
        side = (self._size, self._size)
        pictures = [cv2.resize(frame.rgb, side, interpolation=cv2.INTER_AREA) for frame in rendered]
        objects = [cv2.resize(frame.objects, side, interpolation=cv2.INTER_NEAREST) for frame in rendered]
        return np.stack(pictures), np.stack(objects)


def _without(scene: Scene, number: int) -> Scene:
    """The scene with an object taken out; the others keep their numbers."""
    thing = scene.objects[number - 1]
    gone = replace(thing, shape=replace(thing.shape, parts=()))
    return replace(scene, objects=(*scene.objects[: number - 1], gone, *scene.objects[number:]))


def _masks(objects: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Masks [K, T, S, S] of some objects in a map of objects [T, S, S]."""
    masks: np.ndarray = objects[None] == numbers.astype(objects.dtype)[:, None, None, None]
    return masks
