"""What a run's trace says is what happened."""

from __future__ import annotations

import json
import signal

import pytest

from lmeec.config import PredictConfig
from lmeec.data.takes import find_takes
from lmeec.errors import OutputError
from lmeec.files.growing import GrowingFile
from lmeec.runs.events import AttemptEnded, JobStarted, Notice
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker
from lmeec.tables import Output, count_missing, count_rows
from lmeec.tables.trace import NETWORK_PARTS, STAGES, read_trace
from tests.support.command import lmeec, start_lmeec
from tests.support.watching import Watcher


@pytest.fixture
def out(tmp_path):
    return Output.of(tmp_path / "results.parquet")


@pytest.fixture
def run(takes, tiny, out):
    """Predict in this process; gives what was told."""

    def predict(**options):
        reporter = Watcher()
        worker = Worker({"ego2exo": str(tiny), "exo2ego": str(tiny)}, PredictConfig())
        run_predictions(InProcess(worker), find_takes(takes.root), out, reporter, **options)
        return reporter

    return predict


def test_it_adds_up_to_the_table_and_says_why_a_camera_is_missing(run, takes, out):
    takes.video(0, "gp01").write_text("no video")
    reporter = run()
    trace = read_trace(out)
    assert trace.attempts == [event.attempt for event in reporter.of(AttemptEnded)]
    made = [one for one in trace.attempts if one.outcome in ("done", "partial")]
    assert len(made) == 4
    assert sum(one.predictions for one in made) == count_rows(out.path) - count_missing(out.path)
    broken = [one for one in trace.attempts if one.outcome != "done"]
    assert {one.take_uid for one in broken} == {takes.uids[0]}
    assert all("gp01.mp4" in one.reason for one in broken)
    (session,) = trace.sessions
    for one in made:
        assert session.began <= one.started < one.ended <= session.ended
        assert one.queued <= one.started
        stages = {name: getattr(one, column) for name, column in STAGES.items()}
        assert all(0 < seconds <= one.seconds + 0.01 for seconds in stages.values()), stages
        parts = [getattr(one, column) for column in NETWORK_PARTS.values()]
        assert all(seconds > 0 for seconds in parts)
        assert sum(parts) <= stages["network"] + 0.01
        cameras = 3 if one.outcome == "done" else 2
        assert one.frames_decoded >= 4 * cameras  # every fifth frame of 20 is annotated
        videos = sum(takes.video(takes.uids.index(one.take_uid), camera).stat().st_size for camera in ("gp01", "gp02"))
        assert one.bytes_read > 0
        assert one.bytes_read < 3 * videos or one.outcome == "partial"
        assert one.peak_memory > 2**26
        assert (one.device, one.peak_gpu_memory, one.worker, one.attempt) == ("cpu", None, "0", 1)
    run(overwrite=True)
    assert {one.session for one in read_trace(out).attempts}.isdisjoint({session.session})


def test_a_run_that_goes_on_keeps_what_drivers_before_it_did(run, takes, out, tmp_path):
    takes.video(0, "gp01").write_text("no video")
    run()
    first = read_trace(out)
    lines = out.parts / "trace-19700101T000000Z-killed.jsonl"
    lines.write_text(
        '{"line":"session","session":"killed","host":"h","pid":1,"began":9e9,"workers":1}\n{"line":"attempt","sess'
    )
    again = run()
    trace = read_trace(out)
    assert trace.torn == 1
    assert [one.session for one in trace.sessions][:1] == [one.session for one in first.sessions]
    assert {"killed"} < {one.session for one in trace.sessions}
    assert trace.attempts[: len(first.attempts)] == first.attempts
    assert len(trace.attempts) == len(first.attempts) + len(again.of(JobStarted))
    assert not lines.exists()


def test_a_trace_that_cannot_be_written_is_told_once_and_costs_nothing_else(run, out, monkeypatch):
    def full(self, line):
        raise OutputError("cannot write: no space")

    monkeypatch.setattr(GrowingFile, "write", full)
    told = [event.text for event in run().of(Notice)]
    assert [text for text in told if "the trace of this run is not whole: cannot write: no space" in text] == [
        text for text in told if "trace" in text
    ]
    assert sum("trace" in text for text in told) == 1
    assert out.path.exists()


def test_a_killed_driver_leaves_its_trace_and_status_and_report_tell_of_it(takes, tiny, out, tmp_path):
    takes.add_copies(2)
    call = ("predict", takes.root, "--out", out.path, "--checkpoint", tiny, "--workers", 0)
    process = start_lmeec(*call, "--log-format", "json")
    events = (json.loads(line) for line in process.stderr if line.startswith("{"))
    started = [event for event, _ in zip((e for e in events if e["event"] == "job_started"), range(2), strict=False)]
    assert len(started) == 2, process.communicate()
    process.send_signal(signal.SIGSTOP)
    running = lmeec("status", out.path, "--trace")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed = lmeec("status", out.path, "--trace")
    for status, words in ((running, "1 under way"), (killed, "1 lost with their driver")):
        assert status.status == 0, status.err
        assert words in status.out
        assert all(len(line) <= 80 for line in status.out.splitlines()[1:] if "frames:" not in line)
    values = json.loads(lmeec("status", out.path, "--trace", "--json").out)["trace"]
    done = values["outcomes"]["done"]
    assert 1 <= done < 8
    assert values["outcomes"] == {"done": done, "lost": 1}
    assert lmeec("report", "--run", out.path, "--out", tmp_path / "night.html").status == 0
    assert "lost with its driver" in (tmp_path / "night.html").read_text()
    assert lmeec(*call).status == 0
    outcomes = [one.outcome for one in read_trace(out).attempts]
    assert set(outcomes) == {"done", "lost"}
    assert outcomes.count("lost") == 1
    assert outcomes.count("done") in (7, 8)  # what is lost may have had its part
    text = lmeec("status", out.path, "--trace").out
    assert "trace: 2 drivers" in text
    assert f"{outcomes.count('done')} done, 1 lost with their driver" in text


def test_without_a_trace_that_is_said(takes, tiny, out, tmp_path):
    out.path.parent.mkdir(exist_ok=True)
    call = ("predict", takes.root, "--out", out.path, "--checkpoint", tiny, "--workers", 0, "--take", takes.names[0])
    assert lmeec(*call).status == 0
    out.trace.unlink()
    for command in (("status", out.path, "--trace"), ("report", "--run", out.path, "--out", tmp_path / "r.html")):
        done = lmeec(*command)
        assert done.status == 1
        assert "there is no trace of how it was made" in done.err
