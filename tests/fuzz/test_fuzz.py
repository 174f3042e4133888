"""A small share of the hostile inputs, the same every time; `make fuzz` tries more of them."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import campaign
from tests.fuzz.inputs import Place, make, reader_of, seeds_of
from tests.fuzz.judging import Judgement, Memory, judge
from tests.fuzz.minimise import minimised
from tests.fuzz.readers import READERS, Reader
from tests.fuzz.record import KEPT as KEPT_RECORD
from tests.fuzz.record import Found, Record, is_open, keep, read
from tests.fuzz.table import table
from tests.support.places import ASSETS

KEPT = sorted((ASSETS / "hostile" / "fuzz").glob("*.*"))
SEED = 1
SLOW = {"mllm-settings", "recipe", "train-config", "checkpoint", "weights", "clips-table", "results-table"}
IN_A_WORKER = {"video"}


def told(judged: Judgement) -> list[str]:
    return [f"{one.kind}: {one.where}: {one.said}" for one in judged.failures]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_valid_file_is_read(reader, tmp_path):
    place = Place(reader, tmp_path)
    for data in seeds_of(reader):
        judged = judge(reader, place.put(data))
        assert not told(judged)
        assert not judged.refused


@pytest.mark.parametrize("name", [name for name in READERS if name not in IN_A_WORKER])
def test_hostile_files_are_read_or_refused(name, tmp_path):
    reader = READERS[name]
    place = Place(reader, tmp_path)
    for number in range(4 if reader.name in SLOW else 15):
        assert not told(judge(reader, place.put(make(reader, SEED, number)))), f"input {number} of seed {SEED}"


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.name)
def test_what_once_failed_does_not_fail_again(kept, tmp_path):
    reader = reader_of(kept)
    assert not told(judge(reader, Place(reader, tmp_path).put(kept.read_bytes())))


def test_hostile_videos_are_read_or_refused_in_a_worker(tmp_path):
    record = Record(tmp_path)
    campaign.run(record, SEED, {"video": 100})
    content = record.read()
    assert content["readers"]["video"][str(SEED)]["inputs"] == 100
    assert not content["failures"], table(content)


@given(
    st.randoms(use_true_random=False),
    st.sampled_from(["relations", "descriptions", "truth", "plan", "takes", "about-table"]),
)
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
def test_hypothesis_draws_the_same_changes_and_makes_failures_small(tmp_path_factory, chance, name):
    reader = READERS[name]
    place = Place(reader, tmp_path_factory.mktemp("hostile"))
    assert not told(judge(reader, place.put(reader.mutate(seeds_of(reader)[0], chance))))


@pytest.mark.parametrize("name", ["relations", "video", "part", "training-state", "recipe"])
def test_reader_seed_and_number_make_an_input(name):
    reader = READERS[name]
    made = [make(reader, 7, number) for number in range(5)]
    seeds_of.cache_clear()
    assert [make(reader, 7, number) for number in range(5)] == made
    assert len(set(made)) > 1
    assert make(reader, 8, 0) != made[0]


def reading(read):
    return Reader("mine", "mine.json", lambda folder: [b"{}"], lambda data, chance: data, read, 1)


def refusing(said):
    from lmeec.errors import DataError

    def read(path):
        raise DataError(said(path))

    return read


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (lambda path: 1 / 0, "exception"),
        (refusing(lambda path: "it is bad"), "unnamed"),
        (refusing(lambda path: f"{path}: {'bad ' * 200}"), "long"),
        (lambda path: ["it is bad"], "unnamed"),
    ],
)
def test_what_a_reader_must_not_do_is_found(read, kind, tmp_path):
    (failure,) = judge(reading(read), tmp_path / "mine.json").failures
    assert failure.kind == kind


def test_a_reader_that_takes_too_long_is_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.judging.LONGEST_S", 0.3)

    def read(path):
        while True:
            pass

    assert [one.kind for one in judge(reading(read), tmp_path / "mine.json").failures] == ["slow"]


def test_memory_that_a_reader_takes_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.judging.MOST_BYTES", 50 << 20)
    memory = Memory()
    memory.begin()
    judged = judge(reading(lambda path: bytearray(b"x" * (100 << 20)) and None), tmp_path / "mine.json", memory)
    assert [one.kind for one in judged.failures] == ["memory"]


def test_a_failing_input_is_made_small():
    data = bytes(random.Random(3).randbytes(3000)) + b"!" + string.ascii_letters.encode() * 20
    assert minimised(data.replace(b"!", b"") + b"!", lambda one: b"!" in one) == b"!"


def test_runs_add_to_one_record(tmp_path):
    for rounds in (1, 2):
        campaign.run(Record(tmp_path), SEED, {"calibration": 5}, rounds)
    one = Record(tmp_path).read()["readers"]["calibration"][str(SEED)]
    assert (one["inputs"], one["next"], sum(one["commits"].values())) == (10, 10, 10)


def test_what_ends_a_worker_is_kept_and_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "WORKER", "tests.support.dying_worker")
    record = Record(tmp_path)
    campaign.run(record, SEED, {"marks": 2})
    content = record.read()
    (failure,) = content["failures"].values()
    assert (failure["kind"], failure["where"], failure["seeds"]) == ("died", "signal 11", {str(SEED): 2})
    assert record.failing(failure).read_bytes() == make(READERS["marks"], SEED, 0)
    assert content["readers"]["marks"][str(SEED)]["next"] == 2


def trying(record, seed, first, count, failing=()):
    """Note inputs as a worker tells them."""
    record.count(
        {"reader": "marks", "inputs": count, "refused": 0, "failed": len(failing), "cpu": 1.0, "slowest": [0.5, first],
         "peak": 3 << 20, "next": first + count}, seed, "abc"
    )  # fmt: skip
    for number in failing:
        record.add_failure(READERS["marks"], Found("exception", "here", "no", seed, number, "abc"), b"x")


def counts(content):
    return {seed: one["inputs"] for seed, one in content["readers"]["marks"].items()}


def test_records_of_several_machines_are_merged_without_counting_an_input_twice(tmp_path):
    kept, one, other = tmp_path / "kept.json", Record(tmp_path / "one"), Record(tmp_path / "other")
    trying(one, 1, 0, 10, failing=[3])
    trying(other, 1, 0, 30, failing=[3, 20])
    trying(other, 2, 0, 5)
    for record in (one, other, one, other):
        keep(record, kept)
    assert counts(read(kept)) == {"1": 30, "2": 5}
    (failure,) = read(kept)["failures"].values()
    assert failure["seeds"] == {"1": 2}

    further = Record(tmp_path / "further", before=kept)
    assert further.next_number("marks", 1) == 30
    trying(further, 1, 30, 4)
    for _ in range(2):
        keep(further, kept)
    assert counts(read(kept)) == {"1": 34, "2": 5}


def test_a_mend_is_known_after_merging_until_the_failure_is_found_again(tmp_path, monkeypatch):
    kept, old, new = tmp_path / "kept.json", Record(tmp_path / "old"), Record(tmp_path / "new")
    for record, day in ((old, 1), (new, 2)):
        monkeypatch.setattr("tests.fuzz.record._now", lambda day=day: f"2026-01-0{day}")
        trying(record, 1, 0, 1, failing=[0])
    (key,) = new.read()["failures"]

    def is_open_after(record):
        keep(record, kept)
        return is_open(read(kept)["failures"][key])

    assert is_open_after(new)
    monkeypatch.setattr("tests.fuzz.record._now", lambda: "2026-01-03")
    new.mended(key, "abc")
    assert not is_open_after(new)
    assert not is_open_after(old)
    monkeypatch.setattr("tests.fuzz.record._now", lambda: "2026-01-04")
    trying(old, 2, 0, 1, failing=[0])
    assert is_open_after(old)


def test_the_table_tells_what_was_tried_since_the_mends(tmp_path):
    record = Record(tmp_path)
    trying(record, 1, 0, 10, failing=[3])
    assert "| marks | 10 | 10 | 0 | 1 | 10 | 0.50 | 3 | 1 | 1 |" in table(record.read())
    assert "marks: exception: here (1x; seed 1, number 3)" in table(record.read())
    (key,) = record.read()["failures"]
    record.mended(key, "def")  # which "abc" does not contain
    assert "| marks | 10 | 0 | 0 | 1 | 10 | 0.50 | 3 | 1 | 0 |" in table(record.read())


def test_the_kept_record_is_one_that_a_run_goes_on_from(tmp_path):
    record = Record(tmp_path, before=KEPT_RECORD)
    assert record.read()["readers"].keys() <= READERS.keys()
    assert not [key for key, entry in record.read()["failures"].items() if is_open(entry)]
