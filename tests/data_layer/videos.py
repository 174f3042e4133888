"""Small real videos for the tests, and the plain front-to-back decode that readers are compared with."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

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
) -> Path:
    """Encode `picture(0)`, `picture(1)`, ... as H.264 with B-frames.

    `timestamps` are presentation times in 1/600 s; `shift` moves all times of the finished packets, below zero
    too, which the muxer turns into an edit list that drops what lies before zero.
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
            container.mux(packet)
    return path


def plain_decode(path: Path) -> list[np.ndarray]:
    """Every frame of a video, front to back, as uint8 RGB [H, W, 3]."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
