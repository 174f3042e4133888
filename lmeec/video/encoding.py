"""MP4 files that browsers play."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import av
from av.video.reformatter import ColorRange, Colorspace

from lmeec.files.whole import made_whole, naming_the_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from fractions import Fraction
    from pathlib import Path

    import numpy as np
    from av.container import OutputContainer
    from numpy.typing import NDArray

_BT709 = 1  # as H.264 numbers it, for colour space, primaries and transfer alike


@contextlib.contextmanager
def video_writer(
    path: Path, size: tuple[int, int], frames_per_second: Fraction, *, reproducible: bool = False
) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Give a function that adds a frame, uint8 RGB [height, width, 3], to a video.

    H.264, yuv420p, with the index in front so that a browser starts at once. The file is written aside and appears
    when the block ends without an exception.

    Args:
        path: the file.
        size: (height, width), both even.
        frames_per_second: how many frames are shown a second.
        reproducible: equal frames give equal files, which takes one encoder thread and no macroblock tree.

    Raises:
        OutputError: the file cannot be written.
    """
    with mp4_file(path, {"movflags": "+faststart"}) as container:
        options = {"preset": "fast", "crf": "20"}
        if reproducible:
            options |= {"threads": "1", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=frames_per_second, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        # A key frame every two seconds, so that a viewer can jump about.
        stream.codec_context.gop_size = max(2, round(2 * frames_per_second))
        _tag_colours(stream.codec_context)

        def add(rgb: NDArray[np.uint8]) -> None:
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame = frame.reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            with naming_the_file(path):
                container.mux(stream.encode(frame))

        yield add
        with naming_the_file(path):
            container.mux(stream.encode())


@contextlib.contextmanager
def mp4_file(path: Path, options: Mapping[str, str]) -> Iterator[OutputContainer]:
    """Give an MP4 file to mux into, which appears when the block ends without an exception.

    Args:
        path: the file.
        options: of FFmpeg's muxer.

    Raises:
        OutputError: the file cannot be opened or ended. Muxing is for the block to name.
    """
    with made_whole(path) as aside:
        with naming_the_file(path):
            container = av.open(str(aside), "w", format="mp4", options=dict(options))
        try:
            yield container
            with naming_the_file(path):
                container.close()
        finally:
            with contextlib.suppress(OSError):  # a full disk fails here once more
                container.close()


def _tag_colours(codec: av.VideoCodecContext) -> None:
    """Say which matrix the colours were converted with: players guess it from the frame's size otherwise."""
    codec.colorspace = _BT709
    codec.color_primaries = _BT709
    codec.color_trc = _BT709
    codec.color_range = int(ColorRange.MPEG)
