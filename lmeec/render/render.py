"""Rendering the tracks of a results table to videos or pictures."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from lmeec.errors import DataError
from lmeec.files.names import show
from lmeec.files.png import png_of
from lmeec.files.whole import written_whole
from lmeec.render.index import write_index
from lmeec.render.mosaic import Mosaic
from lmeec.render.panels import panels_of, pictures
from lmeec.render.tracks import PredictedTrack, Selection, check_names, scan_tracks
from lmeec.tables.track_names import TrackNames
from lmeec.video.encoding import video_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from lmeec.data.take import Take
    from lmeec.data.takes import TakeSet
    from lmeec.files.locations import Location


@dataclass(slots=True)
class RenderSummary:
    """What was rendered.

    Attributes:
        files: videos, or pictures.
        failures: what could not be rendered and why, in words.
        index: the page that shows the files, and those of the same kind that were there; None without any.
    """

    files: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    index: Path | None = None


def render(
    results: Location | str,
    takes: TakeSet,
    out: Path,
    *,
    selection: Selection | None = None,
    mosaic: bool = False,
    height: int = 480,
    frames_per_second: float = 4,
    stills: int | None = None,
    on_file: Callable[[Path], None] | None = None,
) -> RenderSummary:
    """Render a video, or a few pictures, of each track, or of each object with all its views.

    Tracks whose take is not on disk, or whose videos or masks are damaged, are left out and reported. Memory holds
    one take's rows and one frame of each view.

    Args:
        results: a results table, with or without ground truth.
        takes: the takes that it was predicted from.
        out: folder for the files; those of the same names are replaced.
        selection: which tracks; all without.
        mosaic: one video for each object and direction, of all its views.
        height: of each view, in pixels.
        frames_per_second: how many of the predicted frames are shown a second.
        stills: instead of a video, write at most so many PNG pictures, evenly spread over the predicted frames.
        on_file: called with each finished file.

    Raises:
        OutputError: the table cannot be read, or a file not be written.
        DataError: nothing is selected, or a take or object that the table does not hold.
    """
    selection = selection or Selection()
    check_names(results, selection)
    names = TrackNames.of([results])
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
                drawn = _Drawing(take, group, height)
                path = out / _file_name(names, group, mosaic)
                if stills is None:
                    files = [_write_video(drawn, path, Fraction(frames_per_second).limit_denominator(1000))]
                else:
                    files = _write_stills(drawn, path, stills)
            except DataError as error:
                summary.failures.append(f"{_words(group[0], take)}: {error}")
                continue
            summary.files += files
            if on_file is not None:
                for file in files:
                    on_file(file)
    if not matched:
        raise DataError(f"{results} holds no such track: no take that was asked for has such an object and direction")
    if summary.files:
        there = [path for path in out.glob("*/*/*") if path.suffix in (".mp4", ".png")]
        summary.index = write_index(out, there)
    return summary


def _groups(tracks: Sequence[PredictedTrack], mosaic: bool) -> Iterator[list[PredictedTrack]]:
    if not mosaic:
        yield from ([track] for track in tracks)
        return
    for name in dict.fromkeys(track.object for track in tracks):
        yield [track for track in tracks if track.object == name]


class _Drawing:
    """The views of a group of tracks, laid out side by side."""

    def __init__(self, take: Take, tracks: Sequence[PredictedTrack], height: int) -> None:
        self.frames = sorted({frame for track in tracks for frame in track.frames})
        self._take = take
        self._panels = panels_of(take, tracks, height)
        self._rate = float(take.cameras[tracks[0].query_cam].frame_rate)
        self._layout = Mosaic(self._panels, f"{tracks[0].object} · {take.name}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the drawn images."""
        return self._layout.size

    def images(self, frames: Sequence[int]) -> Generator[tuple[int, NDArray[np.uint8]], None, None]:
        """Draw these frames, ascending."""
        with ExitStack() as stack:
            views = [
                stack.enter_context(closing(pictures(self._take, panel, frames, inset=True))) for panel in self._panels
            ]
            for frame, *shown in zip(frames, *views, strict=True):
                yield frame, self._layout.compose(shown, frame, frame / self._rate)


def _write_video(drawn: _Drawing, path: Path, rate: Fraction) -> Path:
    with closing(drawn.images(drawn.frames)) as images, video_writer(path, drawn.size, rate) as add:
        for _, image in images:
            add(image)
    return path


def _write_stills(drawn: _Drawing, path: Path, count: int) -> list[Path]:
    """Pictures of the middle frame of each of `count` equal stretches."""
    total = len(drawn.frames)
    chosen = sorted({drawn.frames[(2 * part + 1) * total // (2 * count)] for part in range(count)})
    files = []
    with closing(drawn.images(chosen)) as images:
        for frame, image in images:
            file = path.with_suffix(f".{frame}.png")
            with written_whole(file) as picture:
                picture.write(png_of(Image.fromarray(image)))
            files.append(file)
    return files


def _file_name(names: TrackNames, tracks: Sequence[PredictedTrack], mosaic: bool) -> Path:
    track = tracks[0]
    name = track.direction if mosaic else names.pair(track.query_cam, track.target_cam)
    return names.folder(track.take_uid, track.object) / f"{name}.mp4"


def _words(track: PredictedTrack, take: Take | None) -> str:
    name = take.name if take is not None else track.take_uid
    return f"take {show(name)}, object {show(track.object)}, {track.query_cam!r} to {track.target_cam!r}"
