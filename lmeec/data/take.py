"""One take: its cameras, and the masks of its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, get_args

from lmeec.config import View
from lmeec.data.processed import FrameFolder
from lmeec.data.tracks import MaskTrack
from lmeec.errors import DataError
from lmeec.files.names import first_few, show
from lmeec.files.places import Place, naming_unreadable
from lmeec.video.instants import USUAL_RATE, VideoAtRate, open_video, same_rate
from lmeec.video.pixels import BICUBIC, EGO_REDUCTION, EXO_REDUCTION, ReleasedPixels

if TYPE_CHECKING:
    from PIL import Image

    from lmeec.config import Pixels
    from lmeec.video.file import VideoReader
    from lmeec.video.frames import FrameReader

DOWNSCALED = PurePath("downscaled", "448")
"""Folder of the videos of 448 pixels, in that of the videos of full size."""


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera of a take.

    Attributes:
        name: Its name, as in the annotations.
        view: Whether it is worn by the person that acts, or looks on.
        source: The video file, or the folder of frames; None if it is not part of what is on disk.
        problem: Why there is no source, or it cannot be opened; None if nothing is known against it.
        frame_rate: Frames a second that the take's frame numbers count; a video of another rate is read at the frames
            nearest in time (`lmeec.video.instants`).
        offset: Seconds of the take at which its first frame is shown; negative if it started before the take.
        own_rate: The video's frames a second where they were given, in place of what the file says.
        upright: Whether a video's frames are turned as players do where its file says so.
        masks_count_own: Whether its masks were numbered by the video's own frames, which were turned into the take's as
            if it had `own_rate`, or else the take's rate.
    """

    name: str
    view: View
    source: Place | None
    problem: str | None = None
    frame_rate: Fraction = USUAL_RATE
    offset: Fraction = Fraction(0)
    own_rate: Fraction | None = None
    upright: bool = False
    masks_count_own: bool = False

    @property
    def is_ego(self) -> bool:
        """Whether it is worn by the person that acts."""
        return self.view == "ego"

    @property
    def is_downscaled(self) -> bool:
        """Whether its source is the video of 448 pixels."""
        return self.source is not None and self.source.parent.parts[-2:] == DOWNSCALED.parts

    def open(
        self,
        size: tuple[int, int] | None = None,
        threads: int = 0,
        *,
        gpu: bool = False,
        pixels: Pixels = "fast",
        resampling: Image.Resampling = BICUBIC,
    ) -> FrameReader:
        """Open the camera's frames.

        Args:
            size: Height and width that frames are resized to, antialiased; None keeps their own.
            threads: Threads that decode a video; 0 takes one a core.
            gpu: Decode a video on a GPU where there is one.
            pixels: How frames of a video are resized: "fast", or as the "released" code does it.
            resampling: How extracted frames, and released pixels, are squashed; see `lmeec.video.pixels`.

        Raises:
            DataError: The camera has no source, it is not a video or folder of frames, it has another frame rate than
                the take and is not known when its frames are shown, or released pixels are asked for and it is not of
                full size.
        """
        if self.source is None or self.problem is not None:
            raise DataError(f"camera {show(self.name)}: {self.problem}")
        with naming_unreadable(self.source):
            in_pictures = self.source.is_dir()
        if in_pictures:
            if self.offset or self.own_rate is not None:
                raise DataError(f"{self.source}: is a folder of frames, which have the take's numbers; give a video")
            return FrameFolder(self.source, size, resampling)
        if size is None or pixels == "fast":
            return self._open_video(self.source, size, threads, gpu=gpu)
        if self.is_downscaled:
            raise DataError(
                f"{self.source}: is a video of 448 pixels; pixels as released are made from the one of full size, "
                'which find_takes(..., video="full") finds'
            )
        reduction = EGO_REDUCTION if self.is_ego else EXO_REDUCTION
        return ReleasedPixels(self._open_video(self.source, None, threads, gpu=gpu), reduction, size, resampling)

    def _open_video(
        self, path: Place, size: tuple[int, int] | None, threads: int, *, gpu: bool
    ) -> VideoReader | VideoAtRate:
        video = open_video(
            path,
            self.frame_rate,
            size,
            threads,
            gpu=gpu,
            offset=self.offset,
            own_rate=self.own_rate,
            upright=self.upright,
        )
        other_rate = isinstance(video, VideoAtRate) and not same_rate(video.own_rate, self.frame_rate)
        if self.masks_count_own and self.own_rate is None and other_rate:
            video.close()
            raise DataError(
                f"{path}: has another frame rate than the {float(self.frame_rate):.5g} a second that its take counts, "
                "and its masks are numbered by its own frames: give the take, or the camera, the video's `frame_rate`"
            )
        return video


@dataclass(frozen=True, slots=True)
class Take:
    """One take. Can be pickled: it holds paths and encoded masks, no open files.

    Attributes:
        uid: Its unique identifier in the data set.
        name: Its name; the uid where the layout has no names.
        scenario: The activity, if it is known.
        cameras: Name to camera: those annotated and those on disk.
        tracks: (object, camera) to the object's masks in the camera.
        problems: What cannot be used and why, in words; empty for a take that is whole.
        annotation_digest: SHA-256 of the take's annotations, in hexadecimal.
    """

    uid: str
    name: str
    scenario: str | None
    cameras: Mapping[str, Camera]
    tracks: Mapping[tuple[str, str], MaskTrack]
    problems: tuple[str, ...]
    annotation_digest: str

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the annotated objects, in the order of the annotations."""
        return tuple(dict.fromkeys(name for name, _ in self.tracks))


def check_views(cameras: Mapping[str, Camera], how_told: str) -> list[str]:
    """Say which of the two views a take lacks, and which cameras have no source.

    Args:
        cameras: the take's cameras.
        how_told: what tells a camera's view, in words.
    """
    problems = [f"camera {show(camera.name)}: {camera.problem}" for camera in cameras.values() if camera.problem]
    names = first_few(cameras) or "none"
    views = {camera.view for camera in cameras.values()}
    lacking = (view for view in get_args(View) if view not in views)
    problems += [f"there is no {view} camera ({how_told}; there are {names})" for view in lacking]
    return problems
