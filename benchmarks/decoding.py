"""Read one frame a second of H.264 video, as prediction does, against two other ways.

For 4K and 448-pixel video, with a key frame every 30 and every 250 frames: this project's reader, decoding everything
with PyAV and keeping what is wanted, and OpenCV seeking to each frame. All give frames at the network's size.

    python -m benchmarks.decoding                 # about four minutes, most of it encoding
    python -m benchmarks.decoding --seconds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2

from lmeec.video.file import VideoReader
from tests.support.places import ASSETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

SOURCE = ASSETS / "video/03_blocks.mp4"
SIZES = {"4K": (2160, 3840), "448": (448, 796)}
FPS = 30
NETWORK_SIZE = (480, 480)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="length of each video")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            for interval in (30, 250):
                path = Path(folder) / f"{name}-{interval}.mp4"
                encode(path, size, arguments.seconds * FPS, interval)
                results.append({"video": name, "key_frame_every": interval} | compare(path, arguments))
    print(json.dumps({"settings": vars(arguments), "results": results}, indent=2))


def encode(path: Path, size: tuple[int, int], frames: int, interval: int) -> None:
    """Encode real footage at a size, with B-frames."""
    height, width = size
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "26", "x264-params": f"keyint={interval}:scenecut=0:bframes=3"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, frame in zip(range(frames), footage(), strict=False):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            scaled.pts, scaled.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(scaled))
        container.mux(stream.encode(None))


def footage() -> Iterator[av.VideoFrame]:
    """Frames of a real clip, over and over."""
    while True:
        with av.open(str(SOURCE)) as container:
            yield from container.decode(video=0)


def compare(path: Path, arguments: argparse.Namespace) -> dict[str, object]:
    wanted = list(range(0, arguments.seconds * FPS, FPS))
    ways: dict[str, Callable[[Path, list[int]], list[np.ndarray]]] = {
        "lmeec": read_lmeec,
        "decode everything": read_everything,
        "OpenCV seeking": read_opencv,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.repeats):
        for name, read in ways.items():
            start = time.perf_counter()
            read(path, wanted)
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    return {
        "wanted_frames": len(wanted),
        "seconds": medians,
        "times_faster": {name: medians[name] / medians["lmeec"] for name in ways if name != "lmeec"},
    }


def read_lmeec(path: Path, wanted: list[int]) -> list[np.ndarray]:
    with VideoReader(path, size=NETWORK_SIZE) as reader:
        return [image for _, image in reader.read(wanted)]


def read_everything(path: Path, wanted: list[int]) -> list[np.ndarray]:
    keep, images = set(wanted), []
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for index, frame in enumerate(container.decode(video=0)):
            if index in keep:
                images.append(shrink(frame.to_ndarray(format="rgb24")))
    return images


def read_opencv(path: Path, wanted: list[int]) -> list[np.ndarray]:
    video, images = cv2.VideoCapture(str(path)), []
    for index in wanted:
        video.set(cv2.CAP_PROP_POS_FRAMES, index)
        _, image = video.read()
        images.append(shrink(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)))
    return images


def shrink(image: np.ndarray) -> np.ndarray:
    height, width = NETWORK_SIZE
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
