"""Banks of whole steps, chosen on the host for both views by what the target bank knows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lmeec.memory.storage import Commit, Rows, Slots
from lmeec.model.transfer import Fetched, index_on, to_device, to_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from lmeec.memory.policies import Selection

Key = tuple[int, int]
"""A track or stream, and its step."""


class _Memories:
    """Memories [P, D] of one view: those that banks hold on the device, those that may be chosen again on the host."""

    def __init__(self) -> None:
        self._slots: Slots[Key] = Slots()
        self._rows = Rows()
        self._host: dict[Key, Tensor] = {}
        self._leaving: tuple[list[Key], Fetched] | None = None

    def open(self, keys: Sequence[Key]) -> None:
        """Make room for memories."""
        self._slots.take(keys)

    def write(self, keys: Sequence[Key], memories: Tensor) -> Commit:
        """Prepare to store memories [R, P, D] in the room made for them."""
        rows = self._rows.sized(self._slots.most, memories)
        index = index_on(memories.device, self._slots.of(keys))

        def commit() -> None:
            rows.index_copy_(0, index, memories)

        return commit

    def read(self, keys: Sequence[Key]) -> Tensor:
        """Memories on the device, [R, P, D]."""
        rows = self._rows.tensor
        return rows.index_select(0, index_on(rows.device, self._slots.of(keys)))

    def hold(self, wanted: set[Key], *, offload: bool) -> None:
        """Have these, and no others, on the device.

        Args:
            wanted: all of them stored.
            offload: move the others to the host; else they are gone.
        """
        self._settle()
        gone = [key for key in self._slots if key not in wanted]
        moved = [key for key in gone if offload and key not in self._host]
        leaving = (moved, to_host(self.read(moved))) if moved else None
        for key in gone:
            self._slots.free(key)
        self._leaving = leaving
        back = sorted(key for key in wanted if key not in self._slots)
        if back:
            self._settle()
            self._slots.take(back)
            values = torch.stack([self._host[key] for key in back])
            self.write(back, to_device(values, self._rows.tensor.device))()

    def drop(self, number: int) -> None:
        """Forget all of a track's or stream's."""
        self._settle()
        for key in [key for key in self._slots if key[0] == number]:
            self._slots.free(key)
        for key in [key for key in self._host if key[0] == number]:
            del self._host[key]

    def _settle(self) -> None:
        """Copy what has come out of the buffer it came in, which is used again."""
        if self._leaving is not None:
            keys, fetched = self._leaving
            self._host |= {key: memory.clone() for key, memory in zip(keys, fetched.get(), strict=True)}
            self._leaving = None


@dataclass
class _Track:
    """What is known of a track's steps.

    Attributes:
        views: the stream's step at each step.
        summaries: spatial mean of each step's target memory, float32 [D].
        predicted_iou: of each step.
        chosen: steps, see `Selection`.
    """

    views: list[int] = field(default_factory=list)
    summaries: list[NDArray[np.float32]] = field(default_factory=list)
    predicted_iou: list[float] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)


class SelectedMemory:
    """See `DualMemory`. A frame costs one small copy to the host for all tracks, which is waited for at the next.

    Where a step may be chosen again at any time (`kmeans`), those that are not chosen are moved to the host's memory,
    which therefore grows with the take: by a memory a step for each track, and one for each stream.

    Args:
        policy: chooses.
        size: entries in a full bank.
        stream_of: the stream of each track.
        reach_of: how many steps back each track's object pointers reach.
    """

    def __init__(self, policy: Selection, size: int, stream_of: Sequence[int], reach_of: Sequence[int]) -> None:
        self.by_recency = policy.by_recency
        self._policy = policy
        self._size = size
        self._stream_of, self._reach_of = list(stream_of), list(reach_of)
        self._users = Counter(stream_of)
        self._tracks: dict[int, _Track] = {}
        self._stream_steps: Counter[int] = Counter()
        self._views, self._targets = _Memories(), _Memories()
        self._facts: list[tuple[Sequence[int], Tensor]] = []
        self._coming: tuple[list[int], Fetched] | None = None

    def begin(self, tracks: Sequence[int]) -> None:
        """See `DualMemory`."""
        self._choose()
        for track in tracks:
            self._tracks.setdefault(track, _Track())
        self._targets.open([(track, len(self._tracks[track].views)) for track in tracks])
        self._views.open([(s, self._stream_steps[s]) for s in (self._stream_of[track] for track in tracks)])

    def length(self, track: int) -> int:
        """See `DualMemory`."""
        return len(self._entries(track))

    def pointer_steps(self, track: int) -> list[int] | None:
        """See `DualMemory`."""
        if not self._policy.leads_pointers:
            return None
        self._choose()
        return self._tracks[track].chosen[::-1] if track in self._tracks else []

    def read(self, tracks: Sequence[int]) -> Tensor:
        """See `DualMemory`."""
        steps = [(track, step) for track in tracks for step in self._entries(track)]
        views = self._views.read([self._view(track, step) for track, step in steps])
        targets = self._targets.read(steps)
        return torch.cat([both.unflatten(0, (len(tracks), -1)) for both in (views, targets)], dim=1)

    def add_targets(self, tracks: Sequence[int], memories: Tensor, predicted_iou: Tensor) -> Commit:
        """See `DualMemory`."""
        facts = torch.cat([memories.float().mean(1), predicted_iou.float()[:, None]], dim=1)
        write = self._targets.write([(track, len(self._tracks[track].views)) for track in tracks], memories)

        def commit() -> None:
            write()
            self._facts.append((tracks, facts))
            for track in tracks:
                self._tracks[track].views.append(self._stream_steps[self._stream_of[track]])

        return commit

    def add_views(self, streams: Sequence[int], memories: Tensor) -> Commit:
        """See `DualMemory`."""
        write = self._views.write([(stream, self._stream_steps[stream]) for stream in streams], memories)

        def commit() -> None:
            write()
            self._stream_steps.update(streams)

        return commit

    def finish(self) -> None:
        """See `DualMemory`."""
        self._coming = (
            [track for tracks, _ in self._facts for track in tracks],
            to_host(torch.cat([facts for _, facts in self._facts])),
        )
        self._facts = []

    def forget(self, track: int) -> None:
        """See `DualMemory`."""
        self._tracks.pop(track, None)
        self._targets.drop(track)
        stream = self._stream_of[track]
        self._users[stream] -= 1
        if not self._users[stream]:
            self._views.drop(stream)

    def _entries(self, track: int) -> list[int]:
        """Steps in the track's banks."""
        self._choose()
        return self._tracks[track].chosen[-self._size :] if track in self._tracks else []

    def _view(self, track: int, step: int) -> Key:
        return self._stream_of[track], self._tracks[track].views[step]

    def _choose(self) -> None:
        """Learn of the last frame's steps, and choose anew for the tracks that had one."""
        if self._coming is None:
            return
        tracks, fetched = self._coming
        self._coming = None
        for track, facts in zip(tracks, fetched.get().numpy().copy(), strict=True):
            if (state := self._tracks.get(track)) is None:
                continue  # it has ended
            state.summaries.append(facts[:-1])
            state.predicted_iou.append(float(facts[-1]))
            state.chosen = self._policy(
                np.stack(state.summaries), state.predicted_iou, self._size, self._reach_of[track]
            )
        self._hold()

    def _hold(self) -> None:
        """Have on the device what banks hold; where policies forget, also the last step, which may be chosen yet."""
        steps = [(track, step) for track, state in self._tracks.items() for step in self._held(track, state)]
        self._targets.hold(set(steps), offload=not self._policy.forgets)
        self._views.hold({self._view(*step) for step in steps}, offload=not self._policy.forgets)

    def _held(self, track: int, state: _Track) -> Iterable[int]:
        entries = self._entries(track)
        if not self._policy.forgets or not state.views:
            return entries
        return {*entries, len(state.views) - 1}
