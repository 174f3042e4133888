"""Instruction data: the format, what is asked and answered, balance, seeds, and takes on one side only."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmeec.clips.instruct import InstructConfig, validation_file, write_instructions
from lmeec.clips.read import METADATA_KEY, SUMMARY_KEY, VERSION_KEY
from lmeec.clips.schema import SCHEMA, SCHEMA_VERSION
from lmeec.clips.summary import Tally
from lmeec.clips.templates import QUESTIONS, TASKS
from lmeec.errors import ConfigError, DataError, OutputError
from tests.support.command import lmeec
from tests.support.damage import damage_rows

CAMERAS = ("cam01", "cam02", "cam03")


def clip(take, number, cameras=CAMERAS, best="cam02", objects=(), annotator="anna", **changes):
    """The rows of a description."""
    common = {
        "take_uid": take,
        "take_name": take,
        "annotator": annotator,
        "clip_id": f"{take}-0-{number}",
        "text": f"{take} does {number}",
        "timestamp": float(number),
        "start": number - 0.5,
        "end": number + 0.5,
        "start_frame": 30 * number - 15,
        "end_frame": 30 * number + 15,
        "frame_rate": 30.0,
        "ego_cam": "aria01",
        "ego_visible": True,
        "ego_video": "ego",
        "exo_video": "exo",
        "ego_clip": f"videos/{take}/aria01/{number}.mp4",
        "objects": [{"name": name} for name in objects],
    }
    return [
        common
        | {
            "exo_cam": camera,
            "is_best_exo": None if best is None else camera == best,
            "exo_clip": f"videos/{take}/{camera}/{number}.mp4",
        }
        | changes
        for camera in cameras
    ]


def write_table(path, clips):
    rows = [row for one in clips for row in one]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    summary = json.dumps(Tally().summary(None, grounded=True).to_dict()).encode()
    said = {METADATA_KEY: b"{}", VERSION_KEY: str(SCHEMA_VERSION).encode(), SUMMARY_KEY: summary}
    pq.write_table(table.replace_schema_metadata(said), path)
    return path


@pytest.fixture
def table(tmp_path):
    """Twenty takes of thirty clips, a third of which mention objects, and half of which know the best camera."""
    clips = [
        clip(
            f"take{take:02d}",
            number,
            best=CAMERAS[number % 3] if number % 2 else None,
            objects=("blue mug_0", "blue mug_1", "the pan_3") if number % 3 == 0 else (),
        )
        for take in range(20)
        for number in range(1, 31)
    ]
    return write_table(tmp_path / "clips.parquet", clips)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def by_task(records, task):
    return [record for record in records if record["task"] == task]


def test_the_format_is_that_of_llava(table, tmp_path):
    write_instructions(table, tmp_path / "data.jsonl", InstructConfig())
    records = read(tmp_path / "data.jsonl")
    assert len({record["id"] for record in records}) == len(records)
    for record in records:
        assert record["video"].startswith(f"videos/{record['take_uid']}/")
        assert record["video"].endswith(".mp4")
        human, gpt = record["conversations"]
        assert (human["from"], gpt["from"]) == ("human", "gpt")
        assert human["value"].startswith("<video>\n")
        assert human["value"].count("<video>") == 1
        assert gpt["value"]
        assert "{" not in human["value"] + gpt["value"]


def test_answers_are_true(table, tmp_path):
    write_instructions(table, tmp_path / "data.jsonl", InstructConfig())
    records = read(tmp_path / "data.jsonl")
    for record in records:
        take, number = record["take_uid"], int(record["id"].split("-")[2])
        answer = record["conversations"][1]["value"]
        if record["task"] == "describe":
            assert answer == f"{take} does {number}"
        elif record["task"] == "next":
            assert answer == f"{take} does {number + 1}"
            assert number < 30
        else:
            assert record["task"] == "manipulated"
            assert answer == "The blue mug and the pan."
            assert number % 3 == 0


def test_tasks_questions_and_answers_are_balanced(table, tmp_path):
    done = write_instructions(table, tmp_path / "data.jsonl", InstructConfig())
    records = read(tmp_path / "data.jsonl")
    assert done.candidates["train"] == {"describe": 540, "manipulated": 180, "next": 522}
    assert done.conversations["train"] == dict.fromkeys(TASKS, 180)
    assert Counter(record["task"] for record in records) == done.conversations["train"]
    for task in TASKS:
        asked = Counter(record["conversations"][0]["value"] for record in by_task(records, task))
        assert set(asked) == {f"<video>\n{question}" for question in QUESTIONS[task]}
        assert set(asked.values()) == {18}
    views = Counter(record["video"].split("/")[2] for record in by_task(records, "describe"))
    assert views["aria01"] == 90, "half from the ego view"


def test_each_task_has_ten_questions_that_differ():
    assert set(TASKS) == {"describe", "manipulated", "next"}
    for questions in QUESTIONS.values():
        assert len(set(questions)) == 10
        assert len({question.split()[0] for question in questions}) >= 4, "they do not all begin alike"


def test_no_take_is_on_both_sides(table, tmp_path):
    out = tmp_path / "data.jsonl"
    done = write_instructions(table, out, InstructConfig(val_share=0.25))
    sides = [{record["take_uid"] for record in read(path)} for path in (out, validation_file(out))]
    assert done.takes == {"train": 15, "val": 5}
    assert (len(sides[0]), len(sides[1])) == (15, 5)
    assert not sides[0] & sides[1]
    assert validation_file(out).name == "data.val.jsonl"


def test_the_seed_decides(table, tmp_path):
    texts = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_instructions(table, tmp_path / f"{name}.jsonl", InstructConfig(seed=seed))
        texts[name] = [(tmp_path / f"{name}{side}.jsonl").read_text() for side in ("", ".val")]
    assert texts["a"] == texts["b"] != texts["c"]
    assert texts["a"][1] != texts["c"][1]


def test_one_take_and_no_held_out_takes(tmp_path):
    table = write_table(tmp_path / "clips.parquet", [clip("take", 1), clip("take", 2)])
    done = write_instructions(table, tmp_path / "data.jsonl", InstructConfig(val_share=0.0))
    assert done.takes == {"train": 1}
    assert not (tmp_path / "data.val.jsonl").exists()
    done = write_instructions(table, tmp_path / "one.jsonl", InstructConfig())
    assert done.takes == {"train": 1, "val": 0}
    assert read(tmp_path / "one.val.jsonl") == []


def test_old_held_out_takes_do_not_stay_beside_a_file_of_all(table, tmp_path):
    out = tmp_path / "data.jsonl"
    write_instructions(table, out, InstructConfig())
    out.unlink()
    with pytest.raises(OutputError, match=r"data\.val\.jsonl exists already"):
        write_instructions(table, out, InstructConfig(val_share=0.0))
    assert not out.exists()
    assert validation_file(out).exists()
    write_instructions(table, out, InstructConfig(val_share=0.0), overwrite=True)
    assert out.exists()
    assert not validation_file(out).exists()


@pytest.mark.parametrize("takes", [1, 2, 3])
def test_one_take_is_always_trained_on(takes, tmp_path):
    table = write_table(tmp_path / "clips.parquet", [clip(f"take{take}", 1) for take in range(takes)])
    done = write_instructions(table, tmp_path / "data.jsonl", InstructConfig(val_share=0.9))
    assert done.takes == {"train": 1, "val": takes - 1}


def followers(tmp_path, *clips):
    """Clip to what is said to come next."""
    table = write_table(tmp_path / "clips.parquet", list(clips))
    write_instructions(table, tmp_path / "data.jsonl", InstructConfig(val_share=0.0))
    records = by_task(read(tmp_path / "data.jsonl"), "next")
    return {record["id"].removesuffix("-next"): record["conversations"][1]["value"] for record in records}


def test_each_annotation_without_a_name_is_on_its_own(tmp_path):
    clips = [
        clip("take", 1, annotator=None),
        clip("take", 1, annotator=None, clip_id="take-1-1", timestamp=1.5, text="takes a pan"),
        clip("take", 2, annotator=None),
        clip("take", 2, annotator=None, clip_id="take-1-2", timestamp=2.5, text="lifts a pan"),
    ]
    assert followers(tmp_path, *clips) == {"take-0-1": "take does 2", "take-1-1": "lifts a pan"}


def test_what_comes_next_passes_over_no_sentence_that_the_table_lacks(tmp_path):
    """The third was left out or merged into another annotator's; the fourth and fifth are at the same time."""
    clips = [clip("take", number, timestamp=float(min(number, 4))) for number in (1, 2, 4, 5)]
    sixth = clip("take", 6, timestamp=6.0)
    assert followers(tmp_path, *clips, sixth) == {
        "take-0-1": "take does 2",
        "take-0-4": "take does 6",
        "take-0-5": "take does 6",
    }


