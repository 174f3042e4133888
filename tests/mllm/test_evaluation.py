"""Every published number against an independent, naive computation of it."""

import json
import math
import random
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmeec.errors import DataError, OutputError
from lmeec.mllm.answers import SCHEMA, read_about, read_answers, schema_with
from lmeec.mllm.evaluation.judge import FileJudge
from lmeec.mllm.evaluation.marks import mark
from lmeec.mllm.evaluation.replies import letter_of
from lmeec.mllm.evaluation.scores import compare, mean_of, score

BASE = {
    "start": None,
    "end": None,
    "instruction": "",
    "question": "Which?",
    "options": [],
    "truth": None,
    "group": None,
    "right": None,
    "reply": None,
    "option_likelihoods": None,
    "truth_likelihood": None,
    "failure": None,
}


def table_of(rows):
    return pa.Table.from_pylist([BASE | row for row in rows], schema=SCHEMA)


@pytest.fixture(scope="module")
def closed():
    """200 questions with four options on 23 videos; some replies name no letter, some clips could not be read."""
    rng = random.Random(4)
    rows = []
    for number in range(200):
        options = rng.sample(["a mug", "a pan", "a jar", "a can", "a fork"], 4)
        reply = rng.choice(["A", "(B)", "c", "D.", "The answer is B", "nothing", "a mug", "Z"])
        rows.append(
            {
                "id": str(number),
                "video": f"v{rng.randrange(23)}",
                "source": "mine",
                "task": "object",
                "options": options,
                "truth": rng.choice(options),
                "reply": reply,
                "option_likelihoods": [-rng.choice([1.0, 2.0, 3.0, 4.0]) for _ in options],
            }
        )
    for row in rows[:5]:
        row |= {"reply": None, "option_likelihoods": None, "failure": "cannot be read"}
    return rows


LETTERS = {"A": 0, "(B)": 1, "c": 2, "D.": 3, "The answer is B": 1}


def naive_letter(row):
    place = LETTERS.get(row["reply"])
    return 1.0 if place is not None and row["options"][place] == row["truth"] else 0.0


def naive_likelihood(row):
    if row["option_likelihoods"] is None:
        return 0.0
    best = max(row["option_likelihoods"])
    ties = [o for o, v in zip(row["options"], row["option_likelihoods"], strict=True) if v == best]
    return 1 / len(ties) if row["truth"] in ties else 0.0


def scores_by_measure(rows, **more):
    return {one.measure: one for one in score(mark(table_of(rows), **more))}


def test_accuracy_by_letter_and_by_likelihood_is_the_naive_one(closed):
    found = scores_by_measure(closed)
    letter, likelihood = [naive_letter(r) for r in closed], [naive_likelihood(r) for r in closed]
    either = [a if r["reply"] in LETTERS else b for r, a, b in zip(closed, letter, likelihood, strict=True)]
    assert found["letter"].value == pytest.approx(sum(letter) / 200, abs=1e-12)
    assert found["likelihood"].value == pytest.approx(sum(likelihood) / 200, abs=1e-12)
    assert found["letter_or_likelihood"].value == pytest.approx(sum(either) / 200, abs=1e-12)
    assert found["letter"].unparsed == sum(r["reply"] not in LETTERS for r in closed[5:])
    assert (found["letter"].failed, found["letter"].chance) == (5, 0.25)
    assert "exact_match" not in found


def test_intervals_are_those_of_drawing_videos_anew(closed):
    """Naively: every draw repeats the questions of the drawn videos, one by one."""
    found = scores_by_measure(closed)["letter"]
    videos = sorted({row["video"] for row in closed})
    rng = np.random.default_rng([0, len(videos)])
    times = rng.multinomial(len(videos), [1 / len(videos)] * len(videos), size=2000)
    means = []
    for draw in times:
        repeated = [naive_letter(row) for row in closed for _ in range(draw[videos.index(row["video"])])]
        means.append(sum(repeated) / len(repeated))
    assert found.interval == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=1e-12)
    assert found.videos == len(videos)


def test_one_video_has_no_interval(closed):
    assert all(one.interval is None for one in score(mark(table_of([row | {"video": "v"} for row in closed]))))


