"""`lmeec score` as a user calls it."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from lmeec.errors import LmeecError
from lmeec.metrics import contour_accuracy
from lmeec_cli.score import score
from tests.tables.rows import row, square, write_results


@pytest.fixture
def app():
    app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False)
    app.command("score")(score)
    return app


@pytest.fixture
def results(tmp_path):
    rows = [
        row(0, gt_state="visible", gt=square(10, 40)),
        row(30, gt_state="absent", object_score=-1.0),
        row(0, direction="exo2ego"),
    ]
    return write_results(tmp_path / "results.parquet", rows)


def test_table(app, results):
    done = CliRunner(env={"COLUMNS": "140"}).invoke(app, [str(results)])
    assert done.exit_code == 0
    line = next(line for line in done.stdout.splitlines() if "ego2exo" in line)
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        "ego2exo",
        "33.33",
        "0.015",
        f"{contour_accuracy(square(10, 30), square(10, 40)):.3f}",
        "100.00",
        "1",
        "1",
        "1",
        "1",
    ]
    assert "none of the 1 frames of exo2ego" in done.stderr


def test_json_is_all_of_stdout(app, results):
    done = CliRunner().invoke(app, [str(results), "--json"])
    document = json.loads(done.stdout)
    assert document["run"]["memory"] == {"policy": "drop", "size": 6}
    assert document["directions"]["ego2exo"]["iou"] == pytest.approx(1 / 3)
    assert document["directions"]["ego2exo"]["balanced_accuracy"] == 1
    assert document["directions"]["exo2ego"]["iou"] is None
    assert "note: " in done.stderr


def test_help_has_worked_examples(app):
    done = CliRunner().invoke(app, ["--help"])
    assert "lmeec score results.parquet --json" in done.stdout


def spoilt(kind, path):
    if kind == "missing":
        path.unlink()
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif kind == "foreign":
        pq.write_table(pa.table({"a": [1]}), path)
    else:
        path.unlink()
        write_results(path.with_name("other.parquet"), [row(0)]).rename(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "does not exist"),
        ("truncated", "not a whole Parquet file"),
        ("foreign", "not a results table"),
        ("test split", "no frame with ground truth"),
    ],
)
def test_bad_files_are_named_and_explained(app, results, kind, words):
    spoilt(kind, results)
    done = CliRunner().invoke(app, [str(results)])
    assert isinstance(done.exception, LmeecError)
    assert str(results) in str(done.exception) and words in str(done.exception)
    assert done.stdout == ""
