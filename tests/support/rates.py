"""Videos of another frame rate that show the same at the same instants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from pathlib import Path


def double_rate(path: Path) -> None:
    """Make a video one of twice the frame rate, without loss: frame 2i is what frame i was, all others are black."""
    with av.open(str(path)) as source:
        rate = source.streams.video[0].average_rate
        frames = [frame.reformat(format="yuv420p") for frame in source.decode(video=0)]
    aside = path.with_suffix(".doubled.mp4")
    with av.open(str(aside), "w") as target:
        stream = target.add_stream("libx264", rate=2 * rate, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = frames[0].height, frames[0].width, "yuv420p"
        for number, frame in enumerate(frames):
            black = av.VideoFrame(frame.width, frame.height, "yuv420p")
            for plane, level in zip(black.planes, (16, 128, 128), strict=True):
                plane.update(bytes([level]) * plane.buffer_size)
            for place, picture in enumerate((frame, black)):
                picture.pts, picture.time_base = 2 * number + place, 1 / (2 * rate)
                picture.pict_type = 0
                target.mux(stream.encode(picture))
        target.mux(stream.encode())
    aside.replace(path)
