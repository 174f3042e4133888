"""What is to be taken back of a table: its takes, those that are not on disk too, and the jobs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from lmeec.config import VIEWS
from lmeec.data.take import Camera, Take
from lmeec.errors import DataError
from lmeec.files.names import first_few, show
from lmeec.runs.jobs import Job, Share
from lmeec.runs.sources import sources_of
from lmeec.tables import Output, RunMetadata, read_coverage, scan_takes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from lmeec.config import Direction, View
    from lmeec.data.takes import TakeSet
    from lmeec.files.locations import Location
    from lmeec.tables.coverage import Pair, Source

    Key: TypeAlias = tuple[str, Direction]

_ROW = ("take_name", "object", "query_cam", "target_cam", "frame", "missing")


class CycleTakes:
    """The takes of a table, those that are not on disk too; these say so as their problem.

    Args:
        takes: those on disk.
        places: uid and name of each take of the table, and its place on disk; None for one that is not there.
        cameras: names and views of the cameras that the table has of each.
    """

    def __init__(
        self, takes: TakeSet, places: Sequence[tuple[str, str, int | None]], cameras: Mapping[str, Mapping[str, View]]
    ) -> None:
        self._takes, self._places, self._cameras = takes, places, cameras

    def __getitem__(self, index: int) -> Take:
        """One take, with every camera that the table has of it."""
        uid, name, place = self._places[index]
        unknown = {
            camera: Camera(camera, view, None, "the take has no such camera")
            for camera, view in sorted(self._cameras[uid].items())
        }
        if place is None:
            problem = f"take {show(name)} ({show(uid)}) of the table is not in {self._takes.root}"
            return Take(uid, name, None, unknown, {}, (problem,), "")
        take = self._takes[place]
        return replace(take, cameras={**unknown, **take.cameras})


@dataclass
class _Tally:
    """What a table has of a take in a direction."""

    name: str
    steps: dict[Pair, int] = field(default_factory=lambda: defaultdict(int))
    frames: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    queries: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))


def plan_cycle(table: Output, on: TakeSet, directions: Sequence[Direction]) -> tuple[CycleTakes, list[Job]]:
    """The takes and jobs of a table.

    Args:
        table: the table.
        on: takes on disk.
        directions: those of the table.

    Raises:
        DataError: none of its takes is on disk, or the annotations lack a query mask of a prediction.
    """
    tallies = _tallies(table.path)
    names = {uid: tally.name for (uid, _), tally in tallies.items()}
    cameras: dict[str, dict[str, View]] = defaultdict(dict)
    for (uid, direction), tally in tallies.items():
        for pair in tally.steps:
            cameras[uid] |= dict(zip(pair, VIEWS[direction], strict=True))
    on_disk = {}
    for place, take in enumerate(on):
        if take.uid in names:
            on_disk[take.uid] = place
            for direction in directions:
                if (take.uid, direction) in tallies and take.tracks:
                    _check_queries(table, take, tallies[take.uid, direction])
    if not on_disk:
        raise DataError(
            f"none of the {len(names)} takes of {table} is in {on.root} ({first_few(map(show, names))}): "
            "give the folder that it was predicted from"
        )
    places = [(uid, names[uid], on_disk.get(uid)) for uid in sorted(names)]
    takes = CycleTakes(on, places, cameras)
    index = {uid: number for number, (uid, _, _) in enumerate(places)}
    sources = {uid: sources_of(takes[index[uid]], cameras[uid]) for uid in names}
    return takes, [
        _job(index[uid], (uid, direction), tally, sources[uid]) for (uid, direction), tally in tallies.items()
    ]


def _tallies(table: Location) -> dict[Key, _Tally]:
    found: dict[Key, _Tally] = {}
    for uid, direction, rows in scan_takes(table, _ROW):
        names, objects, queries, targets, frames, missing = (rows[name].to_pylist() for name in _ROW)
        tally = found.setdefault((uid, cast("Direction", direction)), _Tally(names[0]))
        for name, query, target, frame, why in zip(objects, queries, targets, frames, missing, strict=True):
            tally.steps[query, target] += why is None
            if why is None:
                tally.queries[name, query].add(frame)
                tally.frames[query].add(frame)
                tally.frames[target].add(frame)
    return found


def _check_queries(table: Output, take: Take, tally: _Tally) -> None:
    for (name, camera), frames in tally.queries.items():
        masks = take.tracks.get((name, camera))
        lacking = frames - set(() if masks is None else masks.encoded)
        if lacking:
            raise DataError(
                f"the annotations do not fit {table}: take {show(take.name)}, object {show(name)}, camera "
                f"{show(camera)} has no query mask at frame {min(lacking)}, where the table has a prediction; give the "
                "annotations that it was predicted from as `annotations`",
                settings=["annotations"],
            )


def _job(index: int, key: Key, tally: _Tally, sources: Mapping[str, Source | None]) -> Job:
    uid, direction = key
    egos: dict[str, list[str]] = defaultdict(list)
    steps: dict[str, int] = defaultdict(int)
    for (query, target), count in sorted(tally.steps.items()):
        ego, exo = (query, target) if direction == "ego2exo" else (target, query)
        egos[exo].append(ego)
        steps[exo] += count
    shares = tuple(Share(exo, steps[exo], len(tally.frames[exo]), tuple(egos[exo])) for exo in sorted(egos))
    encodings = sum(len(frames) for camera, frames in tally.frames.items() if camera not in egos)
    needed = {camera for pair in tally.steps for camera in pair}
    return Job(
        index,
        uid,
        tally.name,
        direction,
        shares,
        encodings,
        sources={camera: sources[camera] for camera in sorted(needed)},
    )


def notices_of(table: Output, jobs: Sequence[Job], before: RunMetadata, digest: str) -> Iterator[str]:
    """What does not look like what the table was made from."""
    if before.annotation_digest != digest:
        yield (
            f"note: the annotations are other files than those that {table} was made with; they have all of its "
            "query masks, and only these are used"
        )
    coverage = read_coverage(table.path)
    changed = [
        f"take {show(one.take_name)}, camera {show(camera)}"
        for one in jobs
        if one.key in coverage
        for camera in coverage[one.key].changed(one.sources)
        if _same_kind(coverage[one.key].sources[camera], one.sources[camera])
    ]
    if changed:
        yield (
            f"warning: {len(changed)} cameras are other files than those that {table} was predicted from, which "
            f"its masks may not fit: {first_few(dict.fromkeys(changed))}"
        )


def _same_kind(then: Source | None, now: Source | None) -> bool:
    return then is not None and now is not None and then.kind == now.kind
