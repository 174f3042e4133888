"""Long-term memory banks of many tracks at once: one of the query view, one of the target view (paper, section 3.3)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from lmeec.memory.policies import COMPRESSIONS, Compression, selection
from lmeec.memory.selected import SelectedMemory
from lmeec.memory.storage import Commit, Rows, Slots
from lmeec.model.transfer import index_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.config import MemoryConfig


class DualMemory(Protocol):
    """Both banks of every track of a take. The query bank belongs to a stream: an object seen by one query camera.

    A frame begins with `begin`; then banks are read, target memories and at last view memories added; `finish` ends it.

    Attributes:
        by_recency: whether position codes count from the newest entry (see `LMEEC.slot_positions`).
    """

    by_recency: bool

    def begin(self, tracks: Sequence[int]) -> None:
        """Make room for what a frame adds to tracks."""

    def length(self, track: int) -> int:
        """Entries in each of the track's banks."""

    def pointer_steps(self, track: int) -> list[int] | None:
        """Steps whose object pointers go with the entries, newest first; None for the latest that there are."""

    def read(self, tracks: Sequence[int]) -> Tensor:
        """Both banks of tracks that have the same length n: query bank, then target bank, [R, 2n, h*w, D]."""

    def add_targets(self, tracks: Sequence[int], memories: Tensor, predicted_iou: Tensor) -> Commit:
        """Prepare to store this step's target memories [R, h*w, D] with their predicted IoU [R]."""

    def add_views(self, streams: Sequence[int], memories: Tensor) -> Commit:
        """Prepare to store this step's view memories [Q, h*w, D], after every track of the step has been read."""

    def finish(self) -> None:
        """Start what must be known before the next frame."""

    def forget(self, track: int) -> None:
        """Free what only this track needs."""


def dual_memory(config: MemoryConfig, size: int, stream_of: Sequence[int], reach_of: Sequence[int]) -> DualMemory:
    """Empty banks.

    Args:
        config: names the policy.
        size: entries in a full bank.
        stream_of: the stream of each track.
        reach_of: how many steps back each track's object pointers reach.
    """
    if config.policy in COMPRESSIONS:
        by_recency = config.policy == "fifo"
        return CompressedMemory(COMPRESSIONS[config.policy], size, stream_of, by_recency=by_recency)
    return SelectedMemory(selection(config), size, stream_of, reach_of)


class NoMemory:
    """See `DualMemory`. Holds nothing, for steps that are each by themselves."""

    by_recency = False

    def begin(self, tracks: Sequence[int]) -> None:
        """See `DualMemory`."""

    def length(self, track: int) -> int:
        """See `DualMemory`."""
        return 0

    def pointer_steps(self, track: int) -> list[int] | None:
        """See `DualMemory`."""
        return []

    def read(self, tracks: Sequence[int]) -> Tensor:
        """See `DualMemory`."""
        raise ValueError("nothing is remembered")

    def add_targets(self, tracks: Sequence[int], memories: Tensor, predicted_iou: Tensor) -> Commit:
        """See `DualMemory`."""
        return _nothing

    def add_views(self, streams: Sequence[int], memories: Tensor) -> Commit:
        """See `DualMemory`."""
        return _nothing

    def finish(self) -> None:
        """See `DualMemory`."""

    def forget(self, track: int) -> None:
        """See `DualMemory`."""


def _nothing() -> None:
    pass


class MemoryBank:
    """A fixed number of entries for each of many rows, in one tensor; a full row is compressed as it grows.

    Args:
        size: entries in a full bank.
        compression: shortens full banks by one.

    Attributes:
        lengths: entries of each row.
    """

    def __init__(self, size: int, compression: Compression) -> None:
        self.size = size
        self.compression = compression
        self.lengths: Counter[int] = Counter()
        self._slots: Slots[int] = Slots()
        self._entries = Rows(size)

    def open(self, rows: Sequence[int]) -> None:
        """Make room for rows."""
        self._slots.take(rows)

    def add(self, rows: Sequence[int], memories: Tensor) -> Commit:
        """Prepare to append `memories` [R, P, D] to open rows, compressing those that are full."""
        entries = self._entries.sized(self._slots.most, memories)
        full = [i for i, row in enumerate(rows) if self.lengths[row] == self.size]
        growing = [i for i, row in enumerate(rows) if self.lengths[row] < self.size]
        writes: list[tuple[Tensor, Tensor, Tensor]] = []
        if full:
            slots = self._index([rows[i] for i in full], memories)
            grown = torch.cat([entries.index_select(0, slots), _some(memories, full)[:, None]], dim=1)
            writes.append((entries, slots, self.compression(grown)))
        if growing:
            chosen = [rows[i] for i in growing]
            places = [self.size * self._slots[row] + self.lengths[row] for row in chosen]
            writes.append((entries.flatten(0, 1), index_on(memories.device, places), _some(memories, growing)))

        def commit() -> None:
            for tensor, index, values in writes:
                tensor.index_copy_(0, index, values)
            self.lengths.update(rows[i] for i in growing)

        return commit

    def read(self, rows: Sequence[int]) -> Tensor:
        """Entries of rows of one length n, oldest first, [R, n, P, D]."""
        (length,) = {self.lengths[row] for row in rows}
        entries = self._entries.tensor[:, :length]
        return entries.index_select(0, self._index(rows, entries))

    def clear(self, row: int) -> None:
        """Free a row."""
        self._slots.free(row)
        self.lengths.pop(row, None)

    def _index(self, rows: Sequence[int], like: Tensor) -> Tensor:
        return index_on(like.device, self._slots.of(rows))


class CompressedMemory:
    """Banks that are compressed on their own, so that all targets of a stream share its query bank."""

    def __init__(self, policy: Compression, size: int, stream_of: Sequence[int], *, by_recency: bool) -> None:
        self.by_recency = by_recency
        self._stream_of = list(stream_of)
        self._query = MemoryBank(size, policy)
        self._target = MemoryBank(size, policy)
        self._users = Counter(stream_of)

    def begin(self, tracks: Sequence[int]) -> None:
        """See `DualMemory`."""
        self._query.open([self._stream_of[track] for track in tracks])
        self._target.open(tracks)

    def length(self, track: int) -> int:
        """See `DualMemory`."""
        return self._target.lengths[track]

    def pointer_steps(self, track: int) -> list[int] | None:
        """See `DualMemory`."""
        return None

    def read(self, tracks: Sequence[int]) -> Tensor:
        """See `DualMemory`."""
        query = self._query.read([self._stream_of[track] for track in tracks])
        return torch.cat([query, self._target.read(tracks)], dim=1)

    def add_targets(self, tracks: Sequence[int], memories: Tensor, predicted_iou: Tensor) -> Commit:
        """See `DualMemory`."""
        return self._target.add(tracks, memories)

    def add_views(self, streams: Sequence[int], memories: Tensor) -> Commit:
        """See `DualMemory`."""
        return self._query.add(streams, memories)

    def finish(self) -> None:
        """See `DualMemory`."""

    def forget(self, track: int) -> None:
        """See `DualMemory`."""
        self._target.clear(track)
        stream = self._stream_of[track]
        self._users[stream] -= 1
        if not self._users[stream]:
            self._query.clear(stream)


def _some(memories: Tensor, rows: list[int]) -> Tensor:
    if len(rows) == len(memories):
        return memories
    return memories.index_select(0, index_on(memories.device, rows))
