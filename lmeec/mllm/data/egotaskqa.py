"""EgoTaskQA: questions on tasks in LEMMA's first-person videos (EgoBench).

The shape of `{train,val,test}_qas.json`, in a folder `direct` or `indirect`, is that which
github.com/Buzz-Beater/EgoTaskQA writes: `baselines/preprocess/qas2tagged_qas.py` gives each of an array of questions
"question_id", and `split.py` reads "question", "answer", "type", "category", "semantic", "structural" and "reference".
"interval" is `video|person|first|past`: `baselines/dataset/dataset.py` reads from it the pictures of
`<video>/fpv<number of the person>/img_<number>.jpg`, numbered from 1, of the frames from first up to, not including,
past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from lmeec.errors import DataError
from lmeec.mllm.data.questions_file import unique
from lmeec.mllm.data.records import placed, read_records
from lmeec.mllm.data.sample import Sample
from lmeec.mllm.data.templates import SHORT_ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = "egotaskqa"
_SHAPE = "a record has question, answer, question_id and interval, as video|P1|first|past (EgoTaskQA)"

Form = Literal["direct", "indirect"]


class _Record(msgspec.Struct):
    question: str
    answer: str
    question_id: int
    interval: str


def read_egotaskqa(path: Path, form: Form) -> list[Sample]:
    """Read EgoTaskQA; videos are folders of pictures, as `<video>/fpv1`.

    Args:
        path: `test_qas.json` of the form's folder.
        form: Which of the two splits it is; scores are given by it.

    Raises:
        DataError: The file is not of that shape.
    """
    samples = []
    for where, record in read_records(path, _Record, _SHAPE):
        video, first, past = _interval(record.interval, where)
        with placed(where, _SHAPE):
            samples.append(
                Sample(
                    id=str(record.question_id),
                    video=video,
                    source=SOURCE,
                    task=f"{SOURCE}/{form}",
                    instruction=SHORT_ANSWER,
                    question=record.question,
                    answer=record.answer,
                    frames=(first, past),
                )
            )
    return unique(samples, path)


def _interval(text: str, where: Callable[[], str]) -> tuple[str, int, int]:
    parts = text.split("|")
    try:
        video, person, first, past = parts[0], parts[1], int(parts[2]), int(parts[3])
        if len(parts) != 4 or not person[-1:].isdigit() or not video or not 0 <= first < past:
            raise ValueError
    except (ValueError, IndexError):
        raise DataError(f"{where()}: key interval: {text!r} is not video|P1|first|past; {_SHAPE}") from None
    return f"{video}/fpv{person[-1]}", first, past
