"""Which pictures of an H.264 stream no other picture refers to (ITU-T H.264, 7.3.1 and 7.4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

_SLICE_TYPES = (1, 2, 5)  # NAL units that hold a picture: slice, first partition of one, slice of an IDR picture


@dataclass(frozen=True, slots=True)
class DisposablePictures:
    """Tells packets that can be left out of decoding without changing any other frame.

    Attributes:
        length_bytes: Bytes of the length in front of every NAL unit, as MP4 stores them; 0 when the stream is
            not stored that way, then no packet counts as disposable.
    """

    length_bytes: int

    @classmethod
    def of(cls, stream: VideoStream) -> DisposablePictures:
        """Read how a stream stores its NAL units."""
        header = stream.codec_context.extradata or b""
        if stream.codec_context.name != "h264" or len(header) < 7 or header[0] != 1:
            return cls(0)
        return cls((header[4] & 3) + 1)

    def __contains__(self, packet: Packet[VideoStream]) -> bool:
        if self.length_bytes == 0:
            return False
        data = memoryview(packet)
        start = 0
        pictures = 0
        while start + self.length_bytes < len(data):
            length = int.from_bytes(data[start : start + self.length_bytes], "big")
            header = data[start + self.length_bytes]
            if header & 0x1F in _SLICE_TYPES:
                if header & 0x60:  # nal_ref_idc: others refer to it
                    return False
                pictures += 1
            start += self.length_bytes + length
        return pictures > 0
