"""`lmeec score` as a user calls it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from lmeec.analysis.calibration import Calibration, read_calibration
from lmeec.analysis.evaluation import evaluate
from lmeec.analysis.rule import Rule
from lmeec.errors import LmeecError
from lmeec.metrics import contour_accuracy, iou
from lmeec_cli.score import score
from tests.support.command import lmeec
from tests.support.places import ASSETS
from tests.support.rows import missing_row, row, square, write_results

VERSION_1 = ASSETS / "results_v1.parquet"


def visible(frame, left, **changes):
    return row(frame, gt_state="visible", gt=square(10, left), **changes)


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
    boundary = contour_accuracy(square(10, 30), square(10, 40))
    assert line.split() == ["ego2exo", "33.33", "0.015", f"{boundary:.3f}", "100.00*", "1", "1", "1"]
    assert "* of fewer than 5 absent frames" in done.stdout
    assert "none of the 1 frames of exo2ego" in done.stderr


def test_json_is_all_of_stdout(app, results):
    done = CliRunner().invoke(app, [str(results), "--json"])
    document = json.loads(done.stdout)
    assert document["run"]["memory"] == {"policy": "drop", "size": 6}
    assert document["directions"]["ego2exo"]["iou"] == pytest.approx(1 / 3)
    assert document["directions"]["ego2exo"]["balanced_accuracy"] == 1
    assert document["directions"]["exo2ego"]["iou"] is None
    assert "note: " in done.stderr


@pytest.fixture
def with_missing(tmp_path):
    """Two visible and two absent frames, one of each without a prediction, and one that nobody annotated."""
    rows = [
        visible(0, left=40),
        missing_row(30, missing="camera", gt_state="visible", gt=square(10, 40)),
        row(60, gt_state="absent", object_score=1.0),
        missing_row(90, gt_state="absent"),
        missing_row(120, missing="empty_query"),
    ]
    return write_results(tmp_path / "missing.parquet", rows)


def test_frames_without_a_prediction_count_as_empty_and_are_told(app, with_missing):
    done = CliRunner().invoke(app, [str(with_missing), "--json"])
    document = json.loads(done.stdout)
    scores = document["directions"]["ego2exo"]
    assert (scores["iou"], scores["balanced_accuracy"]) == (pytest.approx(1 / 6), 0.5)
    assert [scores[name] for name in ("frames", "visible", "absent", "missing")] == [5, 2, 2, 2]
    assert document["missing"] == {"count_as": "empty", "frames": {"ego2exo": {"video": 1, "camera": 1}}}
    assert "note: 2 frames of ego2exo have ground truth but no prediction (video 1, camera 1)" in done.stderr
    assert evaluate(with_missing)["ego2exo"].missing == 2


def test_frames_without_a_prediction_can_be_left_out(app, with_missing):
    done = CliRunner().invoke(app, [str(with_missing), "--json", "--missing", "skip"])
    document = json.loads(done.stdout)
    scores = document["directions"]["ego2exo"]
    assert (scores["iou"], scores["balanced_accuracy"]) == (pytest.approx(1 / 3), 0.5)
    assert [scores[name] for name in ("frames", "visible", "absent", "missing")] == [2, 1, 1, 0]
    assert document["missing"] == {"count_as": "skip", "frames": {"ego2exo": {"video": 1, "camera": 1}}}
    assert "they are left out" in done.stderr


def test_where_nothing_is_left_it_says_that_it_is_for_the_option(app, tmp_path):
    rows = [missing_row(30, missing="camera", gt_state="visible", gt=square(10, 40)), row(60)]
    results = write_results(tmp_path / "missing.parquet", rows)
    done = CliRunner().invoke(app, [str(results), "--missing", "skip"])
    assert isinstance(done.exception, LmeecError)
    assert "--missing skip leaves nothing to score" in str(done.exception)


@pytest.mark.parametrize("call", [("calibrate", "--out", "c.json"), ("export", "--format", "coco", "--out", "coco")])
def test_other_commands_tell_of_a_table_of_an_earlier_version_too(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *options = call
    assert "was made by an earlier version" in lmeec(name, VERSION_1, *options).err


def test_a_table_of_an_earlier_version_is_told(app, results):
    done = CliRunner().invoke(app, [str(VERSION_1)])
    assert done.exit_code == 0
    assert "Frames without a prediction are not in it" in done.stderr
    assert "earlier version" not in CliRunner().invoke(app, [str(results)]).stderr


def test_runs_are_compared_on_frames_that_one_could_not_predict(app, with_missing, tmp_path):
    rows = [visible(0, left=40), visible(30, left=40), row(60, gt_state="absent"), row(90, gt_state="absent")]
    whole = write_results(tmp_path / "whole.parquet", rows)
    document = json.loads(CliRunner().invoke(app, [str(with_missing), str(whole), "--json"]).stdout)
    scores = document["directions"]["ego2exo"]
    assert scores["iou_difference"] == pytest.approx(1 / 6)
    assert (scores["frames"], scores["missing"]) == (4, 2)
    call = [str(with_missing), str(whole), "--json", "--missing", "skip"]
    scores = json.loads(CliRunner().invoke(app, call).stdout)["directions"]["ego2exo"]
    assert (scores["iou_difference"], scores["frames"]) == (0, 2)


@pytest.mark.parametrize(
    ("visible_frames", "absent_frames", "shown", "value"),
    [(3, 0, "-", 1.0), (0, 3, "-", 0.0), (3, 4, "50.00*", 0.5), (3, 5, "50.00", 0.5)],
)
def test_a_balanced_accuracy_of_one_kind_of_frames_is_not_shown(
    app, tmp_path, visible_frames, absent_frames, shown, value
):
    rows = [visible(i, left=40) for i in range(visible_frames)]
    rows += [row(100 + i, gt_state="absent") for i in range(absent_frames)]
    path = write_results(tmp_path / "r.parquet", rows)
    done = CliRunner(env={"COLUMNS": "140"}).invoke(app, [str(path)])
    line = next(line for line in done.stdout.splitlines() if "ego2exo" in line)
    assert line.split()[-4] == shown
    assert ("* of fewer than 5" in done.stdout) == shown.endswith("*")
    told = json.loads(CliRunner().invoke(app, [str(path), "--json"]).stdout)["directions"]["ego2exo"]
    assert (told["balanced_accuracy"], told["visible"], told["absent"]) == (value, visible_frames, absent_frames)
    assert evaluate(path)["ego2exo"].balanced_accuracy == value
    pair = CliRunner(env={"COLUMNS": "140"}).invoke(app, [str(path), str(path)])
    line = next(line for line in pair.stdout.splitlines() if line.startswith("ego2exo"))
    assert line.split()[-4] == shown


TAKES = [
    visible(30 * i, left=30 + 5 * take, take_uid=f"take-{take}", scenario="Cooking" if take < 2 else "Bike repair")
    for take in range(4)
    for i in range(3)
]


def test_groups_as_tables_json_csv_and_parquet_agree(app, tmp_path):
    path = write_results(tmp_path / "r.parquet", TAKES)
    options = [str(path), "--by", "scenario", "--by", "camera,size"]
    out = tmp_path / "per_group.parquet"
    document = json.loads(CliRunner().invoke(app, [*options, "--json", "--out", str(out)]).stdout)
    written = pq.read_table(out).to_pylist()
    printed = list(csv.DictReader(io.StringIO(CliRunner().invoke(app, [*options, "--csv"]).stdout)))
    assert [(one["by"], one["scenario"], one["size"], one["visible"]) for one in written] == [
        ("direction", None, None, 12),
        ("direction,scenario", "Bike repair", None, 6),
        ("direction,scenario", "Cooking", None, 6),
        ("direction,size,camera", None, "small", 12),
    ]
    scenarios = document["tables"][0]
    assert scenarios["by"] == ["direction", "scenario"]
    assert document["directions"]["ego2exo"]["iou_low"] < document["directions"]["ego2exo"]["iou"]
    for one, of_parquet, of_csv in zip(scenarios["groups"], written[1:3], printed[1:3], strict=True):
        assert one.items() <= of_parquet.items()
        assert float(of_csv["iou_high"]) == of_parquet["iou_high"] == one["iou_high"]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, options).stdout
    line = next(line for line in shown.splitlines() if "Cooking" in line)
    assert f"{100 * scenarios['groups'][1]['iou']:.2f}" in line


def test_narrow_terminals_cut_nothing_off(app, tmp_path):
    path = write_results(tmp_path / "r.parquet", TAKES)
    narrow, wide = (
        CliRunner(env={"COLUMNS": columns}).invoke(app, [str(path), "--by", "scenario"]).stdout
        for columns in ("40", "200")
    )
    assert [line.split() for line in narrow.splitlines()] == [line.split() for line in wide.splitlines()]
    assert "Bike repair" in narrow


def test_means_over_takes(app, tmp_path):
    path = write_results(tmp_path / "r.parquet", [*TAKES[:3], TAKES[-1]])
    pooled, over_takes = (
        json.loads(CliRunner().invoke(app, [str(path), "--json", "--average", average]).stdout)["directions"]["ego2exo"]
        for average in ("frame", "take")
    )
    first, last = (iou(one.mask, one.gt) for one in (TAKES[0], TAKES[-1]))
    assert pooled["iou"] == pytest.approx((3 * first + last) / 4)
    assert over_takes["iou"] == pytest.approx((first + last) / 2)


def test_two_runs_are_compared_on_the_frames_that_both_have(app, tmp_path):
    first = write_results(tmp_path / "a.parquet", TAKES)
    better = [dataclasses.replace(one, mask=one.gt) for one in TAKES[3:]]
    second = write_results(tmp_path / "b.parquet", [*better, visible(0, left=30, take_uid="take-9")])
    done = CliRunner().invoke(app, [str(first), str(second), "--json"])
    document = json.loads(done.stdout)
    assert document["common"] == {"frames": 9, "only_first": 3, "only_second": 1, "other_truth": 0}
    both = document["directions"]["ego2exo"]
    assert both["iou_second"] == pytest.approx(1)
    assert both["iou_difference"] == pytest.approx(both["iou_second"] - both["iou_first"])
    assert 0 < both["iou_difference_low"] < both["iou_difference"] < both["iou_difference_high"]
    assert "9 frames that both have" in done.stderr
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(first), str(second)]).stdout
    assert f"+{100 * both['iou_difference']:.2f}" in next(line for line in shown.splitlines() if "B - A" in line)


def test_runs_without_a_common_frame_are_not_compared(app, tmp_path):
    first = write_results(tmp_path / "a.parquet", TAKES)
    second = write_results(tmp_path / "b.parquet", [visible(0, left=30, take_uid="take-9")])
    done = CliRunner().invoke(app, [str(first), str(second)])
    assert "no frame in common" in str(done.exception)


def test_a_calibration_decides_what_is_visible(app, results, tmp_path):
    path = tmp_path / "calibration.json"
    Calibration({"ego2exo": Rule(("log_area_share",), (-9.0,), (1.0,), (1.0,), 0.0)}).write(path)
    done = CliRunner().invoke(app, [str(results), "--json", "--calibration", str(path)])
    document = json.loads(done.stdout)
    assert document["directions"]["ego2exo"]["balanced_accuracy"] == 0.5  # calls everything visible
    assert document["calibration"] == read_calibration(path).digest
    assert "says nothing of exo2ego" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--by", "colour"], "cannot group by 'colour'"),
        (["--calibration", "nothing.json"], "nothing.json"),
    ],
)
def test_bad_options_are_explained(app, results, options, words):
    done = CliRunner().invoke(app, [str(results), *options])
    assert isinstance(done.exception, LmeecError)
    assert words in str(done.exception)


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
    assert str(results) in str(done.exception)
    assert words in str(done.exception)
    assert done.stdout == ""


@pytest.mark.parametrize("first", list("=+-@\t\r\n"))
def test_no_name_is_a_formula_in_csv(app, tmp_path, first):
    """A spreadsheet computes text that looks so; numbers below zero stay numbers, and other formats keep the name."""
    name = f"{first}HYPERLINK(1)"
    one = write_results(tmp_path / "one.parquet", [visible(30 * i, left=30, object=name) for i in range(3)])
    two = write_results(tmp_path / "two.parquet", [visible(30 * i, left=45, object=name) for i in range(3)])
    out = tmp_path / "groups.parquet"
    options = [str(one), str(two), "--by", "object"]
    records = list(csv.DictReader(io.StringIO(CliRunner().invoke(app, [*options, "--csv"]).stdout)))
    assert records[-1]["object"].startswith("'")
    assert float(records[-1]["iou_difference"]) != 0
    assert any(value.startswith("-") for value in records[-1].values())
    document = json.loads(CliRunner().invoke(app, [*options, "--json", "--out", str(out)]).stdout)
    assert document["tables"][0]["groups"][0]["object"] == name
    assert pq.read_table(out)["object"].to_pylist()[-1] == name