def test_damaged_rows_are_told(table, tmp_path):
    damage_rows(table)
    with pytest.raises(OutputError, match=r"clips\.parquet is damaged"):
        write_instructions(table, tmp_path / "data.jsonl", InstructConfig())


def test_what_cannot_be_asked_is_not(tmp_path):
    """Not what follows another annotator's clip or one at the same time, and no unseen ego view."""
    clips = [
        clip("take", 1, best=None, annotator="ben", ego_visible=False),
        clip("take", 2, cameras=("cam01",), best="cam01", ego_visible=False),
        clip("take", 3, timestamp=2.0, ego_visible=None),
        clip("take", 4, timestamp=5.0, ego_visible=False),
    ]
    table = write_table(tmp_path / "clips.parquet", clips)
    done = write_instructions(table, tmp_path / "data.jsonl", InstructConfig(val_share=0.0))
    assert done.candidates["train"] == {"describe": 4, "manipulated": 0, "next": 2}
    records = read(tmp_path / "data.jsonl")
    followed = {record["conversations"][1]["value"] for record in by_task(records, "next")}
    assert followed == {"take does 4"}
    assert {record["id"] for record in by_task(records, "next")} == {"take-0-2-next", "take-0-3-next"}
    assert not [record for record in records if "aria01" in record["video"] and "-3-" not in record["id"]]


