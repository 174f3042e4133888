"""The frames that exported masks are of: their names, and where they are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from lmeec.files.names import path_component_problem, safe_name
from lmeec.files.whole import naming_the_file, opened_to_write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.data.take import Camera, Take
    from lmeec.data.takes import TakeSet

_QUALITY = 95


class FrameName(NamedTuple):
    """What an image is called.

    Attributes:
        file_name: of a frame that is a file, its place below the data set's folder; else a name for one.
        video: the video's place below the data set's folder; None where it is not known, or frames are files.
    """

    file_name: str
    video: str | None


class FrameNames:
    """Names of frames, and the frames themselves where takes are given.

    Args:
        takes: the takes that were predicted from; None where they are not at hand.
    """

    def __init__(self, takes: TakeSet | None) -> None:
        self._takes = takes
        self._places = {} if takes is None else {take.uid: index for index, take in enumerate(takes)}
        self._held: Take | None = None

    def name(self, take_uid: str, take_name: str, camera: str, frame: int) -> FrameName:
        """Give the name of a frame.

        Args:
            take_uid: its take.
            take_name: the take's name.
            camera: its camera.
            frame: its number in the camera's own video or folder.
        """
        made_up = str(Path(_folder_name(take_name, "take"), _folder_name(camera, "camera"), f"{frame:06d}.jpg"))
        known = self.camera(take_uid, camera)
        if known is None or known.source is None or self._takes is None:
            return FrameName(made_up, None)
        place = str(known.source).removeprefix(str(self._takes.root)).lstrip("/")
        if known.source.is_dir():
            return FrameName(f"{place}/{frame}.jpg", None)
        return FrameName(made_up, place)

    def camera(self, take_uid: str, camera: str) -> Camera | None:
        """The camera of a take; None where it is not there."""
        if self._takes is None or take_uid not in self._places:
            return None
        if self._held is None or self._held.uid != take_uid:
            self._held = self._takes[self._places[take_uid]]
        return self._held.cameras.get(camera)


def _folder_name(name: str, otherwise: str) -> str:
    return name if path_component_problem(name) is None else safe_name(name, otherwise)


def write_frames(camera: Camera, files: Mapping[int, str], size: tuple[int, int], folder: Path, out: Path) -> int:
    """Write frames of a camera as JPEG files.

    Args:
        camera: the camera.
        files: frame number of the take to file name below the folder.
        size: height and width of the pictures.
        folder: where they are written.
        out: how the folder is called in messages.

    Returns:
        How many were written; those that the video lacks are not.

    Raises:
        DataError: a frame cannot be decoded.
        OutputError: a file cannot be written.
    """
    with camera.open(size) as reader:
        there = [frame for frame in sorted(files) if reader.has_frame(frame)]
        for frame, image in reader.read(there):
            file = folder / files[frame]
            with naming_the_file(out / files[frame]):
                file.parent.mkdir(parents=True, exist_ok=True)
            data = io.BytesIO()
            Image.fromarray(image).save(data, "JPEG", quality=_QUALITY)
            with opened_to_write(file, out / files[frame]) as opened:
                opened.write(data.getvalue())
    return len(there)
