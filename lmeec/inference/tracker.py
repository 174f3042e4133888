"""Advance all tracks of a take together, one frame at a time (paper, section 3)."""

from __future__ import annotations

from collections import defaultdict
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from lmeec.memory.bank import DualMemory, NoMemory, dual_memory
from lmeec.memory.pointers import PointerBank
from lmeec.model.lmeec import LMEEC, Decoded, ViewFeatures, joined
from lmeec.model.memory_attention import PreparedTarget
from lmeec.model.transfer import index_on, to_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lmeec.config import MemoryConfig
    from lmeec.inference.part_times import PartTimes
    from lmeec.inference.plan import PlannedTrack

T = TypeVar("T")
R = TypeVar("R")


class Tracker:
    """State of all tracks of a take: banks, pointers and step counts.

    A track's results do not depend on which others share its batch.

    Args:
        model: in evaluation mode.
        tracks: all tracks of the take.
        memory: policy and size of the banks; None predicts each step by itself, from the view-guided feature alone.
        batch_tracks: at most this many tracks, streams or cameras go through a part of the network at once; halved
            when a GPU's memory does not suffice.
        times: counts the seconds that each part of the network takes.
    """

    def __init__(
        self,
        model: LMEEC,
        tracks: Sequence[PlannedTrack],
        memory: MemoryConfig | None,
        batch_tracks: int,
        times: PartTimes | None = None,
    ) -> None:
        self.model = model
        self.tracks = list(tracks)
        self.batch_tracks = batch_tracks
        self._remembers = memory is not None
        self.memory: DualMemory = NoMemory()
        if memory is not None:
            streams, reaches = [track.stream for track in tracks], [self._reach(track) for track in range(len(tracks))]
            self.memory = dual_memory(memory, memory.entries(model.config), streams, reaches)
        self._times = times
        # Two, as the `iou` policy always takes the last two.
        self._pointers = PointerBank(max(2, model.config.max_object_pointers - 1))
        self._steps = [0] * len(self.tracks)
        self._left = [len(track.frames) for track in self.tracks]

    def step(
        self, active: Sequence[int], frames: Mapping[str, Tensor], masks: Mapping[int, Tensor]
    ) -> Iterator[tuple[list[int], Decoded]]:
        """Advance the active tracks by one step.

        Exhaust the iterator: the query banks grow after its last batch. Where memory runs out, what was computed so
        far of a batch is discarded before it is tried in halves; nothing of it is in the banks.

        Args:
            active: numbers of the tracks that have this frame.
            frames: RGB uint8 [H, W, 3] of every camera that an active track needs.
            masks: bool [h, w] query mask of every stream that an active track needs.

        Yields:
            Tracks of a batch and what was decoded for them, a row each.
        """
        yield from self.advance(active, self.look(frames), masks)

    def look(self, frames: Mapping[str, Tensor]) -> Views:
        """Encode camera frames, each once.

        Args:
            frames: RGB uint8 [H, W, 3] by camera.
        """
        cameras = list(frames)
        encoded = [some for _, some in self._in_batches([frames[camera] for camera in cameras], self._encode)]
        return Views(joined(encoded), cameras)

    def advance(
        self, active: Sequence[int], views: Views, masks: Mapping[int, Tensor]
    ) -> Iterator[tuple[list[int], Decoded]]:
        """Do what `step` does from frames that are encoded already, by this model.

        Args:
            active: as in `step`.
            views: every camera that an active track needs.
            masks: as in `step`; on the host or on the device.

        Yields:
            As `step`.
        """
        scene = self._look_at(active, views, masks)
        with self._computing():
            self.memory.begin(active)
        self._pointers.open(active)
        yield from self._in_batches(self._alike(active), lambda batch: self._advance(batch, scene))
        if self._remembers:
            for _ in self._in_batches(scene.streams, lambda streams: self._add_views(streams, scene)):
                pass
        with self._computing():
            self.memory.finish()
        self._pass(active)

    def skip(self, tracks: Sequence[int]) -> None:
        """Let a frame of tracks go by without a step, as where their query is empty; it adds no memory."""
        self._pass(tracks)

    def _pass(self, tracks: Sequence[int]) -> None:
        for track in tracks:
            self._left[track] -= 1
            if not self._left[track]:
                self.memory.forget(track)
                self._pointers.clear(track)

    def _in_batches(self, items: Sequence[T], compute: Callable[[list[T]], R]) -> Iterator[tuple[list[T], R]]:
        """Compute on at most `batch_tracks` items at a time, on fewer from then on when memory runs out."""
        waiting = list(items)
        while waiting:
            batch = waiting[: self.batch_tracks]
            try:
                with self._computing():
                    result = compute(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                self.batch_tracks = len(batch) // 2
            else:
                waiting = waiting[len(batch) :]
                yield batch, result
                continue
            # Only now the error no longer holds what the failed attempt had made.
            torch.cuda.empty_cache()

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with torch.inference_mode(), self.model.autocast():
            yield

    def _look_at(self, active: Sequence[int], views: Views, masks: Mapping[int, Tensor]) -> _Scene:
        """Compute what depends on camera frames and on objects alone, each once."""
        specs = [self.tracks[track] for track in active]
        targets = sorted({spec.target_camera for spec in specs})
        query_of = {spec.stream: spec.query_camera for spec in specs}
        features = views.features
        row = {camera: i for i, camera in enumerate(views.cameras)}
        prepared = [
            some.tokens
            for _, some in self._in_batches([row[camera] for camera in targets], lambda r: self._prepare(features, r))
        ]
        memories = [
            some
            for _, some in self._in_batches(
                sorted(query_of),
                lambda streams: self._view_memories(
                    features, [row[query_of[s]] for s in streams], [masks[s] for s in streams]
                ),
            )
        ]
        prototypes = [prototype for _, prototype in memories if prototype is not None]
        return _Scene(
            features=features,
            prepared=PreparedTarget(torch.cat(prepared)),
            views=torch.cat([view for view, _ in memories]),
            prototypes=torch.cat(prototypes) if prototypes else None,
            cameras=views.cameras,
            targets=targets,
            streams=sorted(query_of),
        )

    def _encode(self, frames: list[Tensor]) -> ViewFeatures:
        with self._part("image encoder"):
            images = [self.model.normalise(to_device(frame[None], self.model.device)) for frame in frames]
            return self.model.encode(torch.cat(images))

    def _prepare(self, features: ViewFeatures, rows: list[int]) -> PreparedTarget:
        with self._part("memory attention"):
            return self.model.prepare(features.coarse.index_select(0, self._index(rows)))

    def _view_memories(
        self, features: ViewFeatures, rows: list[int], masks: list[Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """View memories, and prototypes of a model that has them."""
        with self._part("memory encoder"):
            resized = torch.cat([self.model.query_mask(to_device(mask[None], self.model.device)) for mask in masks])
            query = features.rows(self._index(rows))
            return self.model.view_memory(query.coarse, resized), self.model.prototype(query, resized)

    def _alike(self, active: Sequence[int]) -> list[int]:
        """The tracks, those that attend to equally many tokens together, so that few batches mix them."""
        return sorted(active, key=lambda track: (*self._tokens_of(track), track))

    def _tokens_of(self, track: int) -> tuple[int, int]:
        """Entries in each bank, and pointers, that the track attends to at this step."""
        return self.memory.length(track), len(self._pointer_steps(track))

    def _pointer_steps(self, track: int) -> list[int]:
        """Steps whose object pointers the track attends to, newest first."""
        chosen = self.memory.pointer_steps(track)
        if chosen is not None:
            return chosen
        k = self._steps[track]
        return list(range(k - 1, k - 1 - min(k, self._reach(track)), -1))

    def _reach(self, track: int) -> int:
        """How many steps back a track's pointers reach."""
        return min(len(self.tracks[track].frames), self.model.config.max_object_pointers) - 1

    def _advance(self, batch: list[int], scene: _Scene) -> Decoded:
        specs = [self.tracks[track] for track in batch]
        target = scene.target_features([spec.target_camera for spec in specs])
        prepared = scene.prepared_targets([spec.target_camera for spec in specs])
        with self._part("memory attention"):
            fused = self.model.attend_view(prepared, scene.view_memories([spec.stream for spec in specs]))
            guided, rows = self._attend_memory(batch, prepared)
        with self._part("MV-MoE"):
            if guided is not None:
                index = self._index(rows)
                mixed = self.model.MV_MoE(guided, fused.index_select(0, index)).to(fused.dtype)
                fused = fused.index_copy(0, index, mixed)
        with self._part("mask decoder"):
            decoded = self.model.decode(fused, target, scene.prototypes_of([spec.stream for spec in specs]))
        if self._remembers:
            self._remember(batch, target, decoded)
        for track in batch:
            self._steps[track] += 1
        return decoded

    def _remember(self, batch: list[int], target: ViewFeatures, decoded: Decoded) -> None:
        with self._part("memory encoder"):
            memories = self.model.target_memory(target.coarse, decoded)
        with self._part("memory bank"):
            commits = (
                self.memory.add_targets(batch, memories, decoded.predicted_iou),
                self._pointers.add(batch, [self._steps[track] for track in batch], decoded.object_pointer),
            )
            # Nothing below can fail: a batch is in the banks whole or not at all.
            for commit in commits:
                commit()

    def _add_views(self, streams: list[int], scene: _Scene) -> None:
        self.memory.add_views(streams, scene.view_memories(streams))()

    def _attend_memory(self, batch: list[int], prepared: PreparedTarget) -> tuple[Tensor | None, list[int]]:
        """Memory-guided features of those rows of the batch that have memory, and which rows they are."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row, track in enumerate(batch):
            groups[self._tokens_of(track)].append(row)
        groups.pop((0, 0), None)
        if not groups:
            return None, []
        guided = [self._attend_group(rows, [batch[row] for row in rows], prepared) for rows in groups.values()]
        return torch.cat(guided), [row for rows in groups.values() for row in rows]

    def _attend_group(self, rows: list[int], tracks: list[int], prepared: PreparedTarget) -> Tensor:
        """Attention of tracks with equally many entries and pointers."""
        entries, _ = self._tokens_of(tracks[0])
        slots = self.model.slot_positions(entries, by_recency=self.memory.by_recency)
        pointers = self._pointers.read(tracks, [self._pointer_steps(track) for track in tracks])
        codes = {reach: self.model.pointer_positions(pointers.shape[1], reach) for reach in map(self._reach, tracks)}
        return self.model.attend_memory(
            prepared.rows(self._index(rows)),
            self.memory.read(tracks),
            torch.cat([slots, slots]),
            pointers,
            torch.stack([codes[self._reach(track)] for track in tracks]),
        )

    def _index(self, rows: Sequence[int]) -> Tensor:
        return index_on(self.model.device, rows)

    def _part(self, name: str) -> AbstractContextManager[None]:
        return nullcontext() if self._times is None else self._times.part(name, self.model.device)


@dataclass(frozen=True)
class Views:
    """Camera frames of one instant, encoded.

    Attributes:
        features: a row a camera.
        cameras: names, in the order of rows.
    """

    features: ViewFeatures
    cameras: list[str]


@dataclass(frozen=True)
class _Scene:
    """What all tracks share at one instant.

    Attributes:
        features: a row a camera.
        prepared: a row a target camera.
        views: this step's view memory, a row a stream, [streams, h*w, D].
        prototypes: likewise, [streams, P]; None of a model without.
        cameras: names, in the order of rows; likewise `targets` and `streams`.
    """

    features: ViewFeatures
    prepared: PreparedTarget
    views: Tensor
    prototypes: Tensor | None
    cameras: list[str]
    targets: list[str]
    streams: list[int]

    def target_features(self, targets: list[str]) -> ViewFeatures:
        """Features of target cameras, a row each."""
        return self.features.rows(self._index(self.cameras, targets))

    def prepared_targets(self, targets: list[str]) -> PreparedTarget:
        """Prepared features of target cameras, a row each."""
        return self.prepared.rows(self._index(self.targets, targets))

    def view_memories(self, streams: list[int]) -> Tensor:
        """View memories of streams, a row each."""
        return self.views.index_select(0, self._index(self.streams, streams))

    def prototypes_of(self, streams: list[int]) -> Tensor | None:
        """Prototypes of streams, a row each; None of a model without."""
        if self.prototypes is None:
            return None
        return self.prototypes.index_select(0, self._index(self.streams, streams))

    def _index(self, rows: list[T], wanted: list[T]) -> Tensor:
        row_of = {item: row for row, item in enumerate(rows)}
        return index_on(self.views.device, [row_of[item] for item in wanted])
