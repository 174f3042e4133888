"""Drawn clips on disk: pictures, marks and facts, drawn once and mapped into memory by all who train.

A folder's name has a digest of all that its pictures depend on. `clips.json` comes last, and says that all is there.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from lmeec.errors import ConfigError, DataError
from lmeec.files.json import decode_file
from lmeec.files.reading import reading
from lmeec.files.whole import written_whole
from lmeec.mllm.data.sample import Clip, Sample
from lmeec.mllm.synthetic.classes import classes_of
from lmeec.mllm.synthetic.drawing import Drawn, draw_take
from lmeec.mllm.synthetic.facts import Facts, plan_takes
from lmeec.mllm.synthetic.marks import CELL
from lmeec.mllm.synthetic.questions import captions, clip_of, questions
from lmeec.mllm.synthetic.world import SEEDS, TAKES, Split, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_DRAWING = 2
"""Raised when equal settings give other pictures, marks, facts or questions than before."""

_PICTURES, _MARKS, _FACTS = "clips.rgb", "clips.marks", "clips.json"


@dataclass(frozen=True)
class DrawnClips:
    """The clips of one split.

    Attributes:
        facts: What is true of each.
        pictures: uint8 [N, 2, T, S, S, 3] RGB, the ego view first; mapped from the file.
        marks: uint8 [N, 2, T, M, 3], what the pictures' cells show; mapped from the file.
        seed: Of the split.
        home: Folder that they are in.
        world: Their setting.
    """

    facts: tuple[Facts, ...]
    pictures: NDArray[np.uint8]
    marks: NDArray[np.uint8]
    seed: int
    home: Path
    world: World

    def __reduce__(self) -> tuple[Callable[[Path, World, int], DrawnClips], tuple[Path, World, int]]:
        """Send where they are to other processes, not hundreds of megabytes of pictures."""
        return _opened, (self.home, self.world, self.seed)

    def captions(self) -> ClipSet:
        """The clips with a sentence each, to be described."""
        return ClipSet(tuple(captions(self.facts, self.seed)), self)

    def questions(self) -> ClipSet:
        """The clips with questions of all tasks."""
        return ClipSet(tuple(questions(self.facts, self.seed)), self)


@dataclass(frozen=True)
class ClipSet:
    """Samples on drawn clips; `lmeec.mllm.data.source.AskedClips`."""

    samples: Sequence[Sample]
    drawn: DrawnClips

    def __len__(self) -> int:
        return len(self.samples)

    def part(self, first: int, past: int) -> ClipSet:
        """Some of them; see `AskedClips`."""
        return ClipSet(self.samples[first:past], self.drawn)

    def of_tasks(self, tasks: Sequence[str]) -> ClipSet:
        """Those of some tasks."""
        return ClipSet(tuple(sample for sample in self.samples if sample.task in tasks), self.drawn)

    def read(self, place: int) -> Clip:
        """A sample with its pictures."""
        sample = self.samples[place]
        number = clip_of(sample)
        ego, exo = np.array(self.drawn.pictures[number])
        marks = np.array(self.drawn.marks[number])
        return Clip(sample, ego, exo, marks, classes_of(self.drawn.facts[number]))


def drawn_clips(
    folder: Path,
    world: World,
    split: Split,
    takes: int | None = None,
    *,
    threads: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> DrawnClips:
    """Give the clips of a split, drawn unless the folder has them.

    Args:
        folder: Where drawn clips are kept; each setting, split and number of takes has a folder of its own there.
        world: The setting.
        split: Which takes.
        takes: How many of them; None for all.
        threads: Threads that draw; 0 takes one a core. They do not change what is drawn.
        on_progress: Called with the takes that are drawn, and all.

    Raises:
        ConfigError: More takes than the split has, or none.
        DataError: What is in the folder is damaged.
        DiskFullError: There is no space.
    """
    count = TAKES[split] if takes is None else takes
    if not 1 <= count <= TAKES[split]:
        raise ConfigError(f"takes must be from 1 to {TAKES[split]} for {split}, not {count}")
    about = {"drawing": _DRAWING, "world": asdict(world), "seed": SEEDS[split], "takes": count}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    home = folder / f"{split}-{digest}"
    if not (home / _FACTS).exists():
        _draw(home, world, SEEDS[split], count, threads or len(os.sched_getaffinity(0)), on_progress)
    return _opened(home, world, SEEDS[split])


def _draw(
    home: Path, world: World, seed: int, takes: int, threads: int, on_progress: Callable[[int, int], None] | None
) -> None:
    """Draw takes on threads, a few ahead of what is written."""
    kept: list[Facts] = []
    plans = plan_takes(world, seed, takes)
    with (
        ThreadPoolExecutor(threads, "drawing") as pool,
        written_whole(home / _PICTURES) as pictures,
        written_whole(home / _MARKS) as marks,
    ):
        ahead: deque[Future[list[Drawn]]] = deque(
            pool.submit(draw_take, world, *plan) for plan in islice(plans, 2 * threads)
        )
        done = 0
        while ahead:
            for one in ahead.popleft().result():
                pictures.write(np.ascontiguousarray(one.pictures).data)
                marks.write(np.ascontiguousarray(one.marks).data)
                kept.append(one.facts)
            ahead.extend(pool.submit(draw_take, world, *plan) for plan in islice(plans, 1))
            done += 1
            if on_progress is not None:
                on_progress(done, takes)
    with written_whole(home / _FACTS) as file:
        file.write(msgspec.json.encode(kept))


def _opened(home: Path, world: World, seed: int) -> DrawnClips:
    mend = f"remove {home}, and they are drawn anew"
    facts = decode_file(home / _FACTS, tuple[Facts, ...], mend)
    looks = (len(facts), 2, world.frames)
    pictures = _mapped(home / _PICTURES, (*looks, world.size, world.size, 3), mend)
    marks = _mapped(home / _MARKS, (*looks, (world.size // CELL) ** 2, 3), mend)
    return DrawnClips(facts, pictures, marks, seed, home, world)


def _mapped(path: Path, shape: tuple[int, ...], mend: str) -> NDArray[np.uint8]:
    with reading(path, DataError, "drawn clips", mend):
        size, wanted = path.stat().st_size, math.prod(shape)
        if size != wanted:
            raise DataError(f"{path}: drawn clips are damaged: it has {size} bytes, but {wanted} belong there; {mend}")
        return np.memmap(path, np.uint8, "r", shape=shape) if size else np.zeros(shape, np.uint8)
