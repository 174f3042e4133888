"""`lmeec mllm answer`: one video, tables of questions, and going on where a run was stopped."""

import json
import re
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from lmeec.errors import CheckpointError, OutputError
from lmeec.mllm.answers import read_about, read_answers
from lmeec.mllm.checkpoint import save_mllm
from lmeec.mllm.data.reading import VideoClips
from lmeec.mllm.data.sample import Sample
from lmeec.mllm.data.sets import read_set
from lmeec.mllm.data.templates import INSTRUCTIONS
from lmeec.mllm.evaluation import answering as module
from lmeec.mllm.evaluation.answering import Answering, answer_table
from lmeec.mllm.evaluation.asking import AskConfig
from lmeec.mllm.model import parts_of_inference
from lmeec.runs.stop import Stop
from lmeec.runs.tasks import TasksInProcess
from tests.support.command import lmeec
from tests.support.mllm import TINY, prompter, tiny
from tests.support.videos import write_video

QUESTIONS = 5


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder of a model with what answers alone: no exo encoder and no G."""
    folder = tmp_path_factory.mktemp("model") / "model"
    made = tiny(parts=parts_of_inference(TINY), text_limit=200)
    save_mllm(folder, made, prompter(replace(TINY, text_limit=200)).tokenizer)
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(2):
        write_video(folder / f"{number}.mp4", 12)
    return folder


@pytest.fixture(scope="module")
def questions(videos):
    path = videos / "questions.json"
    said = {"instruction": INSTRUCTIONS["question_answering"][0]}
    rows = [
        {"video": f"{number % 2}.mp4", "question": f"Which is number {number}?", **said}
        for number in range(QUESTIONS - 1)
    ]
    path.write_text(json.dumps([*rows, {"video": "lost.mp4", "question": "Which?", "answer": "none"}]))
    return path


def test_a_question_about_a_video_is_answered(model, videos):
    done = lmeec("mllm", "answer", videos / "0.mp4", "What is held?", "--model", model, "--tokens", 4)
    assert done.status == 0, done.err
    assert done.out.endswith("\n")
    lost = lmeec("mllm", "answer", videos / "lost.mp4", "What is held?", "--model", model)
    assert lost.status == 1
    assert "lost.mp4: does not exist" in lost.err


def test_a_table_has_a_row_a_question_and_tells_clips_that_cannot_be_read(model, videos, questions, tmp_path):
    out = tmp_path / "answers.parquet"
    call = ["mllm", "answer", questions, "--videos", videos, "--model", model, "--out", out, "--tokens", 4]
    done = lmeec(*call, "--workers", 0)
    assert done.status == 0, done.err
    rows = read_answers(out).to_pylist()
    assert [row["question"] for row in rows[:-1]] == [f"Which is number {number}?" for number in range(QUESTIONS - 1)]
    assert all(row["reply"] is not None for row in rows[:-1])
    assert "lost.mp4: does not exist" in rows[-1]["failure"]
    assert [path.name for path in tmp_path.iterdir()] == ["answers.parquet"]
    assert "note: 1 question has no answer (column `failure` says why)" in done.err
    *_, wrote, then = done.err.splitlines()
    assert re.fullmatch(rf"wrote {re.escape(str(out))}: {QUESTIONS} questions \(\d.*\)", wrote)
    assert then == f"next: lmeec mllm evaluate {out}"
    quiet = lmeec(*call, "--workers", 0, "--overwrite", "--quiet")
    assert quiet.err.splitlines() == ["note: 1 question has no answer (column `failure` says why)"]
    again = lmeec(*call, "--workers", 0)
    assert again.status == 1
    assert "--overwrite" in again.err
    alone = lmeec("mllm", "answer", videos / "1.mp4", "Which is number 1?", "--model", model, "--tokens", 4)
    assert alone.out.strip() == rows[1]["reply"].strip()


def test_a_clip_is_described_without_a_question(model, videos):
    done = lmeec("mllm", "answer", videos / "0.mp4", "--caption", "--model", model, "--tokens", 4)
    assert done.status == 0, done.err
    both = lmeec("mllm", "answer", videos / "0.mp4", "What?", "--caption", "--model", model)
    assert (both.status, "without a question" in both.err) == (2, True)


def test_a_table_needs_a_file_to_go_to(model, questions):
    assert "--out" in lmeec("mllm", "answer", questions, "--model", model).err


class _StopsAfter(TasksInProcess):
    """Asks to stop when a number of parts is done."""

    def __init__(self, parts, stop):
        self.parts, self.stop, self.done = parts, stop, 0

    def __call__(self, work, jobs, died):
        for result in super().__call__(work, jobs, died):
            self.done += 1
            if self.done == self.parts:
                self.stop.request()
            yield result


def test_a_stopped_table_goes_on_where_it_was_and_is_as_if_it_had_not_been_stopped(
    model, videos, questions, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "_BATCHES_A_PART", 1)
    answering = Answering(model, config=AskConfig(batch=2, open_tokens=4))
    clips, whole, out = (
        VideoClips(read_set("questions", questions), videos, 4),
        tmp_path / "whole.parquet",
        tmp_path / "out.parquet",
    )
    assert answer_table(answering, clips, whole, TasksInProcess(), stop=Stop())
    stop = Stop()
    assert not answer_table(answering, clips, out, _StopsAfter(1, stop), stop=stop)
    assert not out.exists()
    other = replace(answering, config=AskConfig(batch=2, open_tokens=3))
    with pytest.raises(OutputError, match="other questions"):
        answer_table(other, clips, out, TasksInProcess(), stop=Stop())
    counted = _StopsAfter(-1, Stop())
    assert answer_table(answering, clips, out, counted, stop=Stop())
    assert counted.done == 2  # of three parts
    assert pq.read_table(out).equals(pq.read_table(whole))
    assert read_about(out) == read_about(whole)
    assert read_about(out)["asked"]["open_tokens"] == 4


def test_the_very_same_answers_are_kept_where_that_is_wanted_and_others_replaced(model, videos, questions, tmp_path):
    answering = Answering(model, config=AskConfig(batch=2, open_tokens=4))
    clips, out = VideoClips(read_set("questions", questions), videos, 4), tmp_path / "out.parquet"
    moved = replace(answering, model=shutil.copytree(model, tmp_path / "moved"))

    def asked(answering, clips):
        counted = _StopsAfter(-1, Stop())
        assert answer_table(answering, clips, out, counted, stop=Stop(), keep=True, overwrite=True)
        return counted.done > 0

    assert asked(answering, clips)
    assert not asked(answering, clips)
    assert not asked(moved, clips)
    assert asked(answering, clips.part(0, 2))
    assert asked(replace(answering, dtype="bfloat16"), clips.part(0, 2))
    assert read_about(out)["dtype"] == "bfloat16"


def test_a_model_that_cannot_be_used_is_told_before_anything_is_asked(model, videos, tmp_path):
    broken = shutil.copytree(model, tmp_path / "broken")
    shutil.rmtree(broken / "tokenizer")
    clips = VideoClips([Sample("0", "0.mp4", "mine", "t", question="?")], videos, 4)
    with pytest.raises(CheckpointError, match="holds no tokenizer"):
        answer_table(Answering(broken), clips, tmp_path / "out.parquet", TasksInProcess(), stop=Stop())


def test_a_model_answers_in_bfloat16(model, videos):
    done = lmeec("mllm", "answer", videos / "0.mp4", "Which?", "--model", model, "--tokens", 4, "--dtype", "bfloat16")
    assert done.status == 0, done.err


def test_workers_on_ray_answer_as_this_process_does(model, videos, questions, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCHES_A_PART", 1)
    tables = []
    for workers in (0, 2):
        out = tmp_path / f"{workers}.parquet"
        call = ["mllm", "answer", questions, "--videos", videos, "--model", model, "--out", out, "--tokens", 4]
        done = lmeec(*call, "--batch", 2, "--workers", workers)
        assert done.status == 0, done.err
        tables.append(read_answers(out))
    assert tables[0].equals(tables[1])