def test_the_command(table, tmp_path):
    out = tmp_path / "data.jsonl"
    done = lmeec("clips", "instruct", table, "--out", out)
    assert done.status == 0, done.err
    assert "540 conversations about 18 takes" in done.out
    assert "data.val.jsonl" in done.out
    refused = lmeec("clips", "instruct", table, "--out", out)
    assert refused.status == 1
    assert "--overwrite" in refused.err
    done = lmeec("clips", "instruct", table, "--out", out, "--overwrite", "--val-share", 0, "--json")
    assert json.loads(done.out)["takes"] == {"train": 20}
    plain = write_table(tmp_path / "plain.parquet", [clip("a", 1), clip("a", 2), clip("b", 1)])
    done = lmeec("clips", "instruct", plain, "--out", tmp_path / "plain.jsonl")
    assert done.status == 0
    assert "without --results" in done.err


def test_a_loader_of_one_array_reads_it(table, tmp_path):
    """VideoLLaMA2's and LLaVA-Video's: json.load gives a list of samples with one video, a turn of each speaker."""
    write_instructions(table, tmp_path / "data.json", InstructConfig())
    write_instructions(table, tmp_path / "data.jsonl", InstructConfig())
    for name in ("data", "data.val"):
        with (tmp_path / f"{name}.json").open() as file:
            samples = json.load(file)
        assert isinstance(samples, list)
        assert samples == read(tmp_path / f"{name}.jsonl")
        for sample in samples:
            assert isinstance(sample["video"], str)
            roles = {"human": "user", "gpt": "assistant"}
            assert [roles[turn["from"]] for turn in sample["conversations"]] == ["user", "assistant"]
            assert "<video>" in sample["conversations"][0]["value"]
    lone = write_table(tmp_path / "lone.parquet", [clip("take", 1)])
    write_instructions(lone, tmp_path / "lone.json", InstructConfig())
    assert json.loads((tmp_path / "lone.val.json").read_text()) == []
    with pytest.raises(OutputError, match=r"data\.txt: give `out` a name that ends in \.json"):
        write_instructions(table, tmp_path / "data.txt", InstructConfig())


def test_only_clips_that_were_cut_are_asked_about(tmp_path):
    """Of the second clip there is the ego view alone, of the third nothing."""
    table = write_table(tmp_path / "clips.parquet", [clip("take", number) for number in (1, 2, 3)])
    cut = [f"videos/take/{camera}/1.mp4" for camera in ("aria01", *CAMERAS)] + ["videos/take/aria01/2.mp4"]
    for name in cut:
        (tmp_path / "cut" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cut" / name).touch()
    everything = InstructConfig(val_share=0.0)
    done = write_instructions(table, tmp_path / "data.jsonl", everything, videos=tmp_path / "cut")
    assert (done.clips, done.without_video) == (3, 1)
    assert {record["video"] for record in read(tmp_path / "data.jsonl")} <= set(cut)
    assert {record["id"] for record in by_task(read(tmp_path / "data.jsonl"), "next")} == {
        "take-0-1-next",
        "take-0-2-next",
    }
    told = lmeec("clips", "instruct", table, "--out", tmp_path / "told.json", "--videos", tmp_path / "cut")
    assert "left out 1 of 3 clips" in told.err
    with pytest.raises(DataError, match="none of the 3 clips"):
        write_instructions(table, tmp_path / "none.jsonl", everything, videos=tmp_path / "elsewhere")


def test_people_in_words(tmp_path):
    table = write_table(tmp_path / "clips.parquet", [clip("take", 1, text="C hands O the lid.")])
    write_instructions(table, tmp_path / "data.jsonl", InstructConfig(val_share=0.0, in_words=True))
    (record,) = read(tmp_path / "data.jsonl")
    assert record["conversations"][1]["value"] == "The camera wearer hands another person the lid."


def test_wrong_input_is_told(table, tmp_path):
    with pytest.raises(ConfigError, match="val_share"):
        InstructConfig(val_share=1.0)
    with pytest.raises(ConfigError, match="seed"):
        InstructConfig(seed=-1)
    pq.write_table(pa.table({"a": np.arange(3)}), tmp_path / "other.parquet")
    with pytest.raises(OutputError, match="not a clips table"):
        write_instructions(tmp_path / "other.parquet", tmp_path / "data.jsonl", InstructConfig())
