"""Rendering the tracks of a results table to videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from lmeec.data.names import first_few, safe_name, show
from lmeec.data.take import Take
from lmeec.data.takes import TakeSet
from lmeec.errors import DataError
from lmeec.render.mosaic import Mosaic
from lmeec.render.panels import panels_of, pictures
from lmeec.render.tracks import PredictedTrack, Selection, scan_tracks
from lmeec.render.video import video_writer

if TYPE_CHECKING:
    from lmeec.tables.storage import Location

FRAMES_A_SECOND = 30
"""Of the takes' videos, by which a frame number is a time."""


@dataclass(slots=True)
class RenderSummary:
    """What was rendered.

    Attributes:
        videos: the files.
        failures: what could not be rendered and why, in words.
    """

    videos: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def render(
    results: Location | str,
    takes: TakeSet,
    out: Path,
    *,
    selection: Selection | None = None,
    mosaic: bool = False,
    height: int = 480,
    frames_per_second: float = 4,
    on_video: Callable[[Path], None] | None = None,
) -> RenderSummary:
    """Render a video of each track, or of each object with all its views.

    Tracks whose take is not on disk, or whose videos or masks are damaged, are left out and reported. Memory holds
    one take's rows and one frame of each view.

    Args:
        results: a results table, with or without ground truth.
        takes: the takes that it was predicted from.
        out: folder for the videos; those of the same names are replaced.
        selection: which tracks; all without.
        mosaic: one video for each object and direction, of all its views.
        height: of each view, in pixels.
        frames_per_second: how many of the predicted frames are shown a second.
        on_video: called with each finished file.

    Raises:
        OutputError: the table cannot be read, or a video not be written.
        DataError: nothing is selected.
    """
    selection = selection or Selection()
    summary = RenderSummary()
    on_disk = {take.uid: take for take in takes}
    matched = False
    for tracks in scan_tracks(results, selection.expression()):
        for group in _groups(tracks, mosaic):
            matched = True
            take = on_disk.get(group[0].take_uid)
            try:
                if take is None:
                    raise DataError(f"the take is not in {takes.root}")
                path = out / _file_name(take, group, mosaic)
                _render_group(take, group, path, height, Fraction(frames_per_second).limit_denominator(1000))
            except DataError as error:
                summary.failures.append(f"{_words(group[0], take)}: {error}")
                continue
            summary.videos.append(path)
            if on_video is not None:
                on_video(path)
    if not matched:
        wanted = first_few([*selection.takes, *selection.objects])
        raise DataError(f"{results} holds no such track{f' ({wanted})' if wanted else ''}: see `lmeec takes` for names")
    return summary


def _groups(tracks: Sequence[PredictedTrack], mosaic: bool) -> Iterator[list[PredictedTrack]]:
    if not mosaic:
        yield from ([track] for track in tracks)
        return
    for name in dict.fromkeys(track.object for track in tracks):
        yield [track for track in tracks if track.object == name]


def _render_group(take: Take, tracks: Sequence[PredictedTrack], path: Path, height: int, rate: Fraction) -> None:
    frames = sorted({frame for track in tracks for frame in track.frames})
    panels = panels_of(take, tracks, height)
    layout = Mosaic(panels, f"{tracks[0].object} · {take.name}")
    with ExitStack() as stack:
        views = [stack.enter_context(closing(pictures(take, panel, frames))) for panel in panels]
        add = stack.enter_context(video_writer(path, layout.size, rate))
        for frame, *shown in zip(frames, *views, strict=True):
            add(layout.compose(shown, frame, frame / FRAMES_A_SECOND))


def _file_name(take: Take, tracks: Sequence[PredictedTrack], mosaic: bool) -> Path:
    track = tracks[0]
    names = [track.object] if mosaic else [track.object, track.query_cam, track.target_cam]
    name = ".".join([*(safe_name(one, "x", 30) for one in names), track.direction])
    return Path(safe_name(take.name, "take", 60), f"{name}.mp4")


def _words(track: PredictedTrack, take: Take | None) -> str:
    name = take.name if take is not None else track.take_uid
    return f"take {show(name)}, object {show(track.object)}, {track.query_cam!r} to {track.target_cam!r}"