@pytest.mark.parametrize(
    ("reply", "options", "letter"),
    [
        ("B", 4, 1),
        (" b) the pan", 4, None),
        ("(b) the pan", 4, 1),
        ("B) the pan", 4, 1),
        ("C: the pan", 4, 2),
        ("D the jar", 4, 3),
        ("A mug", 4, None),
        ("I think so", 26, None),
        ("The correct answer is C.", 4, 2),
        ("Option D", 4, 3),
        ("E", 4, None),
        ("", 4, None),
        ("the pan", 4, None),
        ("I would say (C)", 4, 2),
        ("B. For (A) is empty", 4, 1),
        ("A mug, so (B)", 4, 1),
        ("Option C, not (A)", 4, 2),
    ],
)
def test_the_first_letter_is_parsed_and_never_guessed(reply, options, letter):
    assert letter_of(reply, options) == letter


OPEN = [
    ("the red mug", "A red mug."),
    ("red mug", "a blue mug"),
    ("puts the jar in the box", "drops the jar into the box"),
    ("my left hand", ""),
    ("yes", "Yes"),
    ("it is put on the table", "the table it is put on"),
]


def open_rows():
    return [
        {"id": str(n), "video": f"v{n % 3}", "source": "mine", "task": "next", "truth": truth, "reply": reply}
        for n, (truth, reply) in enumerate(OPEN)
    ]


def naive_f(hits, truth, reply):
    return 0.0 if not hits else 2 * (hits / truth) * (hits / reply) / (hits / truth + hits / reply)


def naive_rouge(truth, reply, order):
    """Shared n-grams, each counted as often as both have it."""
    a, b = (re.findall(r"[a-z0-9]+", text.lower()) for text in (truth, reply))
    a, b = ([tuple(words[i : i + order]) for i in range(len(words) - order + 1)] for words in (a, b))
    return naive_f(sum(min(a.count(gram), b.count(gram)) for gram in set(a)), len(a), len(b)) if a and b else 0.0


def naive_rouge_l(truth, reply):
    a, b = (re.findall(r"[a-z0-9]+", text.lower()) for text in (truth, reply))

    def longest(i, j):
        if i == len(a) or j == len(b):
            return 0
        return 1 + longest(i + 1, j + 1) if a[i] == b[j] else max(longest(i + 1, j), longest(i, j + 1))

    return naive_f(longest(0, 0), len(a), len(b)) if a and b else 0.0


def test_exact_match_and_rouge_are_the_naive_ones():
    found = scores_by_measure(open_rows())
    same = [True, False, False, False, True, False]
    assert found["exact_match"].value == pytest.approx(sum(same) / len(OPEN))
    for order, measure in ((1, "rouge1"), (2, "rouge2")):
        naive = [naive_rouge(truth, reply, order) for truth, reply in OPEN]
        assert found[measure].value == pytest.approx(sum(naive) / len(OPEN), abs=1e-9)
    naive = [naive_rouge_l(truth, reply) for truth, reply in OPEN]
    assert found["rougeL"].value == pytest.approx(sum(naive) / len(OPEN), abs=1e-9)


def test_marks_of_a_judge_are_taken_from_a_file(tmp_path):
    path = tmp_path / "marks.jsonl"
    path.write_text("".join(json.dumps({"source": "mine", "id": str(n), "mark": n}) + "\n" for n in range(4)))
    found = scores_by_measure(open_rows(), judge=FileJudge(path))["judge"]
    assert (found.value, found.questions) == (1.5, 4)
    path.write_text('{"source": "mine", "id": "0", "mark": 1}\n{"source": "mine", "id": "1", "mark": 7}\n')
    with pytest.raises(DataError, match=r"marks\.jsonl, line 2: key mark: 7\.0 is not from 0 to 5"):
        FileJudge(path)


@pytest.fixture
def clips_of_questions():
    """EgoMCQ's: five clips a question, the sentence's likelihood given each."""
    rng = random.Random(1)
    rows = []
    for number in range(60):
        task = "egomcq/intra" if number % 3 == 0 else "egomcq/inter"
        answer = rng.randrange(5)
        for place in range(5):
            rows.append(
                {
                    "id": f"{number}/{place}",
                    "video": f"v{number % 7}" if task == "egomcq/intra" else f"v{rng.randrange(20)}",
                    "source": "egomcq",
                    "task": task,
                    "truth": "The camera wearer opens the door.",
                    "group": str(number),
                    "right": place == answer,
                    "truth_likelihood": -rng.randrange(1, 5) + (1.0 if place == answer else 0.0),
                }
            )
    return rows


