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
        image: JPEG as a data URL; None where it could not be made.
        size: (height, width) of the image in pixels.
        problem: why it could not be made.
    """

    rank: str
    track: TrackScore
    take_name: str
    frames: Sequence[int] = ()
    image: str | None = None
    size: tuple[int, int] = (0, 0)
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
    """Best, median and worst, each track once."""
    middle = max(0, (len(ranking) - _EACH) // 2)
    places = dict.fromkeys(range(min(_EACH, len(ranking))), "best")
    places |= {len(ranking) - 1 - place: "worst" for place in range(_EACH) if len(ranking) - 1 - place not in places}
    for place in range(middle, min(middle + _EACH, len(ranking))):
        places.setdefault(place, "median")
    for rank in ("best", "median", "worst"):
        for place in sorted(place for place, name in places.items() if name == rank and place >= 0):
            yield ranking[place], rank


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
    panels = panels_of(take, [track], _HEIGHT)
    width = max(panel.size[1] for panel in panels) + _GAP
    rows = [np.concatenate([_framed(image, width) for image in pictures(take, panel, frames)], 1) for panel in panels]
    image = np.concatenate(rows)
    return Filmstrip(rank, score, take.name, frames, _data_url(image), image.shape[:2])


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
