"""Frames of a video file by number, exact and without decoding more than needed.

Frame `i` is the i-th frame of a plain decode from front to back. Its number cannot be computed from a time:
time stamps may start anywhere and vary, edit lists hide frames, and frames are stored in another order than they
are shown in. Instead every packet is numbered before it is decoded: by the number of shown packets before the
key frame at which decoding starts, which the container's index tells, plus its rank by presentation time.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar, cast

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.reformatter import Interpolation, VideoReformatter

from lmeec.errors import DataError
from lmeec.files.reading import check_regular, in_short, understanding
from lmeec.masks import MAX_PIXELS
from lmeec.video.boxes import check_samples
from lmeec.video.decoding import DecodingRun, OrderError, UndecodableError, Wanted
from lmeec.video.frames import ClosedAfterUse, Detailed, ReadingCounts, check_frame_size, detail_size
from lmeec.video.h264 import DisposablePictures
from lmeec.video.packets import NumberedPacket, can_decode, index_packets, number_packets
from lmeec.video.source import VideoSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from fractions import Fraction

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from lmeec.files.places import Place

T = TypeVar("T")

_ORDER_SAMPLE = 32  # packets or frames; more than can be out of order at once
_SAID_AND_SEEN = 1e-3  # relative difference of two frame rates that are the same but for rounding
_READ_BY_FFMPEG = 2**15  # bytes at a time, whatever is needed of them
_NUMBERED_AHEAD = 5  # packets that are read before it is known which frame one holds, as encoders reorder them
_WORTH_A_JUMP = 8  # packets; going on costs less than emptying the decoder for fewer
_OPTIONS = {"max_pixels": str(MAX_PIXELS)}
_WHAT, _MEND = "a video", "download it again"
_SCALING = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


class VideoReader(ClosedAfterUse):
    """Frames of one video file by number; a `FrameReader`.

    Holds the open file and a few frames, however long the video is. Not to be shared between threads.

    Args:
        path: A video in any container and codec that FFmpeg reads. Of an MP4 or MOV file that a URL names, the index
            and the packets are read that are needed; of others, all.
        size: Height and width that frames are resized to while they are converted from YUV, with a filter as
            wide as the reduction (antialiased); None keeps the video's own.
        threads: Decoding threads; 0 takes one a core.
        gpu: Decode on an NVIDIA GPU where there is one that can decode this video, otherwise on the CPU.
        upright: Turn frames as players do where the file says so, as phones' do that were held upright.

    Attributes:
        path: The file.
        height: Rows of the video in pixels.
        width: Columns of the video in pixels.
        num_frames: Frames that can be decoded; a truncated file counts what is there.
        frame_rate: Frames a second on average, as the container says, or as the packets' times do where that is
            another; None if neither does.
        has_constant_rate: Whether frames come at equal intervals.
        notice: None; what to tell the user of a reader that is none of the file's own frames.
        counts: What reading has taken so far.

    Raises:
        DataError: The file is missing, not a video, holds no frames, or frames of an absurd size.

    Example:
        >>> from pathlib import Path
        >>> videos = Path("egoexo4d/takes/synth_playroom_3_0000/frame_aligned_videos")
        >>> with VideoReader(videos / "gp01.mp4", size=(270, 480)) as video:
        ...     for index, image in video.read(range(0, video.num_frames, 8)):
        ...         print(index, image.shape)
        0 (270, 480, 3)
        8 (270, 480, 3)
        16 (270, 480, 3)
    """

    def __init__(
        self,
        path: Place,
        size: tuple[int, int] | None = None,
        threads: int = 0,
        *,
        gpu: bool = False,
        upright: bool = False,
    ) -> None:
        self.path = path
        self._turns = 0  # quarters, counterclockwise
        self.notice: str | None = None
        self.counts = ReadingCounts()
        self._size = size
        self._gpu = gpu
        self._threads = threads
        self._run: DecodingRun | None = None
        self._reformatter = VideoReformatter()
        check_regular(path, DataError)
        with understanding(path, DataError, _WHAT, _MEND):
            self._source = VideoSource(path)
        with self._reading():
            try:
                self._open(threads)
            except BaseException:
                self._source.close()
                raise
            try:
                self._look_through()
                if upright:
                    self._turn()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Name the file in errors of the block; one of a store comes before what FFmpeg made of it."""
        with understanding(self.path, DataError, _WHAT, _MEND, but=(OrderError,)):
            try:
                yield
            except Exception:
                self._source.check()
                raise
            self._source.check()

    def _look_through(self) -> None:
        """Find out what there is to read."""
        self.height = self._stream.codec_context.height
        self.width = self._stream.codec_context.width
        check_frame_size(self.path, self.height, self.width)
        self._index = index_packets(self._container, self._stream, self._source.size)
        self._disposable = DisposablePictures.of(self._stream)
        self._counting = False
        self._hidden_at_start = 0
        self._hidden_at_start = self._count_undecodable_at_start()
        self._counting = not self._times_tell_order()
        self.frame_rate = self._rate()
        self.has_constant_rate = self._index.is_regular()
        self.num_frames = self._count_frames()
        if self.num_frames <= 0:
            raise DataError(f"{self.path}: holds no frame that can be decoded; {_MEND}")

    def _turn(self) -> None:
        """See how frames are to be turned; what is no quarter of a turn is left as it is."""
        turns, rest = divmod(self._find(0, Wanted([0])).rotation, 90)
        if rest == 0 and turns % 4:
            self._turns = turns % 4
            if self._turns % 2:
                self.height, self.width = self.width, self.height

    def has_frame(self, index: int) -> bool:
        """Say whether a frame can be read."""
        return 0 <= index < self.num_frames

    def file_frame(self, index: int) -> int:
        """Give the number that a frame has in the file: its own."""
        return index

    def decodes_from(self, index: int) -> int:
        """Give the place in the file of the key packet at which decoding starts for a frame."""
        return 0 if self._counting else self._index.key_for(index + self._hidden_at_start)

    def frame_times(self) -> NDArray[np.float64] | None:
        """Read when each frame is shown, in seconds from the first on; reads the file once from front to back.

        Returns:
            float64 [num_frames], ascending; None where the packets' times do not tell.

        Raises:
            DataError: The file cannot be read on.
        """
        with self._reading():
            return self._read_times()

    def _read_times(self) -> NDArray[np.float64] | None:
        if self._counting or self._stream.time_base is None:
            return None
        times = np.full(self.num_frames, np.nan)
        _, packets = self._packets_from(0)
        self._run = None
        for _, number, packet in packets:
            if number is not None and 0 <= number < self.num_frames and packet.pts is not None:
                times[number] = packet.pts * float(self._stream.time_base)
        if np.isnan(times).any() or not (np.diff(times) > 0).all():
            return None
        return np.asarray(times - times[0])

    def read(self, indices: Iterable[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Decode frames as the iterator is advanced.

        Goes on from the last frame read, or seeks to the nearest key frame where that leaves less to decode.

        Args:
            indices: Frame numbers, ascending. A few of them are taken ahead of what is yielded.

        Yields:
            Frame number and image, uint8 RGB [height, width, 3].

        Raises:
            DataError: A frame is past the end or cannot be decoded; the message names file and frame.
            ValueError: The numbers are negative or not ascending.
        """
        return self._read(indices, lambda frame: self._to_rgb(frame, self._size))

    def read_detailed(self, indices: Iterable[int], longer_side: int) -> Iterator[tuple[int, Detailed]]:
        """Decode frames as the iterator is advanced, each once for both sizes; see `FrameReader.read_detailed`."""
        whole = self.height, self.width
        size = None if (found := detail_size(*whole, longer_side)) == whole else found
        return self._read(indices, lambda frame: Detailed(self._to_rgb(frame, self._size), self._to_rgb(frame, size)))

    def _read(self, indices: Iterable[int], convert: Callable[[VideoFrame], T]) -> Iterator[tuple[int, T]]:
        wanted = Wanted(indices)
        while (index := wanted.next()) is not None:
            if index >= self.num_frames:
                raise DataError(
                    f"{self.path}: frame {index} is asked for, the video has {self.num_frames} frames "
                    f"(0 to {self.num_frames - 1}); if it was cut short, download it again"
                )
            with self._reading():
                found = convert(self._find(index, wanted))
            yield index, found

    def close(self) -> None:
        """Let go of the file and the decoder."""
        self._run = None
        self._container.close()
        self._source.close()

    def _open(self, threads: int) -> None:
        check_samples(self._source)
        try:
            self._container = self._open_on_gpu() or self._source.open(_OPTIONS)
        except (av.FFmpegError, ValueError) as error:
            said = in_short(getattr(error, "strerror", None) or str(error))
            raise DataError(
                f"{self.path}: is not a video that can be read ({said}). A download that was cut short may have lost "
                "the index at its end; download it again"
            ) from error
        try:
            self._stream = self._video_stream()
            self._stream.thread_type = "AUTO"
            self._stream.codec_context.thread_count = self._threads_now = threads
        except BaseException:
            self._container.close()
            raise

    def _video_stream(self) -> VideoStream:
        if not self._container.streams.video:
            raise DataError(f"{self.path}: holds no video, only other streams; {_MEND}")
        stream = self._container.streams.video[0]
        if not can_decode(stream):
            raise DataError(f"{self.path}: its video is of a codec that is not known here, or damaged; {_MEND}")
        return stream

    def _open_on_gpu(self) -> InputContainer | None:
        if not self._gpu:
            return None
        try:
            return self._source.open(_OPTIONS, HWAccel("cuda", allow_software_fallback=True))
        except (av.FFmpegError, NotImplementedError, RuntimeError):
            self._gpu = False  # no such GPU, or a file at fault, which the CPU's decoder names
            return None

    def _rate(self) -> Fraction | None:
        """Frames a second: a container counts the time after the last frame too, or does not know it."""
        said, interval, unit = self._stream.average_rate, self._index.mean_interval(), self._stream.time_base
        if interval is None or unit is None:
            return said or None
        seen = 1 / (interval * unit)
        return said if said and abs(said / seen - 1) < _SAID_AND_SEEN else seen

    def _count_undecodable_at_start(self) -> int:
        """Count packets that decode to nothing because the video was cut out of a longer one.

        They refer to frames before the cut. Only a first packet that is not shown first tells of them.
        """
        first, packets = self._packets_from(0)
        if first is None or (self._index.is_key[0] and first.number in (0, None)):
            return 0
        run = self._decoding(packets, 0)
        try:
            number, _ = run.next_frame(Wanted(range(self._index.shown_in_all)))
        except UndecodableError as error:
            raise DataError(f"{self.path}: no frame can be decoded ({error}); download it again") from error
        return number

    def _times_tell_order(self) -> bool:
        """Say whether frames come in the order of their packets' times, as careless writers leave those all zero.

        Only a stream that stores frames in another order than it shows them, with times in the order in which they
        are stored, is suspicious; then some frames are decoded to see.
        """
        if not self._stream.codec_context.has_b_frames:
            return True
        _, packets = self._packets_from(0)
        last = -1
        for numbered in islice(packets, _ORDER_SAMPLE):
            if numbered.number is not None:
                if numbered.number < last:
                    return True
                last = numbered.number
        _, packets = self._packets_from(0)
        everything = Wanted(range(self._index.shown_in_all))
        run = self._decoding(packets, 0)
        shown: list[int] = []
        with suppress(UndecodableError):
            while len(shown) < _ORDER_SAMPLE:
                shown.append(run.next_frame(everything)[0])
        return shown == sorted(shown)

    def _count_frames(self) -> int:
        """Count frames up to the first that is missing.

        Where a file was cut, frames that are stored before the cut but shown after a lost one do not count: their
        numbers would not be the ones that they have in the whole video and in the take's other cameras.
        """
        frames = self._index.shown_in_all - self._hidden_at_start
        cut_time = self._index.cut_time
        if cut_time is None or frames <= 0:
            return frames
        _, packets = self._packets_from(self._index.key_before(len(self._index)))
        times = [numbered.packet.pts for numbered in packets if numbered.number is not None]
        return frames - len([time for time in times if time is not None and time > cut_time])

    def _find(self, index: int, wanted: Wanted) -> VideoFrame:
        """Decode up to a frame, from where that leaves least to decode.

        One key frame may not be enough: the frame may be shown before it, or the picture be refreshed step by step.
        Then the key frame before is tried; and at last one thread, which gives every frame up to damaged data.
        """
        key = self.decodes_from(index)
        ends = self._goes_elsewhere_after(index, wanted)
        if self._run is not None and self._run.can_reach(index) and key <= self._run.next_place:
            with suppress(UndecodableError):
                return self._run.advance(index, wanted, ends=ends)
        if ends:
            with suppress(UndecodableError):
                self._run = self._start(key, index, ends=True)
                return self._run.advance(index, wanted, ends=True)
        starts = list(dict.fromkeys([key, self._index.key_before(key)]))
        failure: UndecodableError | None = None
        for threads in (self._threads, 1):
            if threads != self._threads_now:
                self._reopen(threads)
            for start in starts:
                self._run = self._start(start, index)
                try:
                    return self._run.advance(index, wanted)
                except UndecodableError as error:
                    failure = error
        self._run = None
        raise DataError(f"{self.path}: frame {index} cannot be decoded ({failure}); download it again") from failure

    def _expect(self, key: int, index: int | None, *, ends: bool) -> None:
        """Tell the source what is read from a key packet until the decoder gives a frame, or was given the packet."""
        if not len(self._index):
            return
        place = key if index is None else max(key, self._index.place_of(index + self._hidden_at_start))
        codec = self._stream.codec_context
        more = _NUMBERED_AHEAD
        if index is not None and not ends:
            more += (codec.thread_count or os.cpu_count() or 1) * (2 if codec.has_b_frames else 1)
        stop = self._index.start_of(place + more)
        self._source.expect(
            self._index.start_of(key) or 0, self._source.size if stop is None else stop + _READ_BY_FFMPEG
        )

    def _goes_elsewhere_after(self, index: int, wanted: Wanted) -> bool:
        """Say whether reading goes on at a later key frame after a frame, past packets that are worth leaving out."""
        following = wanted.peek()
        if following is None or self._counting:
            return False
        return self.decodes_from(following) - self._index.place_of(index + self._hidden_at_start) > _WORTH_A_JUMP

    def _start(self, key: int, index: int, *, ends: bool = False) -> DecodingRun:
        first, packets = self._packets_from(key, index, ends=ends)
        first_number = 0
        if first is not None and first.place > 0:
            first_number = int(self._index.shown_before[first.place]) - self._hidden_at_start
            first_number = max(first_number, first.number or 0)
        return self._decoding(packets, first_number, counting=self._counting)

    def _decoding(self, packets: Iterable[NumberedPacket], first_number: int, *, counting: bool = False) -> DecodingRun:
        codec, disposable = self._stream.codec_context, self._disposable
        return DecodingRun(packets, first_number, codec, disposable, counting, self.counts)

    def _packets_from(
        self, key: int, index: int | None = None, *, ends: bool = False
    ) -> tuple[NumberedPacket | None, Iterator[NumberedPacket]]:
        """Give the packets from a key packet on, or from the beginning where seeking leads elsewhere.

        They are read up to what the decoder needs for a frame, the key packet's own if none is given, or further.
        """
        self._expect(key, index, ends=ends)
        landed: int | None = None
        packets: Iterator[Packet[VideoStream]] = iter(())
        with suppress(av.FFmpegError, StopIteration):
            if len(self._index):
                self._container.seek(self._index.seek_time(key), stream=self._stream)
            packets = self._container.demux(self._stream)
            packet = next(packets)
            landed = self._index.find(packet.pos, packet.dts)
            packets = chain([packet], packets)
        if landed is None or landed > key:
            self._reopen(self._threads_now)
            landed, packets = 0, self._container.demux(self._stream)
        numbered = number_packets(packets, landed, self._index, self._hidden_at_start)
        first = next(numbered, None)
        return first, chain([] if first is None else [first], numbered)

    def _reopen(self, threads: int) -> None:
        self._container.close()
        self._open(threads)

    def _to_rgb(self, frame: VideoFrame, size: tuple[int, int] | None) -> NDArray[np.uint8]:
        lies = self._turns % 2 == 1
        if (frame.height, frame.width) != ((self.width, self.height) if lies else (self.height, self.width)):
            raise DataError(
                f"{self.path}: the frame size changes from {self.height}x{self.width} to "
                f"{frame.height}x{frame.width} (height x width) in the middle; encode the video anew"
            )
        if size is None:
            image = cast("NDArray[np.uint8]", frame.to_ndarray(format="rgb24"))
        else:
            height, width = size[::-1] if lies else size
            resized = self._reformatter.reformat(
                frame, width=width, height=height, format="rgb24", interpolation=_SCALING
            )
            image = cast("NDArray[np.uint8]", resized.to_ndarray())
        return np.ascontiguousarray(np.rot90(image, self._turns)) if self._turns else image
