"""The project's own file of questions, for every data set that has no reader: JSON, documented in docs/exo2ego.md.

A JSON array, or JSON lines (.jsonl), of objects with the keys of `Question`. What is left out has its default; a key
that is not known is a mistake.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from lmeec.errors import DataError
from lmeec.mllm.data.records import placed, read_records
from lmeec.mllm.data.sample import Sample
from lmeec.mllm.data.templates import INSTRUCTIONS, instructions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPE = "docs/exo2ego.md shows the keys of a question"


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """One record.

    Attributes:
        video: The video, or folder of pictures, relative to the folder of videos.
        question: What is asked; may be empty if there is an instruction.
        answer: What is true; null or absent if it is not known.
        options: Answers to choose from.
        id: Tells records apart; its number in the file if absent.
        source: The data set; the file's name if absent.
        task: Scores are given by task.
        instruction: The line on the task and the form of the answer; if absent, one of ours is drawn for the tasks
            `action_recognition`, `question_answering` and `description`.
        start: Beginning of the clip, in seconds.
        end: End of the clip, in seconds.
        start_frame: First frame of the clip, in place of seconds.
        end_frame: One past the last.
        exo_video: The video of an exo camera at the same instants.
        group: Candidates of one question share it.
        right: Whether it is its group's right candidate.
    """

    video: str
    question: str = ""
    answer: str | None = None
    options: tuple[str, ...] = ()
    id: str | int | None = None
    source: str | None = None
    task: str = "question"
    instruction: str | None = None
    start: float | None = None
    end: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None
    exo_video: str | None = None
    group: str | None = None
    right: bool | None = None


def read_questions(path: Path, *, seed: int = 0) -> list[Sample]:
    """Read a file of questions.

    Args:
        path: The file.
        seed: Of the drawing of instructions where records have none.

    Raises:
        DataError: A record lacks a key, has one too many, or says what cannot be; names file, line and key.
    """
    samples: list[Sample] = []
    records = list(read_records(path, Question, SHAPE))
    told = _drawn([record for _, record in records], seed, path.stem)
    for where, record in records:
        instruction = next(told[record.task]) if _is_drawn(record) else record.instruction or ""
        if not (record.question.strip() or instruction.strip()):
            raise DataError(f"{where()}: key question: there is neither a question nor an instruction; {SHAPE}")
        if (record.start_frame is None) != (record.end_frame is None):
            raise DataError(f"{where()}: give both of start_frame and end_frame, or none; {SHAPE}")
        frames = None
        if record.start_frame is not None and record.end_frame is not None:
            frames = (record.start_frame, record.end_frame)
        if frames is not None and (record.start is not None or record.end is not None):
            raise DataError(f"{where()}: give seconds or frames, not both; {SHAPE}")
        with placed(where, SHAPE):
            samples.append(
                Sample(
                    id=str(len(samples) if record.id is None else record.id),
                    video=record.video,
                    source=record.source or path.stem,
                    task=record.task,
                    instruction=instruction,
                    question=record.question,
                    answer=record.answer,
                    options=record.options,
                    start=record.start,
                    end=record.end,
                    frames=frames,
                    exo_video=record.exo_video,
                    group=record.group,
                    right=record.right,
                )
            )
    return unique(samples, path)


def _is_drawn(record: Question) -> bool:
    return record.instruction is None and record.task in INSTRUCTIONS


def _drawn(records: list[Question], seed: int, source: str) -> dict[str, Iterator[str]]:
    """Instructions for the records that have none, by task; each of a task's comes as often as the others."""
    counts = Counter(record.task for record in records if _is_drawn(record))
    return {kind: instructions(kind, counts[kind], seed, source) for kind in INSTRUCTIONS}


def unique(samples: list[Sample], path: Path) -> list[Sample]:
    """Give samples back if there are any and their ids differ.

    Raises:
        DataError: The file has no samples, or two of one id.
    """
    if not samples:
        raise DataError(f"{path}: holds no questions; name another file")
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise DataError(f"{path}: two questions have the id {sample.id!r}; give each its own")
        seen.add(sample.id)
    return samples
