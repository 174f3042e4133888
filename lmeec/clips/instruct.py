"""Instruction data of clips: conversations as LLaVA-Video and VideoLLaMA2 are trained on, a JSON array or JSON lines.

    {"id", "video", "conversations": [{"from": "human", "value"}, {"from": "gpt", "value"}], "task", "take_uid"}

`video` is relative to the folder that clips are cut to, and is there if they are cut to MP4 files. Their loaders read
one video a conversation, so that nothing is asked that needs two, as which view is best.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from lmeec.clips.captions import caption_of
from lmeec.clips.mentions import spoken_name
from lmeec.clips.read import scan_clip_takes
from lmeec.clips.templates import QUESTIONS, TASKS, Task, enumeration
from lmeec.errors import DataError, OutputError, require
from lmeec.files.reading import understanding
from lmeec.files.whole import naming_the_file, written_whole

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

Side = Literal["train", "val"]

_COLUMNS = (
    "take_uid",
    "annotator",
    "clip_id",
    "text",
    "timestamp",
    "exo_cam",
    "is_best_exo",
    "ego_visible",
    "ego_clip",
    "exo_clip",
    "objects",
)


@dataclass(frozen=True, slots=True)
class InstructConfig:
    """How instruction data are drawn.

    Attributes:
        val_share: Share of the takes that are held out, at least one of several unless it is 0, and never all.
        seed: The same seed gives the same data.
        in_words: Say "the camera wearer" and "another person" for the annotators' C and O.

    Raises:
        ConfigError: A value is outside of what it may be.
    """

    val_share: float = 0.1
    seed: int = 0
    in_words: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.val_share < 1, "val_share", self.val_share, "from 0 to less than 1")
        require(self.seed >= 0, "seed", self.seed, "zero or more")


@dataclass(frozen=True, slots=True)
class InstructSummary:
    """What was written.

    Attributes:
        conversations: Of each side and task.
        candidates: Of each side and task, how many there were to draw from.
        takes: Of each side.
        clips: How many there are in the table.
        without_video: Of those, how many have no file in the folder of videos and are left out.
    """

    conversations: dict[str, dict[str, int]]
    candidates: dict[str, dict[str, int]]
    takes: dict[str, int]
    clips: int
    without_video: int


@dataclass(frozen=True, slots=True)
class _Moment:
    """One described clip in all its views."""

    clip_id: str
    text: str
    following: str | None
    ego: str | None
    exos: Mapping[str, str]
    best: str | None
    objects: tuple[str, ...]

    @property
    def has_video(self) -> bool:
        """Whether there is a view to ask about."""
        return self.ego is not None or bool(self.exos)

    def tasks(self) -> Iterator[Task]:
        """What can be asked of it."""
        if not self.has_video:
            return
        yield "describe"
        if self.objects:
            yield "manipulated"
        if self.following is not None:
            yield "next"


def validation_file(out: Path) -> Path:
    """Where the held-out side goes: `data.val.jsonl` beside `data.jsonl`."""
    return out.with_name(f"{out.stem}.val{out.suffix}")


def write_instructions(
    table: Path, out: Path, config: InstructConfig, *, videos: Path | None = None, overwrite: bool = False
) -> InstructSummary:
    """Turn a clips table into conversations.

    Each side holds as many conversations of one task as of another, drawn at random where there are more; a task
    that nothing can be asked of is left out. A task's questions are used equally often. What comes next is the
    annotator's next sentence, and is asked only if the table has that: an answer passes over nothing that was left out
    of the table or merged into another's sentence. The table is read twice, a take at a time.

    Args:
        table: A clips table.
        out: The file for the training side; that of the held-out takes is `validation_file(out)`. Its name says
            what it is: .json is one array, which VideoLLaMA2's and LLaVA-Video's loaders read, .jsonl an object a line.
        config: How to draw.
        videos: The folder that the clips were cut to: what has no file there is not asked about. None does not look.
        overwrite: Replace files that are there; a file of held-out takes is removed if none are held out now.

    Raises:
        DataError: The table holds no clips, or none with a file in `videos`.
        OutputError: `out` is named otherwise, the table cannot be read, or a file is there or cannot be written.
    """
    opening = _WRITERS.get(out.suffix.lower())
    if opening is None:
        raise OutputError(
            f"{out}: give `out` a name that ends in .json, for loaders that read one array, or in .jsonl",
            settings=["out"],
        )
    files: dict[Side, Path] = {"train": out}
    if config.val_share:
        files["val"] = validation_file(out)
    for path in (out, validation_file(out)):
        if path.exists() and not overwrite:
            raise OutputError(
                f"{path} exists already: name another file, or pass `overwrite=True` to replace what is there",
                settings=["overwrite"],
            )
    counts: dict[str, Counter[Task]] = {}
    clips = shown = 0
    for uid, moments in _takes(table, videos):
        counts[uid] = Counter(task for one in moments for task in one.tasks())
        clips, shown = clips + len(moments), shown + sum(one.has_video for one in moments)
    if not counts:
        raise DataError(f"{table} holds no clips: see what `lmeec clips` left out, and why")
    if not shown:
        raise DataError(
            f"none of the {clips} clips of {table} has a file in {videos}: cut them to MP4 files there first"
        )
    side_of = _sides(counts, config)
    candidates: dict[Side, Counter[Task]] = {side: Counter() for side in files}
    for uid, of_take in counts.items():
        candidates[side_of[uid]].update(of_take)
    draws = {(side, task): _Draw(side, task, candidates[side], config.seed) for side in files for task in TASKS}
    with ExitStack() as stack:
        write = {
            side: stack.enter_context(opening(stack.enter_context(written_whole(path)))) for side, path in files.items()
        }
        for uid, moments in _takes(table, videos):
            side = side_of[uid]
            for record in _records(uid, moments, {task: draws[side, task] for task in TASKS}, config):
                write[side](json.dumps(record, ensure_ascii=False).encode(errors="replace"))
    if "val" not in files:
        with naming_the_file(validation_file(out)):
            validation_file(out).unlink(missing_ok=True)
    return InstructSummary(
        conversations={side: {task: draws[side, task].size for task in TASKS} for side in files},
        candidates={side: {task: candidates[side][task] for task in TASKS} for side in files},
        takes={side: sum(one == side for one in side_of.values()) for side in files},
        clips=clips,
        without_video=clips - shown,
    )


@contextmanager
def _lines(file: BinaryIO) -> Iterator[Callable[[bytes], object]]:
    """JSON lines."""
    yield lambda record: file.write(record + b"\n")


@contextmanager
def _array(file: BinaryIO) -> Iterator[Callable[[bytes], object]]:
    """One JSON array, an element a line."""
    begun = itertools.chain([b"[\n"], itertools.repeat(b",\n"))
    yield lambda record: file.write(next(begun) + record)
    file.write(b"[]\n" if next(begun) == b"[\n" else b"\n]\n")


_WRITERS = {".json": _array, ".jsonl": _lines}


class _Draw:
    """Which of the candidates of one side and task are taken, and how each is asked; follows from the seed alone."""

    def __init__(self, side: Side, task: Task, candidates: Counter[Task], seed: int) -> None:
        self._random = np.random.default_rng([seed, *side.encode(), *task.encode()])
        self.size = min(count for count in candidates.values() if count) if candidates[task] else 0
        self._places = set(self._random.choice(candidates[task], self.size, replace=False).tolist())
        self._questions = self._evenly(len(QUESTIONS[task]))
        self._coins = self._evenly(2)
        self._seen = self._taken = 0

    def take(self) -> tuple[int, bool, np.random.Generator] | None:
        """Give the number of the question and a fair coin if the next candidate is taken, else None."""
        self._seen += 1
        if self._seen - 1 not in self._places:
            return None
        self._taken += 1
        return int(self._questions[self._taken - 1]), bool(self._coins[self._taken - 1]), self._random

    def _evenly(self, kinds: int) -> NDArray[np.int64]:
        """Numbers under `kinds`, each as often as any other up to one, in an order that repeats nowhere."""
        rounds = -(-self.size // kinds)
        return np.concatenate([np.zeros(0, np.int64), *(self._random.permutation(kinds) for _ in range(rounds))])


def _sides(uids: Iterable[str], config: InstructConfig) -> dict[str, Side]:
    """Which side each take is on; a take's place does not depend on the other takes' names."""
    ranked = sorted(uids, key=lambda uid: hashlib.sha256(f"{config.seed}/{uid}".encode(errors="replace")).digest())
    wanted = max(round(config.val_share * len(ranked)), 1 if config.val_share else 0)
    held_out = min(wanted, len(ranked) - 1)
    return {uid: "val" if place < held_out else "train" for place, uid in enumerate(ranked)}


def _takes(table: Path, videos: Path | None) -> Iterator[tuple[str, list[_Moment]]]:
    for rows in scan_clip_takes(table, _COLUMNS):
        with understanding(table, OutputError, "a clips table", "make it again with `lmeec clips`"):
            of_take = rows["take_uid"][0].as_py(), _moments(rows, videos)
        yield of_take


def _moments(rows: pa.Table, videos: Path | None) -> list[_Moment]:
    def there(clip: str) -> bool:
        return videos is None or (videos / clip).is_file()

    by_clip: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows.to_pylist():
        by_clip[row["clip_id"]].append(row)
    following = _following([of_clip[0] for of_clip in by_clip.values()])
    moments = []
    for clip_id, of_clip in by_clip.items():
        first = of_clip[0]
        objects = dict.fromkeys(spoken_name(one["name"]) for one in first["objects"] or ())
        moments.append(
            _Moment(
                clip_id=clip_id,
                text=first["text"],
                following=following.get(clip_id),
                ego=first["ego_clip"] if first["ego_visible"] is not False and there(first["ego_clip"]) else None,
                exos={row["exo_cam"]: row["exo_clip"] for row in of_clip if there(row["exo_clip"])},
                best=next((row["exo_cam"] for row in of_clip if row["is_best_exo"]), None),
                objects=tuple(objects),
            )
        )
    return moments


def _following(clips: list[dict[str, Any]]) -> dict[str, str]:
    """Clip to the text of the annotator's next one in time, unless the table lacks one that was between them.

    Clips are in the order of time; their ids end in the number of the annotation and of the description in it. An
    annotation without an annotator's name is on its own.
    """
    chains: dict[str, list[tuple[float, str, int, dict[str, Any]]]] = defaultdict(list)
    for row in clips:
        annotation, number = row["clip_id"].rsplit("-", 1)
        chains[row["annotator"] or annotation].append((row["timestamp"], annotation, int(number), row))
    found: dict[str, str] = {}
    for chain in chains.values():
        times = [time for time, *_ in chain]
        for place, (time, annotation, number, row) in enumerate(chain):
            after = bisect_right(times, time)
            if after < len(chain) and chain[after][1:3] == (annotation, number + after - place):
                found[row["clip_id"]] = chain[after][3]["text"]
    return found


def _records(
    uid: str, moments: list[_Moment], draws: Mapping[Task, _Draw], config: InstructConfig
) -> Iterator[dict[str, Any]]:
    for moment in moments:
        for task in moment.tasks():
            drawn = draws[task].take()
            if drawn is None:
                continue
            number, coin, random = drawn
            yield {
                "id": f"{moment.clip_id}-{task}",
                "video": _view(moment, coin, random),
                "conversations": [
                    {"from": "human", "value": f"<video>\n{QUESTIONS[task][number]}"},
                    {"from": "gpt", "value": _answer(moment, task, in_words=config.in_words)},
                ],
                "task": task,
                "take_uid": uid,
            }


def _answer(moment: _Moment, task: Task, *, in_words: bool) -> str:
    if task == "manipulated":
        return _sentence(moment.objects)
    said = moment.text if task == "describe" else moment.following
    assert said is not None  # what comes next is asked of no other moment
    return caption_of(said) if in_words else said


def _view(moment: _Moment, ego: bool, random: np.random.Generator) -> str:
    """The ego clip, or the best exo clip if it is known, else any."""
    if moment.ego is not None and (ego or not moment.exos):
        return moment.ego
    best = moment.best if moment.best in moment.exos else None
    return moment.exos[best or str(random.choice(list(moment.exos)))]


def _sentence(objects: tuple[str, ...]) -> str:
    said = enumeration([f"the {name}" for name in objects]) if objects else ""
    return f"{said[:1].upper()}{said[1:]}."
