"""The index of a run's parts: what it says is what the parts say, and a run goes on without it as with it."""

from __future__ import annotations

import os

import pytest

from lmeec.config import PredictConfig
from lmeec.data.take import Take
from lmeec.errors import OutputError
from lmeec.files.stamps import stamps_in
from lmeec.runs.events import JobFinished, Notice
from lmeec.runs.executor import InProcess
from lmeec.runs.jobs import Job, Share
from lmeec.runs.outcome import ModelInfo, PartResult
from lmeec.runs.status import read_status
from lmeec.runs.stop import Stop
from lmeec.runs.work import Work, do_work
from lmeec.tables import Output, PartWriter, RunMetadata, list_parts, read_part_info, read_results, rows_to_batch
from lmeec.tables import read as reading
from lmeec.tables.coverage import Coverage, Source
from lmeec.tables.index import index_files, info_of, read_notes, that_hold
from tests.support.rows import row
from tests.support.watching import Watcher

RUN = RunMetadata("stub", {"ego2exo": "0"}, {}, {}, "0")
TAKES = 24
SOURCES = {"aria01": Source("full", 7, content="a"), "cam01": Source("448", 8, content="b"), "cam02": None}


class Takes:
    def __getitem__(self, index):
        return Take(f"take-{index:03d}", f"name-{index:03d}", None, {}, {}, (), "")


class WritingWorker:
    """Writes a row a camera."""

    config = PredictConfig(directions=("ego2exo",))

    def describe(self):
        return {"ego2exo": ModelInfo("stub", "0", "cpu", "float32")}

    def predict_part(self, take, job, directory, run):
        coverage = Coverage(tuple(sorted(job.pairs)), {name: SOURCES[name] for name in sorted(job.cameras)})
        rows = [row(take_uid=take.uid, direction="ego2exo", query_cam=ego, target_cam=exo) for ego, exo in job.pairs]
        with PartWriter(directory, run, take.uid, job.direction, job.piece, coverage) as part:
            part.write_batch(rows_to_batch(rows))
            yield len(rows)
        return PartResult(len(rows), 1, 0.0, (), note=part.note)


JOBS = [
    Job(
        index,
        f"take-{index:03d}",
        f"name-{index:03d}",
        "ego2exo",
        tuple(Share(name, 1, 1, ("aria01",)) for name in ("cam01", "cam02")),
        sources=SOURCES,
    )
    for index in range(TAKES)
]
WORK = Work(RUN, Takes(), JOBS, lambda _jobs: None, lambda _job: iter(()), lambda _out: (TAKES, 0))


def go_on(out, watcher=None, stop=None):
    return do_work(WORK, InProcess(WritingWorker()), Output.of(out), watcher or Watcher(), stop=stop)


def begin(out, parts):
    """Stop a run after some parts."""
    stop = Stop()
    watcher = Watcher(lambda _event: stop.request() if len(watcher.of(JobFinished)) == parts else None)
    assert go_on(out, watcher, stop).waiting == TAKES - parts


def stopped():
    stop = Stop()
    stop.request()
    return stop


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results.parquet"


@pytest.fixture
def opened(monkeypatch):
    """Parquet files that are opened."""
    files = []
    real = reading.pq.ParquetFile

    def counting(source, **options):
        files.append(source)
        return real(source, **options)

    monkeypatch.setattr(reading.pq, "ParquetFile", counting)
    return files


def whole_table(tmp_path):
    go_on(tmp_path / "whole.parquet")
    return read_results(tmp_path / "whole.parquet")


def test_it_says_what_the_parts_say(out):
    begin(out, 9)
    folder = Output.of(out).parts
    notes = that_hold(read_notes(folder), stamps_in(folder))
    assert [info_of(notes[path.name], folder, RUN) for path in list_parts(folder)] == [
        read_part_info(path) for path in list_parts(folder)
    ]


def test_a_run_goes_on_and_joins_without_a_look_into_parts_but_for_their_rows(out, opened, tmp_path):
    begin(out, 20)
    assert not opened
    assert go_on(out, stop=stopped()).resumed == 20
    assert not opened
    assert len(index_files(Output.of(out).parts)) == 1
    again = Watcher()
    assert go_on(out, again).resumed == 20
    assert len(again.of(JobFinished)) == TAKES - 20
    parts = [path for path in opened if ".parts" in str(path)]
    assert len(parts) == len(set(parts)) == TAKES
    assert not Output.of(out).parts.exists()
    assert read_results(out).equals(whole_table(tmp_path))


