"""What the cameras of a take are read from, told by little reading."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Literal

from lmeec.tables.coverage import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from io import FileIO
    from pathlib import Path

    from lmeec.data.take import Camera
    from lmeec.data.takes import Take

_NAMES_DIGITS = 12
_CONTENT_DIGITS = 16
_VIDEO_END = 64 * 1024  # bytes; a copy changes times, so that only bytes tell a file from another of its size
_SAMPLES, _SAMPLE = 64, 4 * 1024
"""Pieces that are read between the ends of a video, evenly spread, and their bytes. A stretch that was replaced holds
one of them, unless it is shorter than a 65th of the file."""

_FRAME_START = 4 * 1024


def sources_of(take: Take, cameras: Iterable[str]) -> dict[str, Source | None]:
    """What cameras of a take are read from; None for one that is not on disk."""
    return {name: _source_of(take.cameras[name]) for name in sorted(cameras)}


def _source_of(camera: Camera) -> Source | None:
    try:
        if camera.source is None:
            return None
        if camera.source.is_dir():
            files = sorted(camera.source.iterdir())
            names = _digest(["\0".join(path.name for path in files).encode()], _NAMES_DIGITS)
            return Source("frames", len(files), names, content=_content_of_frames(files))
        kind: Literal["448", "full"] = "448" if camera.is_downscaled else "full"
        size, content = _size_and_content(camera.source)
        return Source(kind, size, counted=float(camera.frame_rate), content=content)
    except OSError:  # gone just now, or unreadable: opening it says why
        return None


def _size_and_content(video: Path) -> tuple[int, str]:
    with video.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(_VIDEO_END)
        pieces = [start, *(_piece(file, size * part // (_SAMPLES + 1), _SAMPLE) for part in range(1, _SAMPLES + 1))]
        return size, _digest([*pieces, _piece(file, max(size - _VIDEO_END, 0), _VIDEO_END)], _CONTENT_DIGITS)


def _piece(file: FileIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _content_of_frames(files: Sequence[Path]) -> str:
    ends = [path for path in (*files[:1], *files[-1:]) if path.is_file()]
    return _digest([_start_of(path) for path in ends], _CONTENT_DIGITS) if ends else ""


def _start_of(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read(_FRAME_START)


def _digest(pieces: Iterable[bytes], digits: int) -> str:
    return hashlib.sha256(b"".join(pieces)).hexdigest()[:digits]
