"""EgoTimeQA: questions on Ego4D's clips (instruction tuning).

The shape of `annotations.EgoTimeQA.json` is that which GroundVQA's own code writes (github.com/Becomebright/GroundVQA,
CVPR 2024): `utils/generate_open_qa/generate.py` and `merge.py` write an array of {"video_id" (an Ego4D clip),
"sample_id" (null), "question", "answer", "start_sec", "end_sec", "moment_start_frame", "moment_end_frame" (of 30 a
second, fractions after merging), "narrations"}, and `utils/generate_close_qa/generate.py` adds "wrong_answers", three
of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lmeec.errors import DataError
from lmeec.mllm.data.questions_file import unique
from lmeec.mllm.data.records import placed, read_records
from lmeec.mllm.data.sample import Sample
from lmeec.mllm.data.templates import instructions

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

SOURCE = "egotimeqa"
FRAME_RATE = 30
"""Frames a second of Ego4D's canonical clips, which moments are counted in."""

_SHAPE = "a record has video_id, question, answer, moment_start_frame and moment_end_frame (GroundVQA)"


class _Record(msgspec.Struct):
    video_id: str
    question: str
    answer: str
    moment_start_frame: float
    moment_end_frame: float


def read_egotimeqa(
    path: Path, *, margin: float = 2.0, exclude: Collection[tuple[str, str]] = (), seed: int = 0
) -> list[Sample]:
    """Read EgoTimeQA.

    A question's clip is the moment that its answer is in, with a margin, as moments are a second long on average.

    Args:
        path: `annotations.EgoTimeQA.json`.
        margin: Seconds before and after the moment.
        exclude: Video and question of what must not be learned: those of QAEgo4D's validation and test, which are on
            the same videos; `excluded` makes it of them.
        seed: Of the drawing of instructions.

    Raises:
        DataError: The file is not of that shape.
    """
    found = list(read_records(path, _Record, _SHAPE))
    kept = [
        (place, where, record)
        for place, (where, record) in enumerate(found)
        if (record.video_id, _plain(record.question)) not in exclude
    ]
    samples = []
    told = instructions("question_answering", len(kept), seed, SOURCE)
    for (place, where, record), instruction in zip(kept, told, strict=True):
        start, end = record.moment_start_frame / FRAME_RATE - margin, record.moment_end_frame / FRAME_RATE + margin
        if not record.question.strip() or not record.answer.strip():
            raise DataError(f"{where()}: key {'answer' if record.question.strip() else 'question'}: is empty; {_SHAPE}")
        if end <= max(start, 0.0):
            raise DataError(f"{where()}: key moment_end_frame: the moment ends before it begins; {_SHAPE}")
        with placed(where, _SHAPE):
            samples.append(
                Sample(
                    id=str(place),
                    video=f"{record.video_id}.mp4",
                    source=SOURCE,
                    task="question_answering",
                    instruction=instruction,
                    question=record.question.strip(),
                    answer=record.answer.strip(),
                    start=max(start, 0.0),
                    end=end,
                )
            )
    return unique(samples, path)


def excluded(samples: Collection[Sample]) -> set[tuple[str, str]]:
    """What `read_egotimeqa` is to leave out, so that these samples stay unseen.

    Args:
        samples: QAEgo4D's validation and test, as `read_qaego4d` gives them.
    """
    return {(sample.video.removesuffix(".mp4"), _plain(sample.question)) for sample in samples}


def _plain(question: str) -> str:
    return " ".join(question.casefold().replace("?", " ").replace(",", " ").split())
