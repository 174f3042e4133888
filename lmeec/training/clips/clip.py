"""What training reads: a few objects followed through a short clip in two synchronised views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lmeec.model.transfer import to_device

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    """

    query: np.ndarray
    target: np.ndarray
    query_masks: np.ndarray
    target_masks: np.ndarray
    annotated: np.ndarray
    track_length: int
    origin: str = "a synthetic scene"
    aspects: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        objects, steps = self.annotated.shape
        assert self.query.shape[0] == self.target.shape[0] == steps
        assert self.query_masks.shape == self.target_masks.shape == (objects, steps, *self.query.shape[1:3])


class ClipSource(Protocol):
    """Gives the clips of a training, each a function of its place in it alone, so that a resumed run sees the same."""

    def batch(self, step: int) -> list[Clip]:
        """The clips of an optimiser step, counted from the beginning of the training; all of the same T."""
        ...


@dataclass(frozen=True)
class ClipBatch:
    """B clips of T instants with R objects in all, as tensors.

    Attributes:
        query: uint8 [B, T, S, S, 3].
        target: uint8 [B, T, S, S, 3].
        clip: the clip of each object, int64 [R].
        query_masks: bool [R, T, S, S].
        target_masks: bool [R, T, S, S].
        annotated: bool [R, T].
        track_lengths: of each clip, B numbers.
    """

    query: Tensor
    target: Tensor
    clip: Tensor
    query_masks: Tensor
    target_masks: Tensor
    annotated: Tensor
    track_lengths: tuple[int, ...]

    @property
    def steps(self) -> int:
        """Instants T."""
        return self.query.shape[1]

    @property
    def visible(self) -> Tensor:
        """Whether the target view shows the object, bool [R, T]."""
        return self.target_masks.flatten(2).any(2)

    def to(self, device: torch.device) -> ClipBatch:
        """The batch on another device."""
        moved: dict[str, Any] = {name: to_device(x, device) for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **moved)


def collate(clips: Sequence[Clip]) -> ClipBatch:
    """Join clips of equally many instants and of one size."""
    objects = torch.tensor([len(clip.annotated) for clip in clips])
    return ClipBatch(
        query=torch.from_numpy(np.stack([clip.query for clip in clips])),
        target=torch.from_numpy(np.stack([clip.target for clip in clips])),
        clip=torch.arange(len(clips)).repeat_interleave(objects),
        query_masks=torch.from_numpy(np.concatenate([clip.query_masks for clip in clips])),
        target_masks=torch.from_numpy(np.concatenate([clip.target_masks for clip in clips])),
        annotated=torch.from_numpy(np.concatenate([clip.annotated for clip in clips])),
        track_lengths=tuple(clip.track_length for clip in clips),
    )
