"""Bytes and seconds of reading one frame a second of a 4K video on the local disk, and in S3 with and without a cache.

The video is H.264 of 3840x2160 with a key frame a second and its index at the end. The S3 server is moto's on this
machine; what stands before it counts the bytes of bodies that it sends, so that seconds tell of the reader's own work
and not of a network. `look` is what a run asks of a camera before it reads: on a disk 66 pieces, of a store none.

    python -m benchmarks.object_store                 # about a minute, most of it encoding
    python -m benchmarks.object_store --seconds 30 --threads 8
    python -m benchmarks.object_store --latency 0.03  # seconds that each answer of the server waits
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.decoding import FPS, NETWORK_SIZE, SIZES, encode
from lmeec.data.take import Camera
from lmeec.files.places import Place, place
from lmeec.files.remote.cache import FileCache
from lmeec.runs.sources import source_of
from lmeec.video.file import VideoReader
from tests.support.stores import Traffic, stand_before, upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET = "s3://takes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="length of the video")
    parser.add_argument("--threads", type=int, default=0, help="that decode; 0 is one a core")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, served(arguments.latency) as traffic:
        folder = Path(made)
        local = folder / "4K.mp4"
        encode(local, SIZES["4K"], arguments.seconds * FPS, FPS)
        upload(local, f"{BUCKET}/4K.mp4")
        url, size = f"{BUCKET}/4K.mp4", local.stat().st_size
        cache = FileCache(folder / "cache", 10 * size)
        ways: dict[str, Callable[[], Place]] = {
            "local disk": lambda: local,
            "S3, by ranges": lambda: place(url),
            "S3, into a cache": lambda: place(url, cache),
            "S3, out of the cache": lambda: place(url, cache),
        }
        results = {}
        for name, where in ways.items():
            looked = measured(traffic, size, lambda where=where: source_of(Camera("cam01", where())))
            read = measured(traffic, size, lambda where=where: read_frames(where(), arguments))
            results[name] = {"look": looked, "read": read}
    about = {"bytes": size, "pixels": "3840x2160", "frames": arguments.seconds * FPS, "wanted": arguments.seconds}
    print(json.dumps({"settings": vars(arguments), "video": about, "results": results}, indent=2))


@contextmanager
def served(latency: float) -> Iterator[Traffic]:
    """A bucket on a real S3 server; gives what is asked of it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with stand_before(f"http://{host}:{port}", latency_s=latency) as (address, traffic):
        os.environ |= {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
        import fsspec

        fsspec.filesystem("s3").mkdir(BUCKET.removeprefix("s3://"))
        yield traffic
    server.stop()


def measured(traffic: Traffic, size: int, run: Callable[[], object]) -> dict[str, float]:
    """What a run asks of the server, and how long it takes."""
    traffic.clear()
    start, used = time.perf_counter(), time.process_time()
    run()
    return {
        "requests": len(traffic.requests),
        "bytes": traffic.sent,
        "share_of_file": round(traffic.sent / size, 3),
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
    }


def read_frames(where: Place, arguments: argparse.Namespace) -> int:
    """Decode a frame a second, at the network's size."""
    with VideoReader(where, size=NETWORK_SIZE, threads=arguments.threads) as reader:
        return sum(1 for _ in reader.read(range(0, reader.num_frames, FPS)))


if __name__ == "__main__":
    main()
