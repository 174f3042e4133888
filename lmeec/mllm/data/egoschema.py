"""EgoSchema: five answers to a question about three minutes of video (EgoBench).

The shape is that of github.com/egoschema/EgoSchema: `questions.json` is an array of {"q_uid", "question", "option 0"
to "option 4", ...}, as its `benchmarking/mPLUG-Owl/run_mplug.py` reads it; `subset_answers.json` is an object of q_uid
to the number of the right option, for 500 of the questions; the README names videos by q_uid. The other answers are
not published: those questions are answered without being judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.mllm.data.questions_file import unique
from lmeec.mllm.data.records import placed, read_records
from lmeec.mllm.data.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "egoschema"
_SHAPE = "a record has q_uid, question and option 0 to option 4 (questions.json of EgoSchema)"


class _Record(msgspec.Struct, rename={f"option_{number}": f"option {number}" for number in range(5)}):
    q_uid: str
    question: str
    option_0: str
    option_1: str
    option_2: str
    option_3: str
    option_4: str

    @property
    def options(self) -> tuple[str, ...]:
        return self.option_0, self.option_1, self.option_2, self.option_3, self.option_4


def read_egoschema(path: Path, answers: Path | None = None, *, answered_only: bool = False) -> list[Sample]:
    """Read EgoSchema.

    Args:
        path: `questions.json`.
        answers: `subset_answers.json`, or a file of all answers in its form; None for none.
        answered_only: Leave out questions whose answer is not known.

    Raises:
        DataError: A file is not of that shape, or the answers are to other questions.
    """
    known: dict[str, int] = {} if answers is None else decode_file(answers, dict[str, int])
    samples = []
    for where, record in read_records(path, _Record, _SHAPE):
        number = known.get(record.q_uid)
        if number is not None and not 0 <= number < len(record.options):
            raise DataError(f"{answers}: key {record.q_uid}: {number} is no option from 0 to 4")
        if len(set(record.options)) < len(record.options):
            raise DataError(f"{where()}: two options of question {record.q_uid} are equal; {_SHAPE}")
        if number is None and answered_only:
            continue
        with placed(where, _SHAPE):
            samples.append(
                Sample(
                    id=record.q_uid,
                    video=f"{record.q_uid}.mp4",
                    source=SOURCE,
                    task=SOURCE,
                    question=record.question,
                    answer=None if number is None else record.options[number],
                    options=record.options,
                )
            )
    if known and not any(sample.answer for sample in samples):
        raise DataError(f"{answers}: answers none of the questions in {path}; name the answers that belong to it")
    return unique(samples, path)
