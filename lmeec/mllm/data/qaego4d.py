"""QAEgo4D: questions on what happened in Ego4D's clips, open and with options (EgoBench).

The shape of `annotations.{train,val,test}.json` is in the README of github.com/lbaermann/qaego4d: an array of
{"video_id" (an Ego4D clip), "sample_id", "question", "answer", "moment_start_frame", "moment_end_frame"}, of 30 frames
a second (`tools/create_pure_videoqa_json.py`). The closed form, `annotations.QaEgo4D_test_close.json`, adds
"wrong_answers", three of them: `model/ours/dataset.py` of github.com/Becomebright/GroundVQA reads it so, and shuffles
the four at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from lmeec.errors import DataError
from lmeec.mllm.data.questions_file import unique
from lmeec.mllm.data.records import placed, read_records
from lmeec.mllm.data.sample import Sample
from lmeec.mllm.data.templates import SHORT_ANSWER

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "qaego4d"
_SHAPE = "a record has video_id, sample_id, question and answer, and wrong_answers in the closed form (QAEgo4D)"


class _Record(msgspec.Struct):
    video_id: str
    sample_id: str
    question: str
    answer: str
    wrong_answers: tuple[str, ...] = ()


def read_qaego4d(path: Path, *, closed: bool = False, seed: int = 0) -> list[Sample]:
    """Read QAEgo4D; the clip is the whole video, as the moment is part of the truth.

    Args:
        path: `annotations.test.json`, or `annotations.QaEgo4D_test_close.json` for the closed form.
        closed: Give options: the answer and the wrong ones, in an order that follows from the seed.
        seed: Of that order.

    Raises:
        DataError: The file is not of that shape, or has no wrong answers where options are asked for.
    """
    samples = []
    for where, record in read_records(path, _Record, _SHAPE):
        options: tuple[str, ...] = ()
        if closed:
            if not record.wrong_answers:
                raise DataError(
                    f"{where()}: key wrong_answers: is missing or empty, so that nothing is to choose from; {_SHAPE}"
                )
            others = [answer for answer in dict.fromkeys(record.wrong_answers) if answer != record.answer]
            random = np.random.default_rng([seed, *record.sample_id.encode()])
            options = tuple(str(answer) for answer in random.permutation([record.answer, *others]))
        with placed(where, _SHAPE):
            samples.append(
                Sample(
                    id=record.sample_id,
                    video=f"{record.video_id}.mp4",
                    source=SOURCE,
                    task="qaego4d/closed" if closed else "qaego4d/open",
                    instruction="" if closed else SHORT_ANSWER,
                    question=record.question,
                    answer=record.answer,
                    options=options,
                )
            )
    return unique(samples, path)
