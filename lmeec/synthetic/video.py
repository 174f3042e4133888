"""H.264 files as the data set has them: yuv420p, B-frames, a key frame every two seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import numpy as np

KEY_FRAME_SECONDS = 2


class VideoWriter:
    """Encodes RGB frames to one mp4; the file gets its name only when it is whole.

    Equal frames give equal files, also when several writers run on threads. That takes one encoder thread and no
    macroblock tree: with it, x264 gives files that differ from run to run.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: int) -> None:
        """`size` is (height, width), both even."""
        self._path = path
        self._aside = path.with_name(f"{path.name}.part")
        self._container = av.open(str(self._aside), "w", format="mp4", options={"fflags": "+bitexact"})
        options = {"preset": "veryfast", "crf": "21", "threads": "1", "flags": "+bitexact"}
        options["x264-params"] = f"bframes=2:b-adapt=0:keyint={KEY_FRAME_SECONDS * fps}:scenecut=0:mbtree=0"
        self._stream = self._container.add_stream("libx264", rate=fps, options=options)
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = "yuv420p"

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish and rename the file; after an error, remove what there is of it."""
        try:
            with self._container:
                if kind is None:
                    self._container.mux(self._stream.encode())
            if kind is None:
                self._aside.replace(self._path)
        finally:
            self._aside.unlink(missing_ok=True)

    def write(self, rgb: np.ndarray) -> None:
        """Add one frame, uint8 [H, W, 3]."""
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
