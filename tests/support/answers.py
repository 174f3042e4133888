"""Tables of answers, as `lmeec mllm answer` writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.mllm.answers import question_columns, schema_with
from lmeec.mllm.data.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path


def write_answers(path: Path, right: int) -> Path:
    """Write answers to 40 open and 40 closed questions on 10 videos, of each the first `right` ones right.

    One more question's answer is not known.
    """
    rows = []
    for number in range(40):
        open_one = Sample(str(number), f"v{number // 4}", "mine", "object", question="Which?", answer="a red mug")
        closed = Sample(
            str(number), f"v{number // 4}", "mine", "choice", question="Which?", answer="mug", options=("pan", "mug")
        )
        good = number < right
        rows.append(question_columns(open_one) | {"reply": "Red mug" if good else "pan"})
        rows.append(question_columns(closed) | {"reply": "(B)" if good else "no idea"})
    rows.append(question_columns(Sample("40", "v0", "mine", "object", question="?")) | {"reply": "x"})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema_with({"model": path.name})), path)
    return path
