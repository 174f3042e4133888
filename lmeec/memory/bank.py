"""Long-term memory banks of many tracks at once: one of the query view, one of the target view (paper, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from lmeec.memory.policies import COMPRESSIONS, Compression, Selection, selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.config import MemoryConfig


class DualMemory(Protocol):
    """Both banks of every track of a take. The query bank belongs to a stream: an object seen by one query camera."""

    def length(self, track: int) -> int:
        """Entries in each of the track's banks."""

    def read(self, tracks: Sequence[int]) -> Tensor:
        """Both banks of tracks that have the same length n: query bank, then target bank, [R, 2n, h*w, D]."""

    def add_targets(self, tracks: Sequence[int], memories: Tensor, predicted_iou: Tensor) -> None:
        """Store this step's target memories [R, h*w, D] with their predicted IoU [R]."""

    def add_views(self, streams: Sequence[int], memories: Tensor) -> None:
        """Store this step's view memories [Q, h*w, D], after every track of the step has been read."""

    def forget(self, track: int) -> None:
        """Free what only this track needs."""


def dual_memory(config: MemoryConfig, size: int, stream_of: Sequence[int]) -> DualMemory:
    """Empty banks.

    Args:
        config: names the policy.
        size: entries in a full bank.
        stream_of: the stream of each track.
    """
    if config.policy in COMPRESSIONS:
        return CompressedMemory(COMPRESSIONS[config.policy], size, stream_of)
    return SelectedMemory(selection(config), size, stream_of)


class MemoryBank:
    """A fixed number of entries for each of many rows; a full row is compressed as it grows.

    Args:
        rows: how many banks.
        size: entries in a full bank.
        compression: shortens full banks by one.
    """

    def __init__(self, rows: int, size: int, compression: Compression) -> None:
        self.size = size
        self.compression = compression
        self.lengths = [0] * rows
        self._entries: dict[int, Tensor] = {}

    def add(self, rows: Sequence[int], memories: Tensor) -> None:
        """Append `memories` [R, P, D] to the rows, compressing those that are full."""
        full = [i for i, row in enumerate(rows) if self.lengths[row] == self.size]
        if full:
            old = torch.stack([self._entries[rows[i]] for i in full])
            grown = torch.cat([old, memories[full][:, None]], dim=1)
            for i, entries in zip(full, self.compression(grown).unbind(), strict=True):
                self._entries[rows[i]] = entries
        for i in sorted(set(range(len(rows))) - set(full)):
            row, new = rows[i], memories[i : i + 1]
            held = self._entries.get(row)
            self._entries[row] = new.clone() if held is None else torch.cat([held, new])
            self.lengths[row] += 1

    def read(self, rows: Sequence[int]) -> Tensor:
        """Entries of rows of one length n, oldest first, [R, n, P, D]."""
        return torch.stack([self._entries[row] for row in rows])

    def clear(self, row: int) -> None:
        """Free a row."""
        self._entries.pop(row, None)
        self.lengths[row] = 0


class CompressedMemory:
    """Banks that are compressed on their own, so that all targets of a stream share its query bank."""

    def __init__(self, policy: Compression, size: int, stream_of: Sequence[int]) -> None:
        self._stream_of = list(stream_of)
        self._query = MemoryBank(max(stream_of, default=-1) + 1, size, policy)
        self._target = MemoryBank(len(stream_of), size, policy)
        self._users = [self._stream_of.count(stream) for stream in range(len(self._query.lengths))]

    def length(self, track: int) -> int:
        """See `DualMemory`."""
        return self._target.lengths[track]

    def read(self, tracks: Sequence[int]) -> Tensor:
        """See `DualMemory`."""
        query = self._query.read([self._stream_of[track] for track in tracks])
        return torch.cat([query, self._target.read(tracks)], dim=1)

    def add_targets(self, tracks: Sequence[int], memories: Tensor, predicted_iou: Tensor) -> None:
        """See `DualMemory`."""
        self._target.add(tracks, memories)

    def add_views(self, streams: Sequence[int], memories: Tensor) -> None:
        """See `DualMemory`."""
        self._query.add(streams, memories)

    def forget(self, track: int) -> None:
        """See `DualMemory`."""
        self._target.clear(track)
        stream = self._stream_of[track]
        self._users[stream] -= 1
        if not self._users[stream]:
            self._query.clear(stream)


@dataclass
class _Step:
    """One step of a track; its view memory comes after all tracks of the frame were read."""

    view: Tensor | None
    target: Tensor
    summary: Tensor
    predicted_iou: float


class SelectedMemory:
    """Banks of whole steps, chosen for both views by what the target bank knows."""

    def __init__(self, policy: Selection, size: int, stream_of: Sequence[int]) -> None:
        self._policy = policy
        self._size = size
        self._stream_of = list(stream_of)
        self._stored: list[list[_Step]] = [[] for _ in stream_of]
        self._chosen: list[list[_Step]] = [[] for _ in stream_of]

    def length(self, track: int) -> int:
        """See `DualMemory`."""
        return len(self._chosen[track])

    def read(self, tracks: Sequence[int]) -> Tensor:
        """See `DualMemory`."""
        return torch.stack([self._read(self._chosen[track]) for track in tracks])

    def _read(self, steps: list[_Step]) -> Tensor:
        views = [step.view for step in steps if step.view is not None]
        return torch.stack(views + [step.target for step in steps])

    def add_targets(self, tracks: Sequence[int], memories: Tensor, predicted_iou: Tensor) -> None:
        """See `DualMemory`."""
        # One transfer for the whole batch; cloned rows do not keep the batch alive.
        summaries = memories.float().mean(1).cpu()
        for i, track in enumerate(tracks):
            stored = self._stored[track]
            stored.append(_Step(None, memories[i].clone(), summaries[i], float(predicted_iou[i])))
            indices = self._policy(
                torch.stack([step.summary for step in stored]).numpy(),
                [step.predicted_iou for step in stored],
                self._size,
            )
            self._chosen[track] = [stored[i] for i in indices]
            if self._policy.forgets:
                self._stored[track] = self._chosen[track]

    def add_views(self, streams: Sequence[int], memories: Tensor) -> None:
        """See `DualMemory`."""
        # Cloned once a stream, for all its tracks: a row by itself does not keep the others alive.
        views = {stream: memory.clone() for stream, memory in zip(streams, memories, strict=True)}
        for track, stream in enumerate(self._stream_of):
            stored = self._stored[track]
            if stream in views and stored and stored[-1].view is None:
                stored[-1].view = views[stream]

    def forget(self, track: int) -> None:
        """See `DualMemory`."""
        self._stored[track] = []
        self._chosen[track] = []
