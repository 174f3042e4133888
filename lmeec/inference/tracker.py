"""Advance all tracks of a take together, one frame at a time (paper, section 3; one step is DESIGN's steps 1 to 6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmeec.config import MemoryConfig
from lmeec.memory.bank import dual_memory
from lmeec.model.lmeec import LMEEC, Decoded
from lmeec.model.memory_attention import PreparedTarget


@dataclass(frozen=True)
class TrackSpec:
    """What the tracker must know of a track.

    Attributes:
        stream: number of the query stream (an object in a query camera) whose masks it follows.
        query_camera: camera that sees the masks.
        target_camera: camera to segment in.
        length: steps T of the whole track.
    """

    stream: int
    query_camera: str
    target_camera: str
    length: int


class CameraFeatures:
    """Encoder features of one instant, each camera's once.

    Args:
        model: encodes.
        frames: RGB frames uint8 [H, W, 3] by camera.
    """

    def __init__(self, model: LMEEC, frames: Mapping[str, Tensor]) -> None:
        self.row = {camera: i for i, camera in enumerate(frames)}
        images = torch.cat([model.normalise(frame[None].to(model.device)) for frame in frames.values()])
        self.features = model.encode(images)
        self._model = model
        self._prepared: dict[str, PreparedTarget] = {}

    def index(self, cameras: Sequence[str]) -> Tensor:
        """Rows of the cameras, as an index [len(cameras)]."""
        return torch.tensor([self.row[camera] for camera in cameras], device=self._model.device)

    def prepared(self, cameras: Sequence[str]) -> PreparedTarget:
        """Prepared target features of the cameras, a row each; each camera's is computed once."""
        new = [camera for camera in dict.fromkeys(cameras) if camera not in self._prepared]
        if new:
            made = self._model.prepare(self.features.rows(self.index(new)))
            for i, camera in enumerate(new):
                self._prepared[camera] = PreparedTarget(made.tokens[i : i + 1])
        return PreparedTarget(torch.cat([self._prepared[camera].tokens for camera in cameras]))


class Tracker:
    """State of all tracks of a take: banks, pointers and step counts.

    A track's results do not depend on which others share its batch.

    Args:
        model: in evaluation mode.
        tracks: all tracks of the take.
        memory: policy and size of the banks.
        batch_tracks: at most this many tracks go through memory attention and decoder at once.
    """

    def __init__(self, model: LMEEC, tracks: Sequence[TrackSpec], memory: MemoryConfig, batch_tracks: int) -> None:
        self.model = model
        self.tracks = list(tracks)
        self.batch_tracks = batch_tracks
        self._by_recency = memory.policy == "fifo"
        self.memory = dual_memory(memory, memory.entries(model.config), [track.stream for track in tracks])
        self._pointers: list[Tensor | None] = [None] * len(self.tracks)
        self._steps = [0] * len(self.tracks)

    def step(
        self, active: Sequence[int], frames: Mapping[str, Tensor], masks: Mapping[int, Tensor]
    ) -> Iterator[tuple[list[int], Decoded]]:
        """Advance the active tracks by one step.

        Exhaust the iterator: the query banks grow after its last batch.

        Args:
            active: numbers of the tracks that have this frame.
            frames: RGB uint8 [H, W, 3] of every camera that an active track needs.
            masks: bool [h, w] query mask of every stream that an active track needs.

        Yields:
            Tracks of a batch and what was decoded for them, a row each.
        """
        with torch.inference_mode(), self.model.autocast():
            cameras = CameraFeatures(self.model, frames)
            views = self._view_memories(active, cameras, masks)
        for batch in list(self._batches(active)):
            with torch.inference_mode(), self.model.autocast():
                decoded = self._advance(batch, cameras, views)
            yield batch, decoded
        self.memory.add_views(list(views), torch.stack(list(views.values())))
        for track in active:
            if self._steps[track] == self.tracks[track].length:
                self.memory.forget(track)
                self._pointers[track] = None

    def _view_memories(
        self, active: Sequence[int], cameras: CameraFeatures, masks: Mapping[int, Tensor]
    ) -> dict[int, Tensor]:
        """This step's memory [h*w, D] of each active stream's query view."""
        camera_of = {self.tracks[t].stream: self.tracks[t].query_camera for t in active}
        memories: dict[int, Tensor] = {}
        for streams in _chunks(sorted(camera_of), self.batch_tracks):
            resized = [self.model.query_mask(masks[s][None].to(self.model.device)) for s in streams]
            rows = cameras.index([camera_of[s] for s in streams])
            made = self.model.view_memory(cameras.features.coarse[rows], torch.cat(resized))
            memories.update(zip(streams, made.unbind(), strict=True))
        return memories

    def _batches(self, active: Sequence[int]) -> Iterator[list[int]]:
        """Tracks that attend to equally many entries and pointers, at most `batch_tracks` at a time."""
        groups: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for track in active:
            span = min(self.tracks[track].length, self.model.config.max_object_pointers)
            pointers = min(self._steps[track], span - 1)
            groups[self.memory.length(track), pointers, span].append(track)
        for tracks in groups.values():
            yield from _chunks(tracks, self.batch_tracks)

    def _advance(self, batch: list[int], cameras: CameraFeatures, views: Mapping[int, Tensor]) -> Decoded:
        specs = [self.tracks[track] for track in batch]
        target = cameras.features.rows(cameras.index([spec.target_camera for spec in specs]))
        prepared = cameras.prepared([spec.target_camera for spec in specs])
        fused = self.model.attend_view(prepared, torch.stack([views[spec.stream] for spec in specs]))
        if self.memory.length(batch[0]):
            fused = self.model.MV_MoE(self._attend_memory(batch, prepared), fused)
        decoded = self.model.decode(fused, target)
        memories = self.model.target_memory(target.coarse, decoded)
        self.memory.add_targets(batch, memories, decoded.predicted_iou)
        self._remember_pointers(batch, decoded)
        return decoded

    def _attend_memory(self, batch: list[int], prepared: PreparedTarget) -> Tensor:
        slots = self.model.slot_positions(self.memory.length(batch[0]), by_recency=self._by_recency)
        pointers = torch.stack([self._pointers[track] for track in batch])
        return self.model.attend_memory(
            prepared,
            self.memory.read(batch),
            torch.cat([slots, slots]),
            pointers,
            self.model.pointer_positions(pointers.shape[1], self.tracks[batch[0]].length),
        )

    def _remember_pointers(self, batch: list[int], decoded: Decoded) -> None:
        """Put this step's pointers first; the pointers of a track that lasts T steps reach min(T, 16) - 1 back."""
        for track, pointer in zip(batch, decoded.object_pointer, strict=True):
            self._steps[track] += 1
            reach = min(self.tracks[track].length, self.model.config.max_object_pointers) - 1
            held = self._pointers[track]
            kept = pointer[None] if held is None else torch.cat([pointer[None], held])
            self._pointers[track] = kept[:reach].clone()


def _chunks(items: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
