"""The packets of a video: where they are, at which decoding can start, and which frame each holds."""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, cast

import av
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

_REORDER_LIMIT = 32  # packets; no codec shows a frame more than 16 frames after its turn in the file


@dataclass(frozen=True, slots=True)
class PacketIndex:
    """The whole packets of a video in the order of the file, which is the order of decoding.

    Attributes:
        times: int64 [packets], when the packet is decoded, in the stream's time base.
        positions: int64 [packets], byte offset in the file.
        is_key: bool [packets], decoding can start here.
        shown_before: int64 [packets + 1], how many packets before this one are shown, not hidden by an edit list.
        cut_time: Decoding time of the first packet that is not wholly in the file, nothing lost is shown before it;
            None for a file that is whole, or whose loss cannot be told.
    """

    times: NDArray[np.int64]
    positions: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    shown_before: NDArray[np.int64]
    cut_time: int | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def shown_in_all(self) -> int:
        """Packets that are shown, which is the number of frames."""
        return int(self.shown_before[-1])

    def mean_interval(self) -> Fraction | None:
        """Give the mean time from a packet to the next, in the stream's time base; None where times do not tell."""
        if len(self) < 2 or self.times[-1] <= self.times[0]:
            return None
        return Fraction(int(self.times[-1] - self.times[0]), len(self) - 1)

    def is_regular(self) -> bool:
        """Say whether packets are at equal intervals, each to within half of one."""
        interval = self.mean_interval()
        if interval is None:
            return len(self) < 2
        regular = self.times[0] + np.arange(len(self)) * float(interval)
        return bool(np.abs(self.times - regular).max() <= float(interval) / 2)

    def key_for(self, shown: int) -> int:
        """Give the last key packet from which the frame with `shown` frames before it may be decoded.

        Frames that are stored after a key frame but shown before it are the exception: they need the one before.
        """
        keys = np.flatnonzero(self.is_key & (self.shown_before[:-1] <= shown))
        return int(keys[-1]) if keys.size else 0

    def key_before(self, packet: int) -> int:
        """Give the last key packet before a packet, 0 if there is none."""
        keys = np.flatnonzero(self.is_key[:packet])
        return int(keys[-1]) if keys.size else 0

    def place_of(self, shown: int) -> int:
        """Give the place of the frame with `shown` frames before it, if frames are stored as they are shown."""
        return int(np.searchsorted(self.shown_before, shown))

    def start_of(self, packet: int) -> int | None:
        """Give the byte offset of a packet; None past the last one, or if it is not known."""
        position = int(self.positions[packet]) if packet < len(self) else -1
        return position if position >= 0 else None

    def seek_time(self, key: int) -> int:
        """Give a time that leads to a key packet: the latest at which it is the last key packet.

        Seeking by its own decoding time leads to the one before where a container goes by presentation times.
        """
        following = np.flatnonzero(self.is_key[key + 1 :])
        return int(self.times[key + 1 + following[0]] - 1 if following.size else self.times[-1])

    def find(self, position: int | None, time: int | None) -> int | None:
        """Give the packet at a byte offset; a file may show the same bytes at several times."""
        if position is None:
            return None
        found = np.flatnonzero(self.positions == position)
        if found.size > 1:
            found = found[self.times[found] == time]
        return int(found[0]) if found.size == 1 else None


def can_decode(stream: VideoStream) -> bool:
    """Whether FFmpeg knows the codec of a stream; of one that it does not, PyAV gives a stream without a decoder."""
    return cast("VideoCodecContext | None", stream.codec_context) is not None


def index_packets(container: InputContainer, stream: VideoStream, file_size: int) -> PacketIndex:
    """List the packets that are wholly in the file, up to the first that is not.

    MP4 and MOV files have a list of all packets in their header, and nothing else is read. Other files
    (and fragmented MP4) are read once from front to back, without decoding.
    """
    if "mp4" in container.format.name and stream.frames > 0 and len(stream.index_entries) > 0:
        return _from_header(stream, file_size)
    return _from_packets(container, stream)


