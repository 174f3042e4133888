"""What training reads: a few objects followed through a short clip in two synchronised views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from lmeec.model.transfer import to_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.training.clips.source import Source

T = TypeVar("T")


@dataclass(frozen=True)
class Clip:
    """K objects over T instants, in two views resized to the network's square input of side S.

    Attributes:
        query: RGB frames of the query view, uint8 [T, S, S, 3].
        target: RGB frames of the target view, uint8 [T, S, S, 3].
        query_masks: the objects in the query view, bool [K, T, S, S]; none is empty at the first instant.
        target_masks: the objects in the target view, bool [K, T, S, S]; empty where an object is not visible.
        annotated: whether the target view was annotated, bool [K, T]; what was not is not trained on.
        track_length: steps of the track that the clip is cut from, at least T; object pointers are timed by it.
        origin: where it is from, for messages.
        aspects: width over height of the query view's and the target view's frames before they were resized.
        identity: numbers of the objects, [K], equal where two clips of a batch follow the same one; None where no other
            clip does.
        things: what each pixel of the query view and of the target view shows, uint8 [T, S, S] each: numbers of
            objects and surfaces, 0 where it is not known; None without.
        scenes: numbers of the scenes that both views show, in each of which things have numbers of their own.

    Clips that hold the same array of frames share its features, and those that hold the same array of query masks
    their view memories (see `collate`).
    """

    query: np.ndarray
    target: np.ndarray
    query_masks: np.ndarray
    target_masks: np.ndarray
    annotated: np.ndarray
    track_length: int
    origin: str = "a synthetic scene"
    aspects: tuple[float, float] = (1.0, 1.0)
    identity: np.ndarray | None = None
    things: tuple[np.ndarray, np.ndarray] | None = None
    scenes: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        objects, steps = self.annotated.shape
        assert self.query.shape[0] == self.target.shape[0] == steps
        assert self.query_masks.shape == self.target_masks.shape == (objects, steps, *self.query.shape[1:3])


ClipSource: TypeAlias = "Source[Clip]"
"""Gives the clips of a training; those of a batch are all of the same T."""


@dataclass(frozen=True)
class ClipBatch:
    """B clips of T instants with R objects in all, seen in V views, as tensors.

    Attributes:
        views: uint8 [V, T, S, S, 3]; those that are query views first.
        query: the query view of each clip, int64 [B].
        target: the target view of each clip, int64 [B].
        clip: the clip of each object, int64 [R].
        query_masks: bool [R, T, S, S].
        target_masks: bool [R, T, S, S].
        annotated: bool [R, T].
        track_lengths: of each clip, B numbers.
        objects: how many each clip has, B numbers; rows of one clip lie together.
        shown: the objects whose view memories serve all, int64 [U]: one for each object of a query view.
        showing: the place in `shown` of each object's view memory, int64 [R].
        targets: each target view once, int64 [W].
        targeted: the place in `targets` of each object's target view, int64 [R].
        identity: equal where two rows are of the same object, int64 [R].
        things: see `Clip`, uint8 [V, T, S, S]; None without.
        scenes: equal where two views are of one scene, in which things have the same numbers, int64 [V].
    """

    views: Tensor
    query: Tensor
    target: Tensor
    clip: Tensor
    query_masks: Tensor
    target_masks: Tensor
    annotated: Tensor
    track_lengths: tuple[int, ...]
    objects: tuple[int, ...]
    shown: Tensor
    showing: Tensor
    targets: Tensor
    targeted: Tensor
    identity: Tensor
    scenes: Tensor
    things: Tensor | None = None

    @property
    def steps(self) -> int:
        """Instants T."""
        return self.views.shape[1]

    @property
    def visible(self) -> Tensor:
        """Whether the target view shows the object, bool [R, T]."""
        return self.target_masks.flatten(2).any(2)

    def to(self, device: torch.device) -> ClipBatch:
        """The batch on another device."""
        moved: dict[str, Any] = {name: to_device(x, device) for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **moved)


def collate(clips: Sequence[Clip]) -> ClipBatch:
    """Join clips of equally many instants and of one size.

    An array of frames that several clips hold becomes one view, and an array of query masks that clips of one query
    view hold gives one view memory an object: what is the same is computed once.
    """
    pictures = [clip.query for clip in clips] + [clip.target for clip in clips]
    views, places = _distinct([id(picture) for picture in pictures])
    objects = [len(clip.annotated) for clip in clips]
    rows = [(id(clip.query), id(clip.query_masks), k) for clip, n in zip(clips, objects, strict=True) for k in range(n)]
    shown, showing = _distinct(rows)
    clip = [place for place, n in enumerate(objects) for _ in range(n)]
    target = places[len(clips) :]
    targets, targeted = _distinct([target[one] for one in clip])
    known = all(clip.identity is not None for clip in clips)
    identity = np.concatenate([clip.identity for clip in clips if clip.identity is not None]) if known else None
    return ClipBatch(
        views=torch.from_numpy(np.stack([pictures[first] for first in views])),
        query=torch.tensor(places[: len(clips)]),
        target=torch.tensor(target),
        clip=torch.tensor(clip),
        query_masks=torch.from_numpy(np.concatenate([clip.query_masks for clip in clips])),
        target_masks=torch.from_numpy(np.concatenate([clip.target_masks for clip in clips])),
        annotated=torch.from_numpy(np.concatenate([clip.annotated for clip in clips])),
        track_lengths=tuple(clip.track_length for clip in clips),
        objects=tuple(objects),
        shown=torch.tensor(shown),
        showing=torch.tensor(showing),
        targets=torch.tensor([target[clip[row]] for row in targets]),
        targeted=torch.tensor(targeted),
        identity=torch.arange(len(rows)) if identity is None else torch.from_numpy(identity),
        scenes=torch.tensor(_of_views([clip.scenes for clip in clips], views)),
        things=_things(clips, views),
    )


def _things(clips: Sequence[Clip], views: Sequence[int]) -> Tensor | None:
    maps = [clip.things for clip in clips if clip.things is not None]
    return torch.from_numpy(np.stack(_of_views(maps, views))) if len(maps) == len(clips) else None


def _of_views(pairs: Sequence[tuple[T, T]], views: Sequence[int]) -> list[T]:
    """What the clips say of their query and target views, for views numbered as all query views, then all targets."""
    both = [pair[side] for side in range(2) for pair in pairs]
    return [both[view] for view in views]


def _distinct(keys: Sequence[object]) -> tuple[list[int], list[int]]:
    """Where each of the distinct keys is first, and the place of every key among them."""
    found: dict[object, int] = {}
    places = [found.setdefault(key, len(found)) for key in keys]
    firsts: dict[int, int] = {}
    for position, place in enumerate(places):
        firsts.setdefault(place, position)
    return list(firsts.values()), places
