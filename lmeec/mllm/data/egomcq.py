"""EgoMCQ: which of five clips a sentence tells of (EgoBench).

The shape of `egomcq.json` is that which `data_loader/EgoClip_EgoMCQ_dataset.py` of github.com/showlab/EgoVLP reads: an
object of question number to {"query": {"clip_text", ...}, "choices": {number: {"video_uid", "clip_start", "clip_end",
...}}, "answer" (the number of the right choice), "types"}. Which of the two types is inter and which intra, the
loader's comment and `model/metric.py` of the same repository say in opposite ways; here it is taken from what the
words mean: the five clips of an intra-video question are of one video.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lmeec.clips.captions import caption_of
from lmeec.errors import DataError
from lmeec.files.json import decode_file, decoder_of
from lmeec.files.reading import in_short
from lmeec.mllm.data.questions_file import unique
from lmeec.mllm.data.records import placed
from lmeec.mllm.data.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "egomcq"
INTER, INTRA = "egomcq/inter", "egomcq/intra"
_SHAPE = "each question has query, choices and answer (egomcq.json of EgoVLP)"


class _Query(msgspec.Struct):
    clip_text: str


class _Choice(msgspec.Struct):
    video_uid: str
    clip_start: float | str
    clip_end: float | str


class _Record(msgspec.Struct):
    query: _Query
    choices: dict[str, _Choice]
    answer: int


def read_egomcq(path: Path) -> list[Sample]:
    """Read EgoMCQ: five samples a question, each with one of the clips and the sentence as its answer.

    The sentence's likelihood given each clip is to be compared.

    Raises:
        DataError: The file is not of that shape.
    """
    samples = []
    for number, raw in decode_file(path, dict[str, msgspec.Raw]).items():
        try:
            record = decoder_of(_Record).decode(raw)
            bounds = {
                place: (max(float(choice.clip_start), 0.0), max(float(choice.clip_end), 0.0))
                for place, choice in record.choices.items()
            }
        except (msgspec.MsgspecError, ValueError) as error:
            raise DataError(f"{path}: question {in_short(number, 40)}: {in_short(str(error))}; {_SHAPE}") from error
        if str(record.answer) not in record.choices:
            raise DataError(
                f"{path}: question {in_short(number, 40)}: key answer: {record.answer} is none of its choices; {_SHAPE}"
            )
        one_video = len({choice.video_uid for choice in record.choices.values()}) == 1
        for place, choice in record.choices.items():
            start, end = bounds[place]
            with placed(partial("{}: question {}".format, path, in_short(number, 40)), _SHAPE):
                samples.append(
                    Sample(
                        id=f"{number}/{place}",
                        video=f"{choice.video_uid}.mp4",
                        source=SOURCE,
                        task=INTRA if one_video else INTER,
                        answer=caption_of(_sentence(record.query.clip_text)),
                        start=start,
                        end=end,
                        group=number,
                        right=place == str(record.answer),
                    )
                )
    return unique(samples, path)


def _sentence(text: str) -> str:
    """A narration of Ego4D without the tags of who acts, as `#C C opens the door`."""
    return " ".join(word for word in text.split() if not word.startswith("#"))
