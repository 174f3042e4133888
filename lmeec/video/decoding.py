"""Decoding a run of packets up to the frames that are wanted."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import av

from lmeec.video.frames import ReadingCounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

    from lmeec.video.h264 import DisposablePictures
    from lmeec.video.packets import NumberedPacket


class UndecodableError(Exception):
    """A run of packets does not give a frame; the message says why, without naming the file."""


class OrderError(ValueError):
    """Frames are asked for in another order than the ascending one: the caller's fault, and not the video's."""


class Wanted:
    """The frame numbers that a caller reads, with a look ahead.

    Args:
        indices: Frame numbers, ascending.
    """

    def __init__(self, indices: Iterable[int]) -> None:
        self._source = iter(indices)
        self._ahead: deque[int] = deque()
        self._last = -1

    def next(self) -> int | None:
        """Take the next number; None at the end.

        Raises:
            ValueError: The numbers are negative or not ascending.
        """
        if self._ahead or self._pull():
            return self._ahead.popleft()
        return None

    def peek(self) -> int | None:
        """Give the number that `next` will take; None at the end.

        Raises:
            ValueError: As for `next`.
        """
        return self._ahead[0] if self._ahead or self._pull() else None

    def __contains__(self, number: int) -> bool:
        while self._last < number and self._pull():
            pass
        return number in self._ahead

    def _pull(self) -> bool:
        value = next(self._source, None)
        if value is None:
            return False
        if value <= self._last:
            raise OrderError(f"frame numbers must be ascending from 0 on: {value} comes after {self._last}")
        self._last = int(value)
        self._ahead.append(self._last)
        return True


class DecodingRun:
    """Decoding without a break from one packet on.

    Packets of frames that nobody wants and nothing refers to are not decoded.

    Args:
        packets: Numbered packets from a key packet on.
        first_number: The first frame that this run can give; frames that are shown earlier are passed over, as
            they may refer to packets before the key packet.
        codec: The decoder, flushed.
        disposable: Tells packets to which nothing refers.
        counting: Number frames as they come, from 0 on, and not as their packets are numbered; for files whose times
            do not tell the order of frames. The packets must be all from the first on.
        counts: Is added to.

    Attributes:
        next_place: Place in the file of the next packet to be decoded.
    """

    def __init__(
        self,
        packets: Iterable[NumberedPacket],
        first_number: int,
        codec: VideoCodecContext,
        disposable: DisposablePictures,
        counting: bool = False,
        counts: ReadingCounts | None = None,
    ) -> None:
        self._packets = iter(packets)
        self._first_number = first_number
        self._codec = codec
        self._disposable = disposable
        self._last = first_number - 1
        self._counter = count() if counting else None
        self._counts = counts or ReadingCounts()
        self._begun = False
        self._left_out: set[int] = set()
        self._given: set[int] = set()
        self._ends_after: int | None = None
        self._single_thread = codec.thread_count == 1
        self._end: UndecodableError | None = None
        self._ready: deque[tuple[int, VideoFrame]] = deque()
        self.next_place = 0

    def can_reach(self, number: int) -> bool:
        """Say whether a frame is still to come."""
        return number > self._last and number not in self._left_out

    def advance(self, number: int, wanted: Wanted, *, ends: bool = False) -> VideoFrame:
        """Decode up to a frame.

        Args:
            number: The frame's number.
            wanted: Numbers that will be asked for after it.
            ends: Whether nothing will be asked of this run after it. Then the decoder is emptied as soon as it has what
                the frame is made of, and not given the packets after it, of which it holds back some a thread.

        Raises:
            UndecodableError: The frame, or one before it in this run, is damaged or does not come.
        """
        if not self.can_reach(number):
            raise UndecodableError(f"decoding starts after frame {number}")
        self._ends_after = number if ends and self._counter is None else None
        while self._last < number:
            came, frame = self.next_frame(wanted, number)
            if came < self._first_number:
                continue
            if not self._begun and self._first_number > 0:
                self._last = max(self._last, min(came, number) - 1)  # a picture may take several frames to refresh
            self._begun = True
            due = next((due for due in range(self._last + 1, came + 1) if due not in self._left_out), None)
            if came != due:
                raise self._end or UndecodableError("frames are missing or come in another order than their times say")
            if frame.is_corrupt:
                raise UndecodableError(f"frame {came} is damaged")
            self._left_out.difference_update(range(self._last + 1, came))
            self._given.difference_update(range(self._last + 1, came + 1))
            self._last = came
        return frame

    def next_frame(self, wanted: Wanted, number: int | None = None) -> tuple[int, VideoFrame]:
        """Decode the next frame that comes, whatever its number; give its number and the frame.

        Raises:
            UndecodableError: A packet is damaged, or there are no more.
        """
        while not self._ready:
            self._feed(wanted, number)
        return self._ready.popleft()

    def _feed(self, wanted: Wanted, number: int | None) -> None:
        """Decode one more packet; after the last, or a damaged one, what the decoder still holds."""
        if self._end is not None:
            raise self._end
        if self._ends_after is not None and self._has_all_up_to(self._ends_after):
            self._finish("the decoder did not give it")
            return
        try:
            numbered = next(self._packets, None)
        except av.FFmpegError as error:
            self._finish(f"the file cannot be read on ({error.strerror})")
            return
        if numbered is None:
            self._finish("the video ends before it")
            return
        self.next_place = numbered.place + 1
        self._counts.bytes_read += numbered.packet.size
        if self._counter is None and self._can_leave_out(numbered, wanted, number):
            return
        if numbered.number is not None:
            numbered.packet.pts = numbered.number  # the decoder hands it on to the frame
            self._given.add(numbered.number)
        try:
            self._take(self._codec.decode(numbered.packet))
        except av.FFmpegError as error:
            # With several threads the damaged packet is one of the last few, and what came after it is not safe.
            self._finish(f"damaged data at frame {numbered.number}: {error.strerror}", drain=self._single_thread)

    def _has_all_up_to(self, number: int) -> bool:
        """Whether the decoder was given all that comes of this run up to a frame, and the frame itself."""
        first = max(self._last, self._first_number - 1) + 1
        return number in self._given and all(
            one in self._given or one in self._left_out for one in range(first, number)
        )

    def _finish(self, reason: str, drain: bool = True) -> None:
        self._end = UndecodableError(reason)
        if drain:
            with suppress(av.FFmpegError):
                self._take(self._codec.decode(None))

    def _take(self, frames: Iterable[VideoFrame]) -> None:
        for frame in frames:
            number = frame.pts if self._counter is None else next(self._counter)
            assert number is not None  # every packet was given one
            self._counts.frames_decoded += 1
            self._ready.append((number, frame))

    def _can_leave_out(self, numbered: NumberedPacket, wanted: Wanted, number: int | None) -> bool:
        if numbered.number is not None and (numbered.number == number or numbered.number in wanted):
            return False
        if numbered.packet not in self._disposable:
            return False
        if numbered.number is not None:
            self._left_out.add(numbered.number)
        return True
