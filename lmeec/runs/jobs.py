"""The jobs of a run: a take in a direction, or some exo cameras of it, the longest first."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lmeec.config import Direction, Targets
from lmeec.files.names import plain
from lmeec.inference.plan import camera_pairs
from lmeec.runs.sources import sources_of
from lmeec.tables.coverage import Pair, Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from lmeec.data.takes import Take


@dataclass(frozen=True, slots=True)
class Share:
    """What one exo camera adds to a job.

    Attributes:
        camera: the exo camera; the target in ego2exo, the query in exo2ego.
        steps: predictions of its pairs; 0 for a camera that is not on disk, whose frames are rows without a prediction.
        encodings: frames of the camera that are encoded.
        egos: the ego cameras that it is paired with.
    """

    camera: str
    steps: int
    encodings: int
    egos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One take in one direction, or a piece of it; says what to do without holding the take.

    Attributes:
        index: the take's place among the run's takes.
        take_uid: the take.
        take_name: its name.
        direction: which views are queries.
        shares: its exo cameras; none if no query mask has a target camera.
        ego_encodings: frames of ego cameras that are encoded, estimated.
        whole: whether it is all of the take in the direction.
        sources: what the cameras are read from; None for one that is not on disk.
        attempt: 1 for the first.
        queued: when it began to wait, in seconds since 1970; None if it has since the run began.
    """

    index: int
    take_uid: str
    take_name: str
    direction: Direction
    shares: tuple[Share, ...] = ()
    ego_encodings: int = 0
    whole: bool = True
    sources: Mapping[str, Source | None] = field(default_factory=dict)
    attempt: int = 1
    queued: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The take and direction."""
        return self.take_uid, self.direction

    @property
    def pairs(self) -> frozenset[Pair]:
        """Query and target cameras."""
        pairs = ((ego, share.camera) for share in self.shares for ego in share.egos)
        return frozenset(pairs if self.direction == "ego2exo" else ((exo, ego) for ego, exo in pairs))

    @property
    def cameras(self) -> frozenset[str]:
        """Names of its cameras."""
        return frozenset(camera for pair in self.pairs for camera in pair)

    @property
    def piece(self) -> str | None:
        """What tells it from other pieces of its take and direction; None for the whole."""
        exos = [share.camera for share in self.shares]
        return None if self.whole else " ".join([*sorted(exos), *sorted(self.cameras.difference(exos))])

    @property
    def steps(self) -> int:
        """Predictions it will need, estimated."""
        return sum(share.steps for share in self.shares)

    @property
    def cost(self) -> int:
        """What to order jobs by: a step of a track and the encoding of a frame take about as long."""
        return self.steps + self.ego_encodings + sum(share.encodings for share in self.shares)

    @property
    def label(self) -> str:
        """How it is called before the user."""
        cameras = [] if self.whole else [plain(share.camera) for share in self.shares]
        return " ".join([plain(self.take_name), self.direction, *cameras])

    @property
    def splits(self) -> bool:
        """Whether it has several exo cameras, which can be predicted apart, as tracks do not depend on others."""
        return len(self.shares) > 1

    def split(self) -> list[Job]:
        """A job for each exo camera."""
        return [replace(self, shares=(share,), whole=False) for share in self.shares]

    def only(self, pairs: Collection[Pair]) -> list[Job]:
        """Jobs for some of its pairs: itself for all, else as few as there are different sets of ego cameras."""
        if self.pairs <= set(pairs):
            return [self]
        wanted: dict[tuple[str, ...], list[Share]] = {}
        for share in self.shares:
            egos = tuple(ego for ego in share.egos if self._pair(ego, share.camera) in pairs)
            if egos:
                steps = share.steps * len(egos) // len(share.egos)
                wanted.setdefault(egos, []).append(replace(share, egos=egos, steps=steps))
        return [replace(self, shares=tuple(shares), whole=False) for shares in wanted.values()]

    def _pair(self, ego: str, exo: str) -> Pair:
        return (ego, exo) if self.direction == "ego2exo" else (exo, ego)


def jobs_of(
    takes: Iterable[Take], directions: Sequence[Direction], objects: Sequence[str] = (), targets: Targets = "all"
) -> Iterator[Job]:
    """Estimate every take in every direction from its annotations, without opening videos or decoding masks."""
    for index, take in enumerate(takes):
        for direction in directions:
            yield _job_of(index, take, direction, objects, targets)


def spared(some: Collection[Job], every: Iterable[Job]) -> str:
    """How much less some jobs are than those of every target camera, in words."""
    rest = list(every)
    predictions, all_predictions = (sum(job.steps for job in jobs) for jobs in (some, rest))
    cost, all_cost = (sum(job.cost for job in jobs) for jobs in (some, rest))
    if predictions == all_predictions:
        return "every target camera has ground truth of its objects: none is left out"
    share = 1 - cost / all_cost if all_cost else 0.0
    return (
        f"target cameras without ground truth of an object are left out: about {predictions:,} of {all_predictions:,} "
        f"predictions are to be made, which with the encodings of frames is {share:.0%} less work"
    )


def _job_of(index: int, take: Take, direction: Direction, objects: Sequence[str], targets: Targets) -> Job:
    egos: dict[str, dict[str, None]] = {}
    steps: dict[str, int] = {}
    frames: dict[str, set[int]] = {}
    for masks, target in camera_pairs(take, direction, objects, targets):
        ego, exo = (masks.camera, target) if direction == "ego2exo" else (target, masks.camera)
        egos.setdefault(exo, {})[ego] = None
        steps.setdefault(exo, 0)
        if take.cameras[target].source is not None and take.cameras[masks.camera].source is not None:
            steps[exo] += len(masks.frames)
            frames.setdefault(ego, set()).update(masks.frames)
            frames.setdefault(exo, set()).update(masks.frames)
    shares = tuple(Share(exo, steps[exo], len(frames.get(exo, ())), tuple(egos[exo])) for exo in sorted(egos))
    encodings = sum(len(seen) for camera, seen in frames.items() if camera not in egos)
    job = Job(index, take.uid, take.name, direction, shares, encodings)
    return replace(job, sources=sources_of(take, job.cameras))


def narrowed(take: Take, cameras: Collection[str]) -> Take:
    """The part of a take that some cameras have."""
    return replace(
        take,
        cameras={name: camera for name, camera in take.cameras.items() if name in cameras},
        tracks={key: track for key, track in take.tracks.items() if key[1] in cameras},
    )


class JobQueue:
    """Jobs that wait, the most costly first; splits jobs when fewer wait than there are workers.

    Args:
        jobs: the jobs.
        workers: how many take from it.

    Example:
        >>> shares = (Share("cam01", 5, 5, ("aria01",)), Share("cam02", 5, 5, ("aria01",)))
        >>> queue = JobQueue([Job(0, "t", "t", "ego2exo", shares)], workers=2)
        >>> [queue.next().label for _ in range(len(queue) + 1)]
        ['t ego2exo cam01', 't ego2exo cam02']
    """

    def __init__(self, jobs: Iterable[Job], workers: int) -> None:
        self._workers = workers
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, int, Job]] = []
        for job in jobs:
            self.put(job)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Add a job; one that failed before comes after all that have not."""
        heapq.heappush(self._waiting, (job.attempt, -job.cost, next(self._order), job))

    def next(self) -> Job | None:
        """Take the next job out; None if none waits."""
        self._split()
        return heapq.heappop(self._waiting)[-1] if self._waiting else None

    def _split(self) -> None:
        while len(self._waiting) < self._workers:
            place = next((i for i, (*_, job) in enumerate(sorted(self._waiting)) if job.splits), None)
            if place is None:
                return
            self._waiting.sort()
            job = self._waiting.pop(place)[-1]
            heapq.heapify(self._waiting)
            for piece in job.split():
                self.put(piece)


def remaining(jobs: Iterable[Job], done: Mapping[tuple[str, str], Collection[Pair]]) -> Iterator[Job]:
    """Jobs, or pieces of them, that are not done.

    Args:
        jobs: whole jobs.
        done: pairs that parts hold, for every take and direction of which there are parts.
    """
    for job in jobs:
        if job.key not in done:
            yield job
        elif left := job.pairs.difference(done[job.key]):
            yield from job.only(left)
