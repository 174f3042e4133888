"""Clips of takes: successive annotated frames of a track, with other objects of the same pair of cameras."""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np

from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.model.query_masks import query_mask
from lmeec.training.clips.batches import share
from lmeec.training.clips.clip import Clip
from lmeec.training.clips.tracks import TrainingTake, TrainingTrack, shows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from lmeec.data.tracks import MaskTrack
    from lmeec.training.clips.cache import FrameCache
    from lmeec.training.clips.config import DrawsClips
    from lmeec.training.group import Group

_THREADS = 4
_ORDER = 3
"""Sets draws about the order of tracks apart from those about clips."""


class TakeClips:
    """A `ClipSource` of takes; a context manager that ends its threads.

    Every pass goes through all tracks once, in an order of its own; where `absent_clips` says so, some clips are of
    frames in which an object is annotated as not visible instead. A clip depends on the seed, the step and its place in
    the batch alone.

    Args:
        takes: what can be trained on, the same in every process.
        cache: holds their frames.
        config: settings of the training.
        size: side S of the pictures.
        group: this process, which makes its share of each batch.

    Raises:
        DataError: there is nothing to train on, or no frame without its object where such are asked for.
    """

    def __init__(
        self, takes: Sequence[TrainingTake], cache: FrameCache, config: DrawsClips, size: int, group: Group
    ) -> None:
        self._tracks = [(take, track) for take in takes for track in take.tracks]
        if not self._tracks:
            raise DataError(
                f"no take has an object that is annotated in both views at {config.clips.frames} successive frames of "
                "the query view: use fewer `clips.frames`, or other takes",
                settings=["clips.frames"],
            )
        self._absent = self._find_absent(config) if config.absent_clips else []
        self._takes, self._cache, self._config, self._size, self._group = takes, cache, config, size, group
        self._order = lru_cache(2)(self._draw_order)
        self._threads = ThreadPoolExecutor(_THREADS, "clips")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    @property
    def steps(self) -> int:
        """Steps of the training: those of the settings, or as many as their epochs take."""
        config = self._config
        return config.steps or math.ceil(config.epochs * config.passes * len(self._tracks) / config.batch)

    @property
    def about(self) -> str:
        """What is trained on, with a digest of it."""
        digest = hashlib.sha256()
        for take in self._takes:
            names = [(track.query.object, *track.pair, track.frames) for track in take.tracks]
            digest.update(repr((take.take.uid, take.take.annotation_digest, names)).encode())
        return f"{len(self._tracks):,} tracks of {len(self._takes):,} takes ({digest.hexdigest()[:12]})"

    def batch(self, step: int) -> list[Clip]:
        """See `ClipSource`."""
        places = share(range(self._config.batch), self._group)
        return list(self._threads.map(lambda place: self._clip(step, place), places))

    def _find_absent(self, config: DrawsClips) -> list[tuple[TrainingTake, TrainingTrack, list[int]]]:
        """Tracks with the places at which a clip may begin that has a frame without its object."""
        found = [
            (take, track, starts)
            for take, track in self._tracks
            if (starts := track.absent_starts(config.clips.frames))
        ]
        if not found:
            raise DataError(
                "no object of these takes is annotated as not visible while the query view shows it, so that nothing "
                "can be learned of absence: name a relations file with `annotations`, or use other takes",
                settings=["annotations"],
            )
        return found

    def _draw_order(self, number: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._config.seed, _ORDER, number]).permutation(len(self._tracks))

    def _clip(self, step: int, place: int) -> Clip:
        config, rules = self._config, self._config.rules
        rng = np.random.default_rng([config.seed, step, place])
        take, track, starts = self._drawn(step, place, rng)
        start = int(rng.choice(starts))
        frames = track.frames[start : start + config.clips.frames]
        followed = [track, *self._others(take, track, frames, rng)]
        query, target = track.pair
        target_masks = np.stack([self._masks(one.target, frames) for one in followed])
        clip = Clip(
            query=self._frames(take, query, frames),
            target=self._frames(take, target, frames),
            query_masks=np.stack([self._masks(one.query, frames) for one in followed]),
            target_masks=target_masks,
            annotated=np.stack(
                [
                    _looked_at(one, frames) & (rules.judges_lost | _is_whole(one.target, frames, shown))
                    for one, shown in zip(followed, target_masks, strict=True)
                ]
            ),
            track_length=track.length,
            origin=(
                f"take {show(take.take.name)}, object {show(track.query.object)}, {query} to {target}, frames "
                f"{frames[0]} to {frames[-1]}"
            ),
            aspects=(_aspect(track.query), _aspect(track.target)),
        )
        return rules.augment(clip, config.clips.augment, rng)

    def _drawn(
        self, step: int, place: int, rng: np.random.Generator
    ) -> tuple[TrainingTake, TrainingTrack, Sequence[int]]:
        """The track of a clip, and where the clip may begin."""
        config = self._config
        if self._absent and rng.uniform() < config.absent_clips:
            return self._absent[int(rng.integers(len(self._absent)))]
        passed, number = divmod(step * config.batch + place, len(self._tracks))
        take, track = self._tracks[self._order(passed)[number]]
        return take, track, track.starts(config.clips.frames)

    def _others(
        self, take: TrainingTake, track: TrainingTrack, frames: Sequence[int], rng: np.random.Generator
    ) -> list[TrainingTrack]:
        """Other objects of the same cameras that a clip of these frames could be cut for."""
        others = [
            other for other in take.tracks if other is not track and other.pair == track.pair and other.covers(frames)
        ]
        chosen = rng.permutation(len(others))[: self._config.clips.objects - 1]
        return [others[i] for i in sorted(chosen)]

    def _frames(self, take: TrainingTake, camera: str, frames: Sequence[int]) -> NDArray[np.uint8]:
        return self._cache.read(take.take, take.take.cameras[camera], take.frames[camera], frames)

    def _masks(self, masks: MaskTrack, frames: Sequence[int]) -> NDArray[np.bool_]:
        """Masks of an object at the network's size, [T, S, S]; empty where it has none."""
        resized = np.zeros((len(frames), self._size, self._size), bool)
        for place, frame in enumerate(frames):
            mask = masks.mask(frame)
            if mask is not None and mask.area > 0:
                resized[place] = query_mask(mask, self._size, half=self._config.rules.half).numpy()
        return resized


def _looked_at(track: TrainingTrack, frames: Sequence[int]) -> NDArray[np.bool_]:
    """Which of the frames are annotated, [T]."""
    annotated = dict(zip(track.frames, track.annotated, strict=True))
    return np.array([annotated[frame] for frame in frames])


def _is_whole(masks: MaskTrack, frames: Sequence[int], resized: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where resizing has not made an object disappear, [T]."""
    left = np.any(resized, (1, 2))
    return np.array([found == shows(masks, frame) for found, frame in zip(left, frames, strict=True)])


def _aspect(masks: MaskTrack) -> float:
    """Width over height of a camera's frames, which its masks cover."""
    height, width = masks.size or (1, 1)
    return width / height
