"""What a sample may be, and how instructions are drawn."""

from collections import Counter

import pyarrow as pa
import pytest

from lmeec.errors import DataError
from lmeec.mllm.answers import SCHEMA, question_columns
from lmeec.mllm.data.sample import Sample
from lmeec.mllm.data.templates import INSTRUCTIONS, instructions


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"start": 2.0, "end": 2.0}, "begins at 2.0 s"),
        ({"frames": (5, 5)}, "has no frames"),
        ({"answer": "a pan", "options": ("a mug", "a jar")}, "none of its options"),
        ({"options": tuple(map(str, range(27)))}, "27 options"),
    ],
)
def test_a_sample_that_cannot_be_is_refused_by_name(values, said):
    with pytest.raises(DataError, match=said) as error:
        Sample("q7", "a.mp4", "mine", "object", **values)
    assert "mine 'q7'" in str(error.value)


def test_each_task_has_ten_instructions_of_its_own():
    every = [text for texts in INSTRUCTIONS.values() for text in texts]
    assert all(len(texts) == 10 for texts in INSTRUCTIONS.values())
    assert len(set(every)) == len(every)


def test_instructions_are_drawn_evenly_and_follow_from_the_seed():
    drawn = list(instructions("description", 25, 3, "clips"))
    assert drawn == list(instructions("description", 25, 3, "clips"))
    assert drawn != list(instructions("description", 25, 4, "clips"))
    assert drawn != list(instructions("description", 25, 3, "others"))
    assert set(Counter(drawn).values()) == {2, 3}


def test_a_question_fits_the_table_of_answers():
    row = question_columns(Sample("0", "a.mp4", "mine", "object", "", "Which one?", "a mug", ("a mug", "a pan")))
    table = pa.Table.from_pylist([row | {"reply": "A"}], schema=SCHEMA)
    assert table["options"].to_pylist() == [["a mug", "a pan"]]
    assert table["option_likelihoods"].to_pylist() == [None]
