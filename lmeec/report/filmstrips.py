"""Tracks as strips of a few frames, for the report."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
from PIL import Image

from lmeec.errors import DataError
from lmeec.render.panels import BACKGROUND, panels_of, pictures
from lmeec.render.tracks import PredictedTrack, scan_tracks
from lmeec.report.numbers import TrackScore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.data.take import Take
    from lmeec.data.takes import TakeSet
    from lmeec.files.locations import Location

_EACH = 2
_FRAMES = 4
_HEIGHT = 160  # four exo views beside each other are about as wide as the page, so that text stays legible
_LARGER = 320
_QUALITY = 80
_GAP = 4


@dataclass(frozen=True, slots=True)
class Filmstrip:
    """One track to look at.

    Attributes:
        rank: best, median or worst.
        track: the track.
        take_name: its take's name.
        frames: the frames shown.
        close: JPEG as a data URL, of the part of each frame that the object is in; empty where it could not be made.
        whole: the same of whole frames, larger.
        video: link to the track's video; None where none is known.
        problem: why it could not be made.
    """

    rank: str
    track: TrackScore
    take_name: str
    frames: Sequence[int] = ()
    close: Sequence[str] = ()
    whole: Sequence[str] = ()
    video: str | None = None
    problem: str | None = None


def filmstrips(results: Location | str, takes: TakeSet, ranking: Sequence[TrackScore]) -> list[Filmstrip]:
    """Draw the best, the median and the worst tracks, the query view above the target view.

    Args:
        results: the results table.
        takes: the takes that it was predicted from.
        ranking: tracks from best to worst.
    """
    chosen = dict(_chosen(ranking))
    if not chosen:
        return []
    wanted = {take.uid: take for take in takes if any(track.take_uid == take.uid for track in chosen)}
    predictions = {_key(track): track for track in _read(results, list(chosen))}
    strips = []
    for track, rank in chosen.items():
        take = wanted.get(track.take_uid)
        if take is None:
            strips.append(Filmstrip(rank, track, track.take_uid, problem=f"the take is not in {takes.root}"))
            continue
        try:
            strips.append(_filmstrip(rank, track, take, predictions[_key(track)]))
        except DataError as error:
            strips.append(Filmstrip(rank, track, take.name, problem=str(error)))
    return strips


def _chosen(ranking: Sequence[TrackScore]) -> Iterator[tuple[TrackScore, str]]:
    """Best, median and worst, each of another object as far as there are so many."""
    middle = sorted(range(len(ranking)), key=lambda place: abs(place - (len(ranking) - 1) / 2))
    orders = {"best": range(len(ranking)), "worst": range(len(ranking) - 1, -1, -1), "median": middle}
    taken: dict[str, list[int]] = {rank: [] for rank in orders}
    used: set[int] = set()
    shown: set[tuple[str, str]] = set()
    for _ in range(_EACH):
        for rank, order in orders.items():
            free = [place for place in order if place not in used]
            others = [place for place in free if (ranking[place].take_uid, ranking[place].object) not in shown]
            for place in (others or free)[:1]:
                taken[rank].append(place)
                used.add(place)
                shown.add((ranking[place].take_uid, ranking[place].object))
    for rank in ("best", "median", "worst"):
        yield from ((ranking[place], rank) for place in sorted(taken[rank]))


def _read(results: Location | str, tracks: Sequence[TrackScore]) -> Iterator[PredictedTrack]:
    def condition(track: TrackScore) -> pc.Expression:
        names = ("take_uid", "object", "query_cam", "target_cam", "direction")
        return reduce(lambda a, b: a & b, [pc.field(name) == getattr(track, name) for name in names])

    rows = reduce(lambda a, b: a | b, map(condition, tracks))
    for found in scan_tracks(results, rows):
        yield from found


def _key(track: TrackScore | PredictedTrack) -> tuple[str, ...]:
    return (track.take_uid, track.object, track.query_cam, track.target_cam, track.direction)


def _filmstrip(rank: str, score: TrackScore, take: Take, track: PredictedTrack) -> Filmstrip:
    known = sorted(track.frames)
    frames = sorted({known[round(place)] for place in np.linspace(0, len(known) - 1, _FRAMES)})
    close = _pictures(take, track, frames, _HEIGHT, close=True)
    return Filmstrip(rank, score, take.name, frames, close, _pictures(take, track, frames, _LARGER, close=False))


def _pictures(take: Take, track: PredictedTrack, frames: Sequence[int], height: int, *, close: bool) -> list[str]:
    """One a frame: the query view above the target view."""
    panels = panels_of(take, [track], height)
    width = max(panel.size[1] for panel in panels)
    views = zip(*(pictures(take, panel, frames, close=close) for panel in panels), strict=True)
    return [_data_url(np.concatenate([_framed(view, width) for view in of_frame])) for of_frame in views]


def _framed(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Put an image in the middle of a column of the strip."""
    height, own, _ = image.shape
    framed = np.full((height + _GAP, width, 3), BACKGROUND, dtype=np.uint8)
    left = (width - own) // 2
    framed[:height, left : left + own] = image
    return framed


def _data_url(image: NDArray[np.uint8]) -> str:
    data = io.BytesIO()
    Image.fromarray(image).save(data, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
