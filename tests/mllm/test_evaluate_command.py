"""`lmeec mllm evaluate`, as a user meets it."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.answers import write_answers
from tests.support.command import lmeec


@pytest.fixture
def answers(tmp_path):
    """Writes a table of answers of which so many are right."""
    return lambda name, right: write_answers(tmp_path / name, right)


def test_scores_are_shown_by_task_with_intervals_and_what_was_left_out(answers):
    done = lmeec("mllm", "evaluate", answers("one.parquet", 30))
    assert done.status == 0
    object_line = next(line for line in done.out.splitlines() if "exact_match" in line)
    assert object_line.split()[:4] == ["mine", "object", "exact_match", "75.0"]
    assert object_line.split()[-2:] == ["40", "10"]
    letter = next(line for line in done.out.splitlines() if " letter " in line).split()
    assert letter[3] == "75.0"
    assert "50.0" in letter
    assert "note: mine choice: 10 replies name no letter" in done.err
    assert "note: mine object: 1 questions are not judged" in done.err


def test_the_end_says_what_was_judged_or_written_and_how_to_go_on(answers, tmp_path):
    one, other, out = answers("one.parquet", 30), answers("other.parquet", 12), tmp_path / "scores.json"
    *_, said, then = lmeec("mllm", "evaluate", one).err.splitlines()
    assert re.fullmatch(r"judged 80 questions \(\d.*s\)", said)
    assert then == f"next: lmeec mllm evaluate {one} --against OTHER.parquet"
    last = lmeec("mllm", "evaluate", one, "--against", other, "--out", out).err.splitlines()[-1]
    assert re.fullmatch(rf"wrote {re.escape(str(out))}: 80 questions \(\d.*s\)", last)


def test_seeds_are_joined_and_compared_question_by_question(answers, tmp_path):
    full = [answers("full-0.parquet", 30), answers("full-1.parquet", 20)]
    alone = [answers("alone-0.parquet", 12), answers("alone-1.parquet", 18)]
    out = tmp_path / "scores.json"
    done = lmeec("mllm", "evaluate", *full, "--against", alone[0], "--against", alone[1], "--json", "--out", out)
    assert done.status == 0
    document = json.loads(done.out)
    assert document == json.loads(out.read_text())
    by = {(one["task"], one["measure"]): one for one in document["scores"]}
    assert by["object", "exact_match"]["value"] == pytest.approx(25 / 40)
    (difference,) = [one for one in document["differences"] if one["measure"] == "exact_match"]
    assert difference["value"] == pytest.approx(10 / 40)
    assert difference["interval"][0] < 0.25 < difference["interval"][1]
    assert document["about"] == [{"model": "full-0.parquet"}, {"model": "full-1.parquet"}]
    shown = lmeec("mllm", "evaluate", *full, "--against", alone[0]).out
    assert "+32.5" in shown


def test_marks_of_a_judge_are_shown_as_they_are(answers, tmp_path):
    marks = tmp_path / "marks.jsonl"
    marks.write_text("".join(json.dumps({"source": "mine", "id": str(n), "mark": 4.5}) + "\n" for n in range(8)))
    done = lmeec("mllm", "evaluate", answers("one.parquet", 3), "--marks", marks)
    line = next(line for line in done.out.splitlines() if "judge" in line)
    assert line.split()[3] == "4.50"


def test_another_table_is_refused_in_one_line(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"id": ["1"]}), path)
    done = lmeec("mllm", "evaluate", path)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "is no table of answers: it has no column video" in done.err
