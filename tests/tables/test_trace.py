"""The trace of a run as it is kept: lines of drivers that were killed, and the table that they are joined to."""

from __future__ import annotations

import dataclasses

import msgspec
import pyarrow.parquet as pq
import pytest

from lmeec.errors import OutputError
from lmeec.tables import Output
from lmeec.tables.trace import TRACE_SCHEMA, Attempt, Session, Trace, read_trace, write_trace
from tests.support.nights import attempt
from tests.support.rows import RUN

FIRST = Session(session="one", host="head", pid=1, began=100.0, workers=2)


@pytest.fixture
def out(store):
    return Output.of(f"{store}/results.parquet")


def write_lines(out, session, *lines, torn=b""):
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines) + torn
    out.parts.mkdir(parents=True, exist_ok=True)
    (out.parts / f"trace-{session}.jsonl").write_bytes(content)


def test_what_was_joined_is_read_as_it_was(out):
    every = {column.name: None for column in TRACE_SCHEMA}
    whole = attempt(
        0, cameras=("gp01", "gp02"), **dict.fromkeys(("missing", "tracks", "bytes_read"), 3), reason="Küche"
    )
    trace = Trace([FIRST], [whole, attempt(1, ended=None, outcome="lost")], torn=2)
    write_trace(out, trace, RUN)
    assert read_trace(out) == trace
    with out.trace.open("rb") as file:
        table = pq.read_table(file)
    assert table.column_names == list(every)
    assert table["ended"].to_pylist()[0].timestamp() == pytest.approx(whole.ended, abs=1e-6)
    assert set(TRACE_SCHEMA.names) | {"line"} == set(Attempt.__struct_fields__) | {"line"}


def test_lines_since_are_added_to_what_was_joined_and_the_last_word_on_an_attempt_counts(out):
    write_trace(out, Trace([FIRST], [attempt(0)], torn=1), RUN)
    second = Session(session="two", host="head", pid=2, began=200.0, workers=1)
    under_way = [attempt(n, session="two", ended=None, outcome="running", predictions=None) for n in (0, 1)]
    ended = attempt(0, session="two", outcome="failed", reason="a bug")
    write_lines(out, "two", second, under_way[0], ended, under_way[1])
    found = read_trace(out)
    assert found.sessions == [FIRST, second]
    assert [(one.session, one.outcome) for one in found.attempts] == [
        ("one", "done"),
        ("two", "failed"),
        ("two", "running"),
    ]
    assert [one.outcome for one in found.settled(running=True).attempts][-1] == "running"
    lost = found.settled(running=False).attempts[-1]
    assert (lost.outcome, lost.ended) == ("lost", None)
    assert "before it heard" in lost.reason


def test_a_torn_line_is_counted_and_the_others_are_read(out):
    write_lines(out, "one", FIRST, attempt(0), torn=msgspec.json.encode(attempt(1))[:-20])
    found = read_trace(out)
    assert (found.torn, found.attempts) == (1, [attempt(0)])


def test_of_another_run_nothing_is_taken_over(out):
    write_trace(out, Trace([FIRST], [attempt(0)]), RUN)
    assert read_trace(out, RUN).attempts
    assert read_trace(out, dataclasses.replace(RUN, model="other")) == Trace()


def test_a_file_that_is_no_trace_is_named(tmp_path):
    out = Output.of(tmp_path / "results.parquet")
    out.trace.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(OutputError, match=r"results\.parquet\.trace\.parquet: is not the trace of a run"):
        read_trace(out)
    pq.write_table(TRACE_SCHEMA.empty_table(), out.trace)
    with pytest.raises(OutputError, match="not the trace of a run"):
        read_trace(out)
