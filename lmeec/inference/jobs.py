"""The jobs of a run: a take in a direction, or one target camera of it, the longest first."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lmeec.config import Direction
from lmeec.inference.plan import camera_pairs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from lmeec.data.takes import Take


@dataclass(frozen=True, slots=True)
class Share:
    """What one target camera adds to a job.

    Attributes:
        camera: the target camera.
        steps: predictions in it; 0 for a camera that is not on disk, whose frames are rows without a prediction.
        encodings: frames of the camera that are encoded.
    """

    camera: str
    steps: int
    encodings: int


@dataclass(frozen=True, slots=True)
class Job:
    """One take in one direction, or one target camera of it; says what to do without holding the take.

    Attributes:
        index: the take's place among the run's takes.
        take_uid: the take.
        take_name: its name.
        direction: which views are queries.
        shares: its target cameras; none if no query mask has one.
        query_encodings: frames of query cameras that are encoded, estimated.
        target_camera: the only target camera; None for all.
        attempt: 1 for the first.
    """

    index: int
    take_uid: str
    take_name: str
    direction: Direction
    shares: tuple[Share, ...] = ()
    query_encodings: int = 0
    target_camera: str | None = None
    attempt: int = 1

    @property
    def steps(self) -> int:
        """Predictions it will need, estimated."""
        return sum(share.steps for share in self.shares)

    @property
    def cost(self) -> int:
        """What to order jobs by: a step of a track and the encoding of a frame take about as long."""
        return self.steps + self.query_encodings + sum(share.encodings for share in self.shares)

    @property
    def label(self) -> str:
        """How it is called before the user."""
        camera = f" {self.target_camera}" if self.target_camera is not None else ""
        return f"{self.take_name} {self.direction}{camera}"

    @property
    def splits(self) -> bool:
        """Whether it has several target cameras, which can be predicted apart."""
        return self.target_camera is None and len(self.shares) > 1

    def split(self, cameras: Collection[str] | None = None) -> list[Job]:
        """A job for each target camera, or for each of these; their tracks do not depend on each other."""
        return [
            replace(self, shares=(share,), target_camera=share.camera)
            for share in self.shares
            if cameras is None or share.camera in cameras
        ]


def jobs_of(takes: Iterable[Take], directions: Sequence[Direction], objects: Sequence[str] = ()) -> Iterator[Job]:
    """Estimate every take in every direction from its annotations, without opening videos or decoding masks."""
    for index, take in enumerate(takes):
        for direction in directions:
            steps: dict[str, int] = {}
            frames: dict[str, set[int]] = {}
            for masks, target in camera_pairs(take, direction, objects):
                steps.setdefault(target, 0)
                if take.cameras[target].source is not None and take.cameras[masks.camera].source is not None:
                    steps[target] += len(masks.frames)
                    frames.setdefault(target, set()).update(masks.frames)
                    frames.setdefault(masks.camera, set()).update(masks.frames)
            shares = tuple(Share(camera, count, len(frames.get(camera, ()))) for camera, count in steps.items())
            query = sum(len(seen) for camera, seen in frames.items() if camera not in steps)
            yield Job(index, take.uid, take.name, direction, shares, query)


def narrowed(take: Take, job: Job) -> Take:
    """The part of a take that a job needs: its query cameras, and its target camera if it has but one."""
    if job.target_camera is None:
        return take
    query_is_ego = job.direction == "ego2exo"
    cameras = {
        name: camera
        for name, camera in take.cameras.items()
        if camera.is_ego == query_is_ego or name == job.target_camera
    }
    tracks = {key: track for key, track in take.tracks.items() if key[1] in cameras}
    return replace(take, cameras=cameras, tracks=tracks)


class JobQueue:
    """Jobs that wait, the most costly first; splits jobs when fewer wait than there are workers.

    Args:
        jobs: the jobs.
        workers: how many take from it.

    Example:
        >>> shares = (Share("cam01", 5, 5), Share("cam02", 5, 5))
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


def remaining(jobs: Iterable[Job], done: Mapping[tuple[str, str], set[str | None]]) -> Iterator[Job]:
    """Jobs, or their target cameras, that no part is there of.

    Args:
        jobs: whole jobs.
        done: for a take and direction, the target cameras that parts hold; None stands for all.
    """
    for job in jobs:
        cameras = done.get((job.take_uid, job.direction), set())
        if None in cameras:
            continue
        missing = [share.camera for share in job.shares if share.camera not in cameras]
        if not cameras:
            yield job
        elif missing:
            yield from job.split(missing)
