"""See whether a camera's frames and masks can be used, before a long run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lmeec.errors import DataError
from lmeec.files.names import show

if TYPE_CHECKING:
    from lmeec.data.take import Camera, Take
    from lmeec.data.tracks import MaskTrack
    from lmeec.video.frames import FrameReader

_OTHER_SHAPE = 0.02  # part of a side; sizes are rounded


class CameraReport(NamedTuple):
    """What checking a camera found.

    Attributes:
        frames: Frames that can be decoded; None if the camera cannot be opened.
        size: Height and width of a frame in pixels; None if the camera cannot be opened.
        problems: What is wrong, in words.
        notice: What to know of how frames are read, in words; None if nothing.
    """

    frames: int | None
    size: tuple[int, int] | None
    problems: list[str]
    notice: str | None = None


def check_camera(take: Take, camera: Camera) -> CameraReport:
    """Open a camera's frames, without decoding them, and decode its masks."""
    tracks = [track for track in take.tracks.values() if track.camera == camera.name]
    problems = [problem for track in tracks if (problem := _first_bad_mask(track))]
    if camera.source is None or camera.problem is not None:  # which the take says of itself
        return CameraReport(None, None, problems)
    try:
        with camera.open() as reader:
            annotated = {frame for track in tracks for frame in track.known_frames}
            lost = sorted(frame for frame in annotated if not reader.has_frame(frame))
            if lost:
                problems.append(
                    f"{len(lost)} of {len(annotated)} annotated frames are not in {camera.source}, the first is "
                    f"{lost[0]}; it has {reader.num_frames} frames"
                )
            if why := misfit(take, camera, reader):
                problems.append(why)
            return CameraReport(reader.num_frames, (reader.height, reader.width), problems, reader.notice)
    except DataError as error:
        return CameraReport(None, None, [*problems, str(error)])


def misfit(take: Take, camera: Camera, reader: FrameReader) -> str | None:
    """Why masks that were made of a camera's own frames cannot be of them, in words; None if they can.

    Args:
        take: the take.
        camera: one of its cameras.
        reader: its frames.
    """
    tracks = [track for track in take.tracks.values() if track.camera == camera.name]
    if not camera.masks_count_own or not tracks:
        return None
    for track in tracks:
        height, width = track.size or (0, 0)
        if abs(height * reader.width - width * reader.height) > _OTHER_SHAPE * height * reader.width:
            return (
                f"{track.source}: masks of {show(track.object)} have {height}x{width} pixels (height x width), and "
                f"frames of {camera.source} {reader.height}x{reader.width}, of another shape: make them of its frames"
            )
    known = {frame for track in tracks for frame in track.known_frames}
    if known and not any(reader.has_frame(frame) for frame in known):
        return (
            f"{tracks[0].source}: none of the {len(known)} frames with masks, {min(known)} to {max(known)}, is in "
            f"{camera.source}, which ends at {reader.num_frames - 1}: correct `first_frame`, the offset, or the video"
        )
    return None


def _first_bad_mask(track: MaskTrack) -> str | None:
    try:
        for frame in track.frames:
            track.mask(frame)
    except DataError as error:
        return str(error)
    return None
