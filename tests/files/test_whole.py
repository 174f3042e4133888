"""Files that appear when whole: what is told, and what is left, where writing fails."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from lmeec.analysis.records import write_table
from lmeec.errors import DiskFullError, OutputError
from lmeec.export import export_challenge, export_coco, export_davis
from lmeec.files.locations import location
from lmeec.files.whole import made_whole, naming_the_file, written_whole
from lmeec.report import write_report
from lmeec.tables import PartWriter, list_parts, merge_parts
from lmeec.tables.read import read_results
from lmeec.training.output.folder import TrainingFolder
from lmeec.training.output.log import TrainingLog, read_log
from lmeec.video.encoding import video_writer
from tests.support.full import little_room
from tests.support.places import ROOT
from tests.support.rows import RUN, row, write_part, write_results

NOISE = np.random.default_rng(1).integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "results.parquet", [row(frame) for frame in range(40)])


def write_part_of_many(folder, _):
    with PartWriter(folder, RUN, "take-1", "ego2exo") as part:
        part.write([row(frame, object=f"cup {NOISE[0, 0, frame % 64]} {frame}") for frame in range(400)])


def write_video(folder, _):
    with video_writer(folder / "video.mp4", (64, 64), Fraction(4)) as add:
        for image in NOISE:
            add(image)


def write_state(folder, _):
    with TrainingFolder(folder / "training") as training:
        training.write_state({"weights": torch.zeros(50_000)})


def merge(folder, _):
    parts = [write_part(folder / "parts", [row(frame, take_uid=f"t{frame}")]) for frame in range(20)]
    with little_room(3000):
        merge_parts(parts, folder / "merged.parquet")


WRITERS = {
    "a table of scores": lambda folder, results: write_table(read_results(results), folder / "scores.parquet"),
    "a part": write_part_of_many,
    "a joined table": merge,
    "coco": lambda folder, results: export_coco([results], folder / "coco"),
    "davis": lambda folder, results: export_davis([results], folder / "davis"),
    "challenge": lambda folder, results: export_challenge([results], folder / "challenge.json"),
    "report": lambda folder, results: write_report(results, folder / "report.html"),
    "video": write_video,
    "a state of a training": write_state,
}
ROOM = {"davis": 60, "challenge": 500, "a joined table": 10_000_000}


@pytest.mark.parametrize("what", WRITERS)
def test_no_room(what, results, tmp_path):
    """The error names the file, not the hidden one beside it, and nothing is left that looks whole."""
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(OutputError, match="cannot write") as raised, little_room(ROOM.get(what, 2000)):
        WRITERS[what](out, results)
    assert f"{out}/" in str(raised.value)
    assert "File too large" in str(raised.value)
    assert ".tmp" not in str(raised.value)
    assert isinstance(raised.value.__cause__, OSError)
    left = {path.name for path in out.rglob("*") if path.is_file() and path.parent.name != "parts"}
    assert left <= {".lock"}, left
    WRITERS[what](out, results) if what != "a joined table" else None
    assert any(path.is_file() for path in out.rglob("*"))


def test_the_log_of_a_training_tells_and_keeps_its_whole_lines(tmp_path):
    log = TrainingLog(tmp_path, 0)
    with pytest.raises(OutputError, match=r"log\.jsonl|tensorboard"), little_room(300):
        for step in range(100):
            log.write("step", step, {"loss": 0.5})
    log.close()
    kept = read_log(tmp_path)
    assert [one["step"] for one in kept] == list(range(len(kept)))
    TrainingLog(tmp_path, 0).close()  # goes on


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_no_space_and_no_quota_are_a_full_disk(number, tmp_path):
    with pytest.raises(DiskFullError, match=f"{tmp_path}.*{os.strerror(number)}"), naming_the_file(tmp_path):
        raise OSError(number, os.strerror(number))


def test_what_a_block_reads_is_not_what_cannot_be_written(tmp_path):
    """An error of reading keeps its own name."""
    with pytest.raises(FileNotFoundError, match="input"), written_whole(tmp_path / "out"):
        (tmp_path / "input").read_bytes()
    assert not list(tmp_path.iterdir())


def test_devices_and_pipes_are_not_replaced(tmp_path):
    """As root, a file would take the place of /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        with pytest.raises(OutputError, match=f"cannot write {path}.*device or a pipe"), made_whole(path):
            pytest.fail("something is written")
    assert pipe.is_fifo()


def test_a_name_of_the_greatest_length(tmp_path):
    for name in ("n" * 255, "ü" * 127, "🎥" * 63):
        with written_whole(tmp_path / name) as file:
            file.write(b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"
    with pytest.raises(OutputError, match="File name too long"), written_whole(tmp_path / ("n" * 256)):
        pytest.fail("something is written")


def test_an_object_store_that_is_away(tmp_path, monkeypatch):
    place = location("memory://bucket/results.json")

    def put_file(*_):
        raise RuntimeError("could not connect")

    monkeypatch.setattr(place.fs, "put_file", put_file)
    with (
        pytest.raises(OutputError, match=r"memory://bucket/results.json: could not connect"),
        written_whole(place) as file,
    ):
        file.write(json.dumps([]).encode())
    with (
        pytest.raises(OutputError, match=r"memory://bucket/results.json: File too large"),
        little_room(10),
        written_whole(place) as file,
    ):
        file.write(bytes(100))


def test_a_part_that_finds_no_room_is_no_part(tmp_path):
    with pytest.raises(OutputError), little_room(2000):
        write_part_of_many(tmp_path, None)
    assert list_parts(tmp_path) == []


def opens_to_write(call):
    """Whether a call in the code makes or fills a file by itself."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "open":
        said = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
        return any(
            isinstance(one, ast.Constant) and isinstance(one.value, str) and re.fullmatch("[wax][bt+]*", one.value)
            for one in said
        )
    return name in {"write_text", "write_bytes", "NamedTemporaryFile", "TemporaryFile", "mkstemp", "savefig"}


BY_THEMSELVES = {
    "lmeec/files/whole.py",
    "lmeec/clips/counting.py",  # a note of how far it is, on which nothing depends
    "lmeec/clips/extract.py",  # the lock of a folder, which says whose it is
    "lmeec/clips/shards.py",  # a tar, into a file of the boundary
    "lmeec/cluster/alone.py",  # a lock, and the token that Ray would write
    "lmeec/files/growing.py",  # grows by whole lines
    "lmeec/files/remote/place.py",  # a copy of what is elsewhere, for as long as it is read
    "lmeec/mllm/checkpoint.py",  # in a folder that appears when whole
    "lmeec/mllm/data/egoexoclip.py",  # a clip out of a shard, for as long as it is read
    "lmeec/report/charts.py",  # to memory
    "lmeec/training/output/folder.py",  # a lock
    "lmeec/training/output/log.py",  # grows by whole lines
    "lmeec/video/encoding.py",  # through FFmpeg
    "lmeec_cli/failure.py",  # where all else has failed
    "lmeec_cli/terminal.py",
}


def test_nothing_is_written_past_the_boundary():
    found = {
        str(path.relative_to(ROOT))
        for folder in ("lmeec", "lmeec_cli")
        for path in (ROOT / folder).rglob("*.py")
        if any(isinstance(node, ast.Call) and opens_to_write(node) for node in ast.walk(ast.parse(path.read_text())))
    }
    assert found == BY_THEMSELVES
