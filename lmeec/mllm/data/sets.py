"""Files of questions by the name of their data set, and sources of clips made of others."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING

import numpy as np

from lmeec.errors import DataError
from lmeec.files.reading import understanding
from lmeec.mllm.colours import MEAN_COLOUR
from lmeec.mllm.data.conversations import read_conversations
from lmeec.mllm.data.egomcq import read_egomcq
from lmeec.mllm.data.egoschema import read_egoschema
from lmeec.mllm.data.egotaskqa import read_egotaskqa
from lmeec.mllm.data.egotimeqa import excluded, read_egotimeqa
from lmeec.mllm.data.qaego4d import read_qaego4d
from lmeec.mllm.data.questions_file import read_questions
from lmeec.mllm.data.sample import Clip, Sample
from lmeec.mllm.data.something import read_something

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from lmeec.mllm.data.set_names import Set
    from lmeec.mllm.data.source import AskedClips


def read_set(kind: Set, path: Path, beside: Path | None = None, seed: int = 0) -> list[Sample]:
    """Read a file of questions.

    Args:
        kind: Whose file it is.
        path: The file.
        beside: A second file that belongs to it: the answers of `egoschema`, the clips table of `conversations`, or
            QAEgo4D's questions that `egotimeqa` is to be without.
        seed: Of what a reader draws: instructions, and the order of the options of `qaego4d-closed`.

    Raises:
        DataError: The file is not of that data set's shape; names file, line and key.
    """
    readers: Mapping[Set, Callable[[], list[Sample]]] = {
        "questions": lambda: read_questions(path, seed=seed),
        "conversations": lambda: read_conversations(path, beside, ego_only=beside is not None),
        "something-something-v2": lambda: read_something(path, seed=seed),
        "egotimeqa": lambda: read_egotimeqa(
            path, exclude=excluded(read_qaego4d(beside)) if beside is not None else (), seed=seed
        ),
        "egoschema": lambda: read_egoschema(path, beside),
        "egotaskqa-direct": lambda: read_egotaskqa(path, "direct"),
        "egotaskqa-indirect": lambda: read_egotaskqa(path, "indirect"),
        "qaego4d-open": lambda: read_qaego4d(path),
        "qaego4d-closed": lambda: read_qaego4d(path, closed=True, seed=seed),
        "egomcq": lambda: read_egomcq(path),
    }
    with understanding(path, DataError, f"a file of {kind}", "name the file that belongs to it"):
        return readers[kind]()


@dataclass(frozen=True)
class JoinedClips:
    """Several sources as one; `AskedClips`.

    Attributes:
        sources: In their order.
    """

    sources: tuple[AskedClips, ...]

    @property
    def samples(self) -> Sequence[Sample]:
        """What is asked of each clip."""
        return list(chain.from_iterable(source.samples for source in self.sources))

    def __len__(self) -> int:
        return sum(map(len, self.sources))

    def part(self, first: int, past: int) -> JoinedClips:
        """Some of them; see `AskedClips`."""
        parts = []
        for source in self.sources:
            if first < len(source) and past > 0:
                parts.append(source.part(max(first, 0), min(past, len(source))))
            first, past = first - len(source), past - len(source)
        return JoinedClips(tuple(parts))

    def read(self, place: int) -> Clip:
        """Give a sample with its pictures; see `ClipSource`."""
        ends = list(accumulate(map(len, self.sources)))
        number = bisect_right(ends, place)
        return self.sources[number].read(place - (ends[number - 1] if number else 0))


@dataclass(frozen=True)
class BlankClips:
    """A source whose pictures show nothing, for what a model answers without seeing; `AskedClips`.

    Every pixel has CLIP's mean colour, which is zero where the model computes.

    Attributes:
        source: Whose samples are asked.
    """

    source: AskedClips

    @property
    def samples(self) -> Sequence[Sample]:
        """What is asked of each clip."""
        return self.source.samples

    def __len__(self) -> int:
        return len(self.source)

    def part(self, first: int, past: int) -> BlankClips:
        """Some of them; see `AskedClips`."""
        return BlankClips(self.source.part(first, past))

    def read(self, place: int) -> Clip:
        """Give a sample with blank pictures; see `ClipSource`."""
        clip = self.source.read(place)
        return Clip(clip.sample, _blank(clip.ego), None if clip.exo is None else _blank(clip.exo))


def _blank(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.broadcast_to(np.array(MEAN_COLOUR, np.uint8), pictures.shape).copy()
