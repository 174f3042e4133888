"""What the cameras of a take are read from, told by little reading."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from lmeec.files.remote.place import RemotePath
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
    return {name: source_of(take.cameras[name]) for name in sorted(cameras)}


def renewed(take: Take) -> Take:
    """The take with sources that are looked up anew where they are elsewhere, as they may have changed since."""
    cameras = {
        name: replace(camera, source=camera.source.renewed()) if isinstance(camera.source, RemotePath) else camera
        for name, camera in take.cameras.items()
    }
    return replace(take, cameras=cameras)


def source_of(camera: Camera) -> Source | None:
    """What one camera is read from; None if it is not there."""
    try:
        if camera.source is None:
            return None
        if isinstance(camera.source, RemotePath):
            return _source_elsewhere(camera, camera.source)
        if camera.source.is_dir():
            files = sorted(camera.source.iterdir())
            names = _digest(["\0".join(path.name for path in files).encode()], _NAMES_DIGITS)
            return Source("frames", len(files), names, content=_content_of_frames(files))
        return _video(camera, *_size_and_content(camera.source))
    except OSError:  # gone just now, or unreadable: opening it says why
        return None


def _source_elsewhere(camera: Camera, source: RemotePath) -> Source:
    """What a store tells of a source: reading pieces of it would be a request each."""
    entry = source.entry()
    if entry.is_folder:
        files = sorted(source.iterdir(), key=lambda one: one.name)
        names = _digest(["\0".join(path.name for path in files).encode()], _NAMES_DIGITS)
        versions = "\0".join(path.entry().version for path in files)
        return Source("frames", len(files), names, content=_digest([versions.encode()], _CONTENT_DIGITS))
    return _video(camera, entry.size, _digest([entry.version.encode()], _CONTENT_DIGITS) if entry.version else "")


def _video(camera: Camera, size: int, content: str) -> Source:
    kind: Literal["448", "full"] = "448" if camera.is_downscaled else "full"
    return Source(kind, size, counted=float(camera.frame_rate), content=content)


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
