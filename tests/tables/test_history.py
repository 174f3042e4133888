"""How a table came to be: kept beside what tells runs apart, and free of what gives access."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmeec.errors import OutputError
from lmeec.tables import merge_parts, read_history, read_metadata, read_results
from lmeec.tables.history import HISTORY_KEY, Step
from tests.support.command import lmeec
from tests.support.predictions import predict_fairly
from tests.support.rows import row, write_part, write_results

PREDICT = ("--direction", "ego2exo", "--workers", 0)


def commands(table):
    return [step.command for step in read_history(table)]


def words_of(page):
    """The rows of the report's tables, without their marks."""
    return re.sub("<[^>]*>", "", page.read_text().replace("</td><td>", "|"))


def test_a_prediction_keeps_its_call_and_data_set_and_is_the_same_run_under_another(rendered_takes, tiny, tmp_path):
    """Of the same settings from a folder of another name, in other batches, to another file."""
    takes = tmp_path / "other name"
    takes.symlink_to(rendered_takes.root)
    one, other = tmp_path / "one.parquet", tmp_path / "other.parquet"
    call = ("predict", rendered_takes.root, "--out", one, "--checkpoint", tiny, *PREDICT)
    assert lmeec(*call).status == 0
    assert lmeec("predict", takes, "-o", other, "--checkpoint", tiny, *PREDICT, "--batch-tracks", 1).status == 0
    (step,) = read_history(one)
    assert step.command == f"lmeec {' '.join(map(str, call))}"
    assert step.data == str(rendered_takes.root)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", step.when)
    assert commands(other) == [
        f"lmeec predict '{takes}' -o {other} --checkpoint {tiny} {' '.join(map(str, PREDICT))} --batch-tracks 1"
    ]
    assert read_metadata(one).fingerprint == read_metadata(other).fingerprint
    again = lmeec("predict", takes, "--out", one, "--checkpoint", tiny, *PREDICT)
    assert "nothing to do" in again.err
    assert commands(one) == [step.command]
    assert lmeec("score", one, other).status == 0


def test_what_is_made_of_tables_keeps_their_steps(rendered_takes, tmp_path):
    one, other = (predict_fairly(rendered_takes.root, tmp_path / f"{name}.parquet") for name in ("one", "other"))
    assert read_history(one) == ()
    fused, kept = tmp_path / "fused.parquet", tmp_path / "kept.parquet"
    assert lmeec("fuse", one, other, "--by", "predicted_iou", "--out", fused).status == 0
    assert lmeec("select", fused, "--where", "frame = 0", "--out", kept).status == 0
    assert commands(kept) == [
        f"lmeec fuse {one} {other} --by predicted_iou --out {fused}",
        f"lmeec select {fused} --where 'frame = 0' --out {kept}",
    ]
    page = tmp_path / "report.html"
    assert lmeec("report", kept, "--out", page).status == 0
    text = words_of(page)
    assert f"command 1|lmeec fuse {one}" in text
    assert "command 2|lmeec select" in text


def test_the_report_tells_the_call_and_the_data_set_without_takes(tmp_path):
    parts = [write_part(tmp_path / "parts", [row(0)])]
    out, page = tmp_path / "r.parquet", tmp_path / "r.html"
    merge_parts(parts, out, history=[Step("lmeec predict <takes> -o r.parquet", "/data/<takes>")])
    assert lmeec("report", out, "--out", page).status == 0
    text = words_of(page)
    assert "command|lmeec predict &lt;takes&gt; -o r.parquet\n" in text
    assert "data set|/data/&lt;takes&gt;\n" in text
    assert "checkpoint, ego2exo|nano (1f)\n" in text


@pytest.mark.parametrize(
    "secret",
    ["https://ann:SECRET@host/takes", "https://host/a.pt?sig=SECRET", "https://host/a.pt?sig='a' SECRET#SECRET"],
)
def test_no_credentials_are_kept(tmp_path, monkeypatch, secret):
    from lmeec_cli.called import command_line

    monkeypatch.setattr("sys.argv", ["lmeec", "predict", secret, "--checkpoint", f"ego2exo={secret}"])
    out = tmp_path / "r.parquet"
    merge_parts([write_part(tmp_path / "parts", [row(0)])], out, history=[Step(command_line(), secret)])
    (step,) = read_history(out)
    assert step.command.startswith("lmeec predict ")
    assert "host/" in step.data
    assert b"SECRET" not in out.read_bytes()


def test_names_that_are_no_text_are_kept_as_escapes(tmp_path):
    out = tmp_path / "r.parquet"
    merge_parts([write_part(tmp_path / "parts", [row(0)])], out, history=[Step("lmeec predict a\udce9b", "a\udce9b")])
    assert read_history(out)[0].data == "a\\udce9b"


def test_damaged_notes_are_named(tmp_path):
    out = write_results(tmp_path / "r.parquet", [row(0)])
    table = pq.read_table(out)
    pq.write_table(table.replace_schema_metadata(table.schema.metadata | {HISTORY_KEY: b"[{"}), out)
    with pytest.raises(OutputError, match="damaged notes of how it was made"):
        read_history(out)
    assert isinstance(read_results(out), pa.Table), "rows do not depend on it"


def test_a_function_that_is_called_again_gives_the_same_file(tmp_path):
    parts = [write_part(tmp_path / "parts", [row(0)])]
    before = Step("lmeec predict takes -o r.parquet", "takes", "2026-11-29T11:00:00+00:00")
    for name in ("one", "other"):
        merge_parts(parts, tmp_path / f"{name}.parquet", history=[before, Step()])
    assert read_history(tmp_path / "one.parquet") == (before,)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()
