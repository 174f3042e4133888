"""The differentiable pass over a batch of clips: what the tracker does at inference, with gradients.

Nothing is compressed (paper, section 4): clips have at most two frames more than a bank has places, and only the last
step of such a clip leaves an entry out, the earliest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lmeec.errors import ConfigError
from lmeec.model.lmeec import LMEEC, Decoded, ViewFeatures, joined, unjoined

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmeec.config import ModelConfig
    from lmeec.model.memory_attention import PreparedTarget
    from lmeec.training.clips.clip import ClipBatch

_Given = TypeVarTuple("_Given")
_Made = TypeVar("_Made")

_CERTAIN_LOGIT = 10.0
"""Mask logit that stands for an annotated pixel where memories are made from annotations."""


@dataclass(frozen=True)
class ClipOutputs:
    """What the network says of a batch.

    Attributes:
        steps: of each instant, a row an object [R, ...]; masks and pointers are there also where the object is
            predicted absent.
        query: coarse features of the query frames, [B, T, C, h, w].
        target: the same of the target frames.
        views: features of all views, V rows, of each instant.
    """

    steps: list[Decoded]
    query: Tensor
    target: Tensor
    views: list[ViewFeatures]


def run_clips(
    model: LMEEC,
    batch: ClipBatch,
    *,
    annotated_memory: Tensor | None = None,
    recompute: bool = False,
    slots_by_recency: bool = False,
) -> ClipOutputs:
    """Follow the objects of a batch of clips.

    Args:
        model: in training mode, or in evaluation mode for a pass without dropout.
        batch: on the model's device.
        annotated_memory: objects whose target memories are made from the annotations instead of the predictions,
            bool [R]; None means none.
        recompute: keep only the inputs of each part and compute the rest again for the gradients: several times
            less memory for a third more time.
        slots_by_recency: see `lmeec.training.rules.Rules`.

    Raises:
        ConfigError: see `check_frames`.
    """
    check_frames(batch.steps, model.config)
    model = model.at_size(batch.views.shape[2])
    return _ClipRun(model, batch, annotated_memory, recompute, slots_by_recency).run()


def check_frames(frames: int, config: ModelConfig) -> None:
    """Check that memory banks need not be compressed in clips of so many frames.

    Raises:
        ConfigError: the clips are too long for the memory banks.
    """
    places = config.num_maskmem - 1
    if frames > places + 2:
        raise ConfigError(
            f"clips have {frames} frames, but the memory banks hold {places} entries and training does not compress "
            f"them: use clips of at most {places + 2} frames"
        )


class _ClipRun:
    """State of one pass: features of all frames, and the memories made so far."""

    def __init__(
        self, model: LMEEC, batch: ClipBatch, annotated_memory: Tensor | None, recompute: bool, by_recency: bool
    ) -> None:
        self._model, self._batch = model, batch
        self._forced = annotated_memory
        self._recompute = recompute
        self._by_recency = by_recency
        self._drops_out = model.training and model.config.memory_attention.dropout > 0
        self._views: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._pointers: list[Tensor] = []

    def run(self) -> ClipOutputs:
        batch = self._batch
        views = self._encode(batch.views)
        steps = [self._step(k, views[k]) for k in range(batch.steps)]
        coarse = torch.stack([features.coarse for features in views], 1)
        return ClipOutputs(steps, coarse[batch.query], coarse[batch.target], views)

    def _encode(self, views: Tensor) -> list[ViewFeatures]:
        """Features of [V, T, S, S, 3] frames, instant by instant."""
        # As many views at a time as there are clips: clips that share nothing have their query views encoded, then
        # their target views, and no more than half of them are ever held whole.
        some = [self._encode_views(part) for part in views.split(len(self._batch.query))]
        return [joined([part[k] for part in some]) for k in range(views.shape[1])]

    def _encode_views(self, frames: Tensor) -> list[ViewFeatures]:
        if self._recompute:
            # One instant at a time, so that no more than one is ever held whole.
            return [self._saving(self._encode_some, frames[:, k]) for k in range(frames.shape[1])]
        return unjoined(self._encode_some(frames.transpose(0, 1).flatten(0, 1)), frames.shape[1])

    def _encode_some(self, frames: Tensor) -> ViewFeatures:
        return self._model.encode(self._model.normalise(frames))

    def _step(self, k: int, views: ViewFeatures) -> Decoded:
        model, batch = self._model, self._batch
        query, masks = views.rows(batch.query[batch.clip[batch.shown]]), batch.query_masks[batch.shown, k]
        view = self._saving(model.view_memory, query.coarse, masks)
        prototype = model.prototype(query, masks)
        if len(batch.shown) < len(batch.showing):
            view = view[batch.showing]
            prototype = None if prototype is None else prototype[batch.showing]
        prepared = self._prepare(views)
        fused = self._saving(model.attend_view, prepared, view)
        if k:
            if self._drops_out:  # in each pass of memory attention by itself
                prepared = self._prepare(views)
            fused = model.MV_MoE(self._attend_memory(k, prepared), fused)
        rows = views.rows(batch.target[batch.clip])
        decoded = self._saving(model.decode_ungated, fused, rows, prototype)
        self._views.append(view)
        if k + 1 < batch.steps:
            self._remember(k, rows, decoded)
        return decoded

    def _prepare(self, views: ViewFeatures) -> PreparedTarget:
        """Each target view's part of memory attention, a row an object."""
        batch = self._batch
        return self._saving(self._model.prepare, views.coarse[batch.targets]).rows(batch.targeted)

    def _attend_memory(self, k: int, prepared: PreparedTarget) -> Tensor:
        entries = min(k, self._model.config.num_maskmem - 1)
        banks = torch.stack([*self._views[-entries:], *self._targets[-entries:]], dim=1)
        slots = self._model.slot_positions(entries, by_recency=self._by_recency)
        count = min(k, self._model.config.max_object_pointers - 1)
        pointers = torch.stack(self._pointers[: -count - 1 : -1], dim=1)
        return self._saving(
            self._model.attend_memory,
            prepared,
            banks,
            torch.cat([slots, slots]),
            pointers,
            self._pointer_positions(count),
        )

    def _pointer_positions(self, count: int) -> Tensor:
        most = self._model.config.max_object_pointers
        reaches = [min(length, most) - 1 for length in self._batch.track_lengths]
        codes = {reach: self._model.pointer_positions(count, reach) for reach in set(reaches)}
        return torch.stack([codes[reach] for reach in reaches])[self._batch.clip]

    def _remember(self, k: int, target: ViewFeatures, decoded: Decoded) -> None:
        """Keep the target memory and the pointer of a step, as inference does, or from the annotations."""
        if self._forced is not None:
            visible = self._batch.visible[:, k]
            masks = torch.nn.functional.interpolate(
                self._batch.target_masks[:, k, None].float(), decoded.mask_logits.shape[-2:], mode="area"
            )
            certain = (2 * masks[:, 0] - 1) * _CERTAIN_LOGIT
            score = torch.where(visible, _CERTAIN_LOGIT, -_CERTAIN_LOGIT)
            forced = self._forced & self._batch.annotated[:, k]
            decoded = replace(
                decoded,
                mask_logits=torch.where(forced[:, None, None], certain, decoded.mask_logits),
                object_score=torch.where(forced, score, decoded.object_score),
            )
        gated = self._model.gate(decoded)
        self._targets.append(self._saving(self._model.target_memory, target.coarse, gated))
        self._pointers.append(gated.object_pointer)

    def _saving(self, function: Callable[[*_Given], _Made], *arguments: *_Given) -> _Made:
        if self._recompute and torch.is_grad_enabled():
            made: _Made = checkpoint(function, *arguments, use_reentrant=False)
            return made
        return function(*arguments)
