"""Something-Something V2: action recognition (instruction tuning).

The shape of `something-something-v2-{train,validation}.json`, an array of {"id", "label", "template", "placeholders"},
is that which the public readers take: `tools/gen_label_sthv2.py` of github.com/mit-han-lab/temporal-shift-module reads
`id` and `template` and makes the class of the template without its square brackets, which are the keys of
`something-something-v2-labels.json`; the data set's loader of Hugging Face (HuggingFaceM4/something_something_v2)
reads `label`, the template with the objects' names filled in, and `placeholders`, and gives videos as `<id>.webm`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from lmeec.errors import DataError
from lmeec.mllm.data.questions_file import unique
from lmeec.mllm.data.records import placed, read_records
from lmeec.mllm.data.sample import Sample
from lmeec.mllm.data.templates import instructions

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "something-something-v2"
_SHAPE = "a record has id and template, and label for answers in full (something-something-v2-train.json)"

Answer = Literal["class", "label"]


class _Record(msgspec.Struct):
    id: str
    template: str
    label: str | None = None


def read_something(path: Path, *, answer: Answer = "class", seed: int = 0) -> list[Sample]:
    """Read the annotations of Something-Something V2.

    Args:
        path: `something-something-v2-train.json` or `-validation.json`.
        answer: `class` for the name of the class, as "Moving something up", `label` with the objects' names, as
            "moving a cup up".
        seed: Of the drawing of instructions.

    Raises:
        DataError: The file is not of that shape, as the test split's, which has no labels.
    """
    records = list(read_records(path, _Record, _SHAPE))
    samples = []
    told = instructions("action_recognition", len(records), seed, SOURCE)
    for (where, record), instruction in zip(records, told, strict=True):
        name = record.template.replace("[", "").replace("]", "") if answer == "class" else record.label
        if not name:
            raise DataError(f"{where()}: key {'template' if answer == 'class' else 'label'}: is empty; {_SHAPE}")
        with placed(where, _SHAPE):
            samples.append(
                Sample(record.id, f"{record.id}.webm", SOURCE, "action_recognition", instruction, answer=name)
            )
    return unique(samples, path)
