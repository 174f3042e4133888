"""Small real videos for the tests, and the plain front-to-back decode that readers are compared with."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIME_BASE = Fraction(1, 600)
TICKS = 20  # one frame at 30 fps


def picture(index: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A frame that no other number has: moving gradient, moving square, seeded texture. uint8 [H, W, 3]."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 2 + index * 3, columns * 2 + index * 5, rows + columns + index * 7], -1) % 256
    top, left = index * 5 % (height - 16), index * 9 % (width - 16)
    image[top : top + 16, left : left + 16] = (
        np.random.default_rng(index).integers(0, 256, (4, 4, 3)).repeat(4, 0).repeat(4, 1)
    )
    return image.astype(np.uint8)


def write_video(
    path: Path,
    frames: int = 60,
    *,
    size: tuple[int, int] = (96, 128),
    x264: str = "keyint=20:min-keyint=20:scenecut=0:bframes=3",
    timestamps: list[int] | None = None,
    shift: int = 0,
    options: dict[str, str] | None = None,
    codec: str = "libx264",
    times: Callable[[av.Packet], int] | None = None,
) -> Path:
    """Encode `picture(0)`, `picture(1)`, ... as H.264 with B-frames.

    `timestamps` are presentation times in 1/600 s; `shift` moves all times of the finished packets, below zero
    too, which the muxer turns into an edit list that drops what lies before zero. `times` gives each packet one
    time to be decoded and shown at, as careless writers do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    timestamps = timestamps or [TICKS * index for index in range(frames)]
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        stream.time_base = TIME_BASE
        stream.options = {"x264-params": x264, "preset": "veryfast"} if codec == "libx264" else {}
        packets = []
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
            frame.pts, frame.time_base = timestamps[index], TIME_BASE
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet in packets:
            packet.pts += shift
            packet.dts += shift
            if times is not None:
                packet.pts = packet.dts = times(packet)
            container.mux(packet)
    return path


def plain_decode(path: Path) -> list[np.ndarray]:
    """Every frame of a video, front to back, as uint8 RGB [H, W, 3]."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def remux(source: Path, target: Path, first: int = 0, options: dict[str, str] | None = None) -> Path:
    """Copy the packets of a video from the `first` on, in the file's order, without encoding them anew."""
    with av.open(str(source)) as container, av.open(str(target), "w", options=options or {}) as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for place, packet in enumerate(container.demux(video=0)):
            if place >= first and packet.size:
                packet.stream = stream
                output.mux(packet)
    return target


def packets(path: Path) -> list[tuple[int, int, bool, int]]:
    """Position, size, whether it is a key packet, and presentation time of every packet, in the file's order."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.is_keyframe, p.pts) for p in container.demux(video=0) if p.size]


def patch_edits(path: Path, edits: list[tuple[int, int]]) -> Path:
    """Overwrite the edit list of an MP4 file by (first frame, number of frames) pairs, as many as it has entries."""
    data = bytearray(path.read_bytes())

    def number(box: bytes, offset: int) -> int:
        return int.from_bytes(data[data.index(box) + offset : data.index(box) + offset + 4], "big")

    movie_scale, media_scale = number(b"mvhd", 16), number(b"mdhd", 16)
    start_of_first_frame = number(b"elst", 12 + 12 + 4)  # of the second entry; the first is the empty one
    assert number(b"elst", 8) == len(edits)
    for entry, (first, count) in enumerate(edits):
        at = data.index(b"elst") + 12 + 12 * entry
        start = first * media_scale // 30 + start_of_first_frame
        data[at : at + 12] = struct.pack(">IiI", count * movie_scale // 30, start, 0x10000)
    path.write_bytes(data)
    return path