def _from_header(stream: VideoStream, file_size: int) -> PacketIndex:
    entries = [(e.timestamp, e.pos, e.size, e.is_keyframe, e.is_discard) for e in stream.index_entries]
    times, positions, sizes, keys, hidden = np.array(entries, np.int64).T
    beyond = np.flatnonzero(positions + sizes > file_size)
    whole = int(beyond[0]) if beyond.size else len(entries)
    cut_time = int(times[whole]) if beyond.size else None
    return _make_index(times[:whole], positions[:whole], keys[:whole], hidden[:whole], cut_time)


def _from_packets(container: InputContainer, stream: VideoStream) -> PacketIndex:
    rows: list[tuple[int, int, bool, bool]] = []
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.is_corrupt:
                break
            time = packet.dts if packet.dts is not None else packet.pts
            position = -1 if packet.pos is None else packet.pos
            rows.append((0 if time is None else time, position, packet.is_keyframe, packet.is_discard))
    except av.FFmpegError:
        pass  # a truncated file: what came before counts
    return _make_index(*np.array(rows, np.int64).reshape(-1, 4).T)


def _make_index(
    times: NDArray[np.int64],
    positions: NDArray[np.int64],
    keys: NDArray[np.int64],
    hidden: NDArray[np.int64],
    cut_time: int | None = None,
) -> PacketIndex:
    shown_before = np.concatenate([[0], np.cumsum(hidden == 0)])
    return PacketIndex(times, positions, keys != 0, shown_before, cut_time)


class NumberedPacket(NamedTuple):
    """A packet and its place.

    Attributes:
        place: Its place in the file's order.
        number: The number of its frame; None if the frame is not shown.
        packet: The packet itself.
    """

    place: int
    number: int | None
    packet: Packet[VideoStream]


def number_packets(
    packets: Iterable[Packet[VideoStream]], first: int, index: PacketIndex, hidden_at_start: int
) -> Iterator[NumberedPacket]:
    """Number packets in the file's order by when they are shown.

    A number is final once a later packet's decoding time has reached the presentation time, as nothing is shown
    before it is decoded; so only a few packets are read ahead.

    Args:
        packets: Packets of the stream from a key packet on.
        first: Place of the first of them.
        index: The file's packets; those past its end are left out.
        hidden_at_start: Shown packets at the beginning of the file that give no frame.
    """
    waiting: deque[tuple[int, Packet[VideoStream]]] = deque()
    unnumbered: list[tuple[int, int]] = []  # heap of (presentation time, place)
    numbers: dict[int, int | None] = {}
    next_number = int(index.shown_before[first]) - hidden_at_start
    for place, packet in enumerate(chain(packets, [None]), first):
        at_end = packet is None or packet.size == 0 or place >= len(index)
        decoded_at = math.inf
        if packet is not None and not at_end:
            decoded_at = _time_decoded(packet)
            waiting.append((place, packet))
            if packet.is_discard:
                numbers[place] = None
            else:
                heapq.heappush(unnumbered, (_time_shown(packet), place))
        while unnumbered and (unnumbered[0][0] <= decoded_at or len(unnumbered) > _REORDER_LIMIT):
            numbers[heapq.heappop(unnumbered)[1]] = next_number
            next_number += 1
        while waiting and waiting[0][0] in numbers:
            ready, its_packet = waiting.popleft()
            yield NumberedPacket(ready, numbers.pop(ready), its_packet)
        if at_end:
            return


def _time_shown(packet: Packet[VideoStream]) -> int:
    time = packet.pts if packet.pts is not None else packet.dts
    return 0 if time is None else time


def _time_decoded(packet: Packet[VideoStream]) -> float:
    return -math.inf if packet.dts is None else packet.dts
