"""H.264 files as the data set has them: yuv420p, B-frames, a key frame every two seconds."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import av

from lmeec.files.whole import naming_the_file
from lmeec.video.encoding import mp4_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np

KEY_FRAME_SECONDS = 2


@contextlib.contextmanager
def data_set_video(path: Path, size: tuple[int, int], fps: int) -> Iterator[Callable[[np.ndarray], None]]:
    """Give a function that adds a frame, uint8 RGB [height, width, 3], to an MP4 file, which appears when whole.

    Equal frames give equal files, also when several are written on threads. That takes one encoder thread and no
    macroblock tree: with it, x264 gives files that differ from run to run.

    Args:
        path: the file.
        size: (height, width), both even.
        fps: frames a second.

    Raises:
        OutputError: it cannot be written.
    """
    with mp4_file(path, {"fflags": "+bitexact"}) as container:
        options = {"preset": "veryfast", "crf": "21", "threads": "1", "flags": "+bitexact"}
        options["x264-params"] = f"bframes=2:b-adapt=0:keyint={KEY_FRAME_SECONDS * fps}:scenecut=0:mbtree=0"
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"

        def add(rgb: np.ndarray) -> None:
            with naming_the_file(path):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))

        yield add
        with naming_the_file(path):
            container.mux(stream.encode())