def test_egomcq_is_the_naive_choice_of_a_clip_by_setting(clips_of_questions):
    found = {one.task: one for one in score(mark(table_of(clips_of_questions)))}
    for task in ("egomcq/intra", "egomcq/inter"):
        right = []
        for number in range(60):
            five = [r for r in clips_of_questions if r["group"] == str(number) and r["task"] == task]
            if five:
                best = max(r["truth_likelihood"] for r in five)
                at_best = [r for r in five if r["truth_likelihood"] == best]
                right.append(sum(r["right"] for r in at_best) / len(at_best))
        assert found[task].value == pytest.approx(sum(right) / len(right), abs=1e-12)
        assert found[task].questions == len(right)
        assert found[task].chance == pytest.approx(0.2)


def test_a_question_whose_right_clip_is_missing_is_named(clips_of_questions):
    rows = [row for row in clips_of_questions if row["group"] != "7" or not row["right"]]
    with pytest.raises(DataError, match=r"question 7: 0 of its 4 candidates are right"):
        mark(table_of(rows))


def test_a_clip_that_could_not_be_read_makes_its_question_wrong(clips_of_questions):
    for row in clips_of_questions:
        if row["id"] == "1/0":
            row |= {"truth_likelihood": None, "failure": "cannot be read"}
    found = {one.task: one for one in score(mark(table_of(clips_of_questions)))}
    assert found["egomcq/inter"].failed == 1


def test_questions_without_a_known_answer_are_counted_and_not_judged(closed):
    rows = [row | {"truth": None} if number < 30 else row for number, row in enumerate(closed)]
    found = scores_by_measure(rows)["letter"]
    assert (found.questions, found.unknown) == (170, 30)
    assert found.value == pytest.approx(sum(map(naive_letter, closed[30:])) / 170)


def test_a_comparison_is_the_mean_difference_question_by_question(closed):
    other = [row | {"reply": "A"} for row in closed[:150]]
    found = compare(mark(table_of(closed)), mark(table_of(other)))
    by = {one.measure: one for one in found}
    always_a = [(row["options"][0] == row["truth"]) * (row.get("failure") is None) for row in closed[:150]]
    difference = [a - naive_letter(row) for a, row in zip(always_a, closed, strict=False)]
    assert by["letter"].value == pytest.approx(sum(difference) / 150, abs=1e-12)
    assert by["letter"].interval[0] < by["letter"].value < by["letter"].interval[1]
    assert by["likelihood"].value == 0
    with pytest.raises(DataError, match="no question and measure in common"):
        compare(mark(table_of(closed)), mark(table_of(open_rows())))


def test_trainings_that_differ_in_their_seed_count_by_their_mean(closed):
    other = [row if row.get("failure") else row | {"reply": "A"} for row in closed]
    one, two = mark(table_of(closed)), mark(table_of(other))
    found = {s.measure: s for s in score(mean_of([one, two]))}
    alone = [{s.measure: s for s in score(marks)} for marks in (one, two)]
    assert found["letter"].value == pytest.approx(np.mean([s["letter"].value for s in alone]))
    assert found["letter"].interval[1] - found["letter"].interval[0] > 0
    with pytest.raises(DataError, match="other questions of task object"):
        mean_of([one, mark(table_of(closed[1:]))])


def test_answers_are_written_and_read_with_what_they_say_of_themselves(tmp_path, closed):
    path = tmp_path / "answers.parquet"
    pq.write_table(table_of(closed).cast(schema_with({"model": "nano"})), path)
    assert read_answers(path).num_rows == 200
    assert read_about(path) == {"model": "nano"}


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b"PAR1"), "not a whole Parquet file"),
        (lambda path: pq.write_table(table_of(open_rows()).drop_columns(["question"]), path), "has no column question"),
        (
            lambda path: pq.write_table(
                table_of(open_rows()).cast(SCHEMA.with_metadata({b"lmeec.answers.schema_version": b"9"})), path
            ),
            "answers of version 9",
        ),
    ],
)
def test_a_file_that_holds_no_answers_is_refused_with_a_mend(tmp_path, write, said):
    path = tmp_path / "answers.parquet"
    write(path)
    with pytest.raises(OutputError, match=said) as error:
        read_answers(path)
    assert str(path) in str(error.value)


def test_a_single_precision_likelihood_ties_as_it_is_stored():
    row = {"id": "0", "video": "v", "source": "s", "task": "t", "options": ["a", "b"], "truth": "b"}
    found = mark(table_of([row | {"option_likelihoods": [-0.1, -0.1]}]))[0]
    assert math.isclose(found.marks["likelihood"][0], 0.5)
