"""See whether a camera's frames and masks can be used, before a long run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lmeec.errors import DataError

if TYPE_CHECKING:
    from lmeec.data.take import Camera, Take
    from lmeec.data.tracks import MaskTrack


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
    if camera.source is None:
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
            return CameraReport(reader.num_frames, (reader.height, reader.width), problems, reader.notice)
    except DataError as error:
        return CameraReport(None, None, [*problems, str(error)])


def _first_bad_mask(track: MaskTrack) -> str | None:
    try:
        for frame in track.frames:
            track.mask(frame)
    except DataError as error:
        return str(error)
    return None