def tear(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 40])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "looked_into"),
    [
        (tear, 1),
        (flip, 1),
        (lambda path: path.unlink(), 20),
        (lambda path: path.write_bytes(b""), 20),
        (lambda path: path.write_bytes(os.urandom(1000)), 20),
    ],
    ids=["torn", "a bit flipped", "missing", "empty", "something else"],
)
def test_what_it_does_not_say_parts_are_looked_into_for(out, opened, tmp_path, harm, looked_into):
    begin(out, 20)
    (index,) = index_files(Output.of(out).parts)
    harm(index)
    assert go_on(out, stop=stopped()).resumed == 20
    assert len(set(opened)) == looked_into
    opened.clear()
    assert go_on(out, stop=stopped()).resumed == 20
    assert not opened, "what was looked into is noted"
    go_on(out)
    assert read_results(out).equals(whole_table(tmp_path))


def test_a_part_that_is_another_file_by_now_does_not_count_by_its_note(out, opened):
    begin(out, 20)
    parts = list_parts(Output.of(out).parts)
    parts[3].write_bytes(b"PAR1 and nothing else")
    parts[5].unlink()
    again = Watcher()
    assert go_on(out, again, stopped()).resumed == 18
    assert set(opened) == {parts[3]}
    assert any("damaged" in notice.text for notice in again.of(Notice))


def test_a_part_that_is_lost_while_the_run_goes_is_never_left_out(out):
    begin(out, 20)
    parts = list_parts(Output.of(out).parts)
    watcher = Watcher(lambda event: isinstance(event, JobFinished) and parts[3].unlink(missing_ok=True))
    with pytest.raises(OutputError, match="finished are gone or damaged"):
        go_on(out, watcher)
    assert not out.exists()


def test_damage_that_does_not_tell_is_found_by_the_join_and_mended_by_the_next_run(out, tmp_path):
    begin(out, 20)
    part = list_parts(Output.of(out).parts)[3]
    before = part.stat()
    data = bytearray(part.read_bytes())
    data[(len(data) - int.from_bytes(data[-8:-4], "little") - 8) // 2] ^= 0x10
    part.write_bytes(data)
    os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(OutputError, match=part.name):
        go_on(out)
    assert not out.exists()
    again = Watcher()
    assert go_on(out, again).resumed == TAKES - 1
    assert any("damaged" in notice.text for notice in again.of(Notice))
    assert read_results(out).equals(whole_table(tmp_path))


def test_lines_that_a_driver_wrote_before_it_was_killed_count(out, opened):
    begin(out, 20)
    (index,) = index_files(Output.of(out).parts)
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join(lines[:10]))
    index.with_name("index-of-another.jsonl").write_bytes(b"".join(lines[10:]) + b"12345678 {torn")
    assert go_on(out, stop=stopped()).resumed == 20
    assert not opened
    assert len(index_files(Output.of(out).parts)) == 1


def test_parts_of_another_run_are_refused_as_ever(out):
    begin(out, 3)
    other = Work(
        RunMetadata("other", {"ego2exo": "0"}, {}, {}, "0"), Takes(), JOBS, WORK.check, WORK.without, WORK.count
    )
    with pytest.raises(OutputError, match="is of a run with other settings"):
        do_work(other, InProcess(WritingWorker()), Output.of(out), Watcher())


def test_status_knows_pieces_by_it(out, opened):
    begin(out, 4)
    folder = Output.of(out).parts
    piece = JOBS[10].split()[0]
    worker = WritingWorker().predict_part(Takes()[10], piece, folder, RUN)
    next(worker)
    with pytest.raises(StopIteration) as end:
        next(worker)
    assert read_status(out).done == 4
    assert len(opened) == 1
    opened.clear()
    go_on(out, stop=stopped())
    opened.clear()
    assert end.value.value.note.name in read_notes(folder)
    assert read_status(out).done == 4
    assert not opened


def test_in_a_store_it_is_read_in_the_place_of_parts(s3, opened):
    out = f"{s3}/index/results.parquet"
    begin(out, 20)
    opened.clear()
    assert go_on(out, stop=stopped()).resumed == 20
    assert not opened
    go_on(out)
    assert read_results(out).num_rows == 2 * TAKES
    assert not index_files(Output.of(out).parts)
