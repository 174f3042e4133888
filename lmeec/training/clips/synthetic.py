"""Clips of synthetic scenes, drawn and rendered on the fly: unlimited, and each a function of seed and step alone.

A window of scenes slides along the training: every step some new scenes enter and the oldest leave, and clips are cut
from all of them. So a scene's pictures serve several times, in other pairs and other augmentations.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Self

import numpy as np

from lmeec.errors import ConfigError, require
from lmeec.synthetic.descriptions import MIN_VISIBLE_PIXELS
from lmeec.synthetic.scene import MAX_OBJECTS
from lmeec.training.clips.augment import AugmentConfig, augment, crop, drop_specks
from lmeec.training.clips.clip import Clip
from lmeec.training.clips.pictures import CAMERAS, FPS, ScenePictures, Sketch, draw_pictures, objects_in
from lmeec.training.clips.scene_store import SceneStore
from lmeec.training.clips.together import PAIRS, Together, directed_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

TRAINING_SEEDS = 1 << 40
"""Scenes to train on have seeds from here on; those of data sets that are written to disk lie below."""

_AHEAD = 2
_TOLD_EVERY_S = 1.0
_SKETCH, _ORDER = 1, 3
"""Set draws of scenes apart from those of the clips and of memories (`lmeec.training.output.random_state`)."""

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
        lengths: T of each batch is drawn from these, in place of `frames`, so that memories are trained all along; of
            clips with several instants there are fewer, for about as many instants in all. Empty means `frames`.
        clips: clips in a batch, of one instant each where `lengths` are given.
        real: share of clips that pair different cameras, at the phase's beginning and end; the others show the same
            picture on both sides, augmented apart.
        crop: side of the squares that are cut out around an object of the clip, in pixels; None takes whole pictures.
            Squares cost little and show objects large: the place to begin.
        together: whether all directed pairs of a scene's views come together, four clips of three views: each view
            is encoded once, and each object of a query view remembered once. `clips` is then a multiple of four.
    """

    until: float = 1.0
    frames: int = 8
    lengths: tuple[int, ...] = ()
    clips: int = 8
    real: tuple[float, float] = (1.0, 1.0)
    crop: int | None = None
    together: bool = False

    def __post_init__(self) -> None:
        require(0 < self.until <= 1, "phases.until", self.until, "in (0, 1]")
        require(self.frames >= 1, "phases.frames", self.frames, "at least 1")
        require(all(length >= 1 for length in self.lengths), "phases.lengths", self.lengths, "numbers of at least 1")
        require(self.clips >= 1, "phases.clips", self.clips, "at least 1")
        require(all(0 <= share <= 1 for share in self.real), "phases.real", self.real, "two numbers in [0, 1]")
        whole = self.crop is None or (self.crop > 0 and self.crop % 32 == 0)
        require(whole, "phases.crop", self.crop, "a multiple of 32")
        if self.together:
            require(self.crop is None, "phases.crop", self.crop, "left out where pairs come together")
            require(self.real == (1.0, 1.0), "phases.real", self.real, "left out where pairs come together")
            require(self.clips % PAIRS == 0, "phases.clips", self.clips, f"a multiple of {PAIRS} with pairs together")

    @property
    def longest(self) -> int:
        """The largest T of its clips."""
        return max(self.lengths, default=self.frames)

    def drawn(self, rng: np.random.Generator) -> Phase:
        """The phase with the `frames` and `clips` of a batch."""
        if not self.lengths:
            return self
        frames = int(rng.choice(self.lengths))
        unit = PAIRS if self.together else 1
        return replace(self, frames=frames, lengths=(), clips=max(1, self.clips // (frames * unit)) * unit)


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
        scenes: how many different scenes there are: they are kept on disk (half a megabyte each at 384 pixels), and
            come round again with other augmentations. None draws new ones without end.
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
    scenes: int | None = None
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
        require(
            self.scenes is None or self.scenes >= self.window,
            "synthetic.scenes",
            self.scenes,
            f"at least synthetic.window ({self.window})",
        )
        for name in ("absent", "strange"):
            require(0 <= getattr(self, name) <= 1, f"synthetic.{name}", getattr(self, name), "in [0, 1]")
        require(bool(self.phases), "synthetic.phases", self.phases, "one or more phases")
        longest = max(phase.longest for phase in self.phases)
        if longest > self.frames_kept:
            raise ConfigError(f"phases have clips of {longest} frames, but frames_kept is {self.frames_kept}")
        if (len(self.gaps) and max(self.gaps) * self.frames_kept >= self.seconds) or not self.gaps:
            raise ConfigError(f"gaps of {self.gaps} s do not fit {self.frames_kept} times into {self.seconds} s")


class SyntheticClips:
    """A `ClipSource` of synthetic scenes; a context manager that ends its rendering thread.

    Args:
        config: what to draw.
        size: side S of the pictures.
        seed: of the whole training.
        steps: optimiser steps of the whole training, which the curriculum is spread over.
        folder: where scenes that come round are kept; None draws them each time.
        waiting: is told, until there is a batch, how many scenes are drawn, and of how many at most.
    """

    def __init__(
        self,
        config: SyntheticConfig,
        size: int,
        seed: int,
        steps: int,
        folder: Path | None = None,
        waiting: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> None:
        self._store = None if folder is None or config.scenes is None else SceneStore(folder, size)
        self._config, self._size, self._seed, self._steps = config, size, seed, steps
        self._scenes: dict[int, Future[ScenePictures]] = {}
        self._renderer = ThreadPoolExecutor(1, "scenes")
        self._waiting, self._begun = waiting, False

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
        phase = phase.drawn(rng)
        first = step // self._config.renewal
        self._slide(first)
        chosen = first + rng.permutation(self._config.window)
        made = list(islice(self._clips(chosen, phase, real, rng), phase.clips))
        self._begun = True
        return made

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
                self._scenes[number] = self._renderer.submit(self._pictures, number)

    def _clips(self, scenes: np.ndarray, phase: Phase, real: float, rng: np.random.Generator) -> Iterator[Clip]:
        """Clips of these scenes, round and round; scenes that show too little are passed over."""
        for _ in range(20):
            for number in scenes:
                pictures = self._scene(int(number))
                other = self._scene(int(rng.choice(scenes))) if rng.uniform() < self._config.strange else None
                if phase.together:
                    yield from self._pairs(pictures, other, phase, rng)
                    continue
                clip = self._cut(pictures, other, phase, rng.uniform() < real, rng)
                if clip is not None:
                    yield clip
        raise ConfigError("hardly any scene shows an object in both views; use longer scenes or more objects")

    def _scene(self, number: int) -> ScenePictures:
        """The pictures of a scene of the window, after a wait that is told of before the first batch."""
        scene = self._scenes[number]
        while not self._begun and not wait([scene], _TOLD_EVERY_S).done:
            self._waiting(sum(one.done() for one in self._scenes.values()), len(self._scenes))
        return scene.result()

    def _pairs(
        self, here: ScenePictures, other: ScenePictures | None, phase: Phase, rng: np.random.Generator
    ) -> list[Clip]:
        config = self._config
        how = Together(phase.frames, config.followed, config.absent, config.augment)
        length = int(rng.integers(*config.track_length, endpoint=True))
        return directed_pairs(here, None if other is here else other, how, length, rng)

    def _cut(
        self, here: ScenePictures, other: ScenePictures | None, phase: Phase, real: bool, rng: np.random.Generator
    ) -> Clip | None:
        frames = phase.frames
        whole = [view for view, lacking in enumerate(here.lacking) if not lacking]
        query = int(rng.choice([view for view in whole if here.ego[view]])) if rng.uniform() < 0.5 else None
        query = int(rng.choice([view for view in whole if not here.ego[view]])) if query is None else query
        target = self._target(here, query, rng) if real else query
        start = int(rng.integers(here.frames.shape[1] - frames + 1))
        span = slice(start, start + frames)
        seen = objects_in(here.things[query, span])
        hidden = objects_in(here.things[target, span])
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

    def _target(self, here: ScenePictures, query: int, rng: np.random.Generator) -> int:
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

    def _pictures(self, number: int) -> ScenePictures:
        """Those of the scene at a place in the training; scenes on disk come round in another order each time."""
        config = self._config
        if config.scenes is None:
            return draw_pictures(self._sketch(number), self._size)
        order = np.random.default_rng([self._seed, _ORDER, number // config.scenes]).permutation(config.scenes)
        sketch = self._sketch(int(order[number % config.scenes]))
        if self._store is None:
            return draw_pictures(sketch, self._size)
        return self._store.read(sketch, lambda: draw_pictures(sketch, self._size))

    def _sketch(self, number: int) -> Sketch:
        """Draw what the pictures of a scene show."""
        config = self._config
        rng = np.random.default_rng([self._seed, _SKETCH, number])
        objects = int(rng.integers(config.objects[0], config.objects[1], endpoint=True))
        gap = float(rng.choice(config.gaps))
        span = gap * (config.frames_kept - 1)
        times = rng.uniform(0, config.seconds - span - 1 / FPS) + gap * np.arange(config.frames_kept)
        return Sketch(
            seed=TRAINING_SEEDS + (self._seed << 20) + number,
            seconds=config.seconds,
            objects=objects,
            frames=tuple((times * FPS).astype(int).tolist()),
            lacking=1 + int(rng.integers(objects)),
            poorer=int(rng.integers(CAMERAS)),
        )


def _masks(objects: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Masks [K, T, S, S] of some objects in a map of objects [T, S, S]."""
    masks: np.ndarray = objects[None] == numbers.astype(objects.dtype)[:, None, None, None]
    return masks
