"""Pictures of scenes on disk, drawn once and read in every later round.

A file a scene, of about half a megabyte at 384 pixels with three instants: an uncompressed zip of NumPy arrays, whose
checksums tell damage. Frames are JPEG, as videos and takes on disk are compressed too, and maps of things are PNG,
which loses nothing. The name has a digest of all that the pictures follow from: a folder may serve several trainings.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lmeec.files.whole import naming_the_file, written_whole
from lmeec.training.clips.pictures import CAMERAS, ScenePictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lmeec.training.clips.pictures import Sketch

_VERSION = 1
"""Of the drawing: files of another one are not read."""

_QUALITY = 92


class SceneStore:
    """Reads scenes, and keeps those that are not there yet.

    Args:
        folder: of the files; is made.
        size: side of the pictures.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        with naming_the_file(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def read(self, sketch: Sketch, draw: Callable[[], ScenePictures]) -> ScenePictures:
        """The pictures of a scene, the same whether they were there or are drawn now.

        Raises:
            DiskFullError: there is no space for what was drawn.
        """
        settings = {"version": _VERSION, "size": self._size, **asdict(sketch)}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
        path = self._folder / f"{sketch.seed:x}-{digest[:12]}.npz"
        if not path.exists():
            self._write(path, draw())
        try:
            return self._load(path, sketch)
        except (zipfile.BadZipFile, ValueError, KeyError, cv2.error):
            # Damaged, perhaps by a machine that went down: nothing is lost, as it can be drawn again.
            self._write(path, draw())
            return self._load(path, sketch)

    def _write(self, path: Path, pictures: ScenePictures) -> None:
        arrays: dict[str, Any] = {"ego": np.array(pictures.ego)}
        for view, (frames, things) in enumerate(zip(pictures.frames, pictures.things, strict=True)):
            for number, (frame, shown) in enumerate(zip(frames, things, strict=True)):
                blue_first = np.ascontiguousarray(frame[..., ::-1])
                options = (cv2.IMWRITE_JPEG_QUALITY, _QUALITY)
                arrays[f"frame_{view}_{number}"] = cv2.imencode(".jpg", blue_first, options)[1]
                arrays[f"things_{view}_{number}"] = cv2.imencode(".png", shown, (cv2.IMWRITE_PNG_COMPRESSION, 3))[1]
        with written_whole(path) as file:
            np.savez(file, **arrays)

    def _load(self, path: Path, sketch: Sketch) -> ScenePictures:
        views, instants = range(CAMERAS + 1), range(len(sketch.frames))
        with np.load(path, allow_pickle=False) as stored:
            frames = [[_picture(stored[f"frame_{view}_{number}"]) for number in instants] for view in views]
            things = [[_map(stored[f"things_{view}_{number}"]) for number in instants] for view in views]
            ego = tuple(bool(one) for one in stored["ego"])
        return ScenePictures(
            seed=sketch.seed,
            frames=np.array(frames),
            things=np.array(things),
            ego=ego,
            cameras=(*range(CAMERAS), sketch.poorer),
            lacking=(*[0] * CAMERAS, sketch.lacking),
        )


def _picture(data: np.ndarray) -> np.ndarray:
    return _decoded(data, cv2.IMREAD_COLOR)[..., ::-1]


def _map(data: np.ndarray) -> np.ndarray:
    return _decoded(data, cv2.IMREAD_GRAYSCALE)


def _decoded(data: np.ndarray, flags: int) -> np.ndarray:
    found = cv2.imdecode(data, flags)
    if found is None:
        raise ValueError("not an image")
    return found
