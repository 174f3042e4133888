"""The example scripts, run as their readers run them."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest

from lmeec.data.takes import find_takes
from lmeec.render import render
from lmeec.tables import read_results
from tests.support.places import ROOT
from tests.support.predictions import predict_fairly

EXAMPLES = ROOT / "examples"


def run(name, *tables):
    call = [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", *tables]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def tables(rendered_takes, tmp_path_factory):
    """Two runs, the second of which loses its objects more slowly."""
    folder = tmp_path_factory.mktemp("runs")
    return [predict_fairly(rendered_takes.root, folder / f"{shift}.parquet", shift=shift) for shift in (20, 3)]


def test_worst_objects(tables):
    text = run("worst_objects", tables[0])
    lines = text.partition("Most often")[0].splitlines()
    frames = read_results(tables[0]).to_pandas()
    frames = frames[frames.gt_state == "visible"]
    kinds = frames.groupby(["direction", frames.object.str.replace(r"_\d+$", "", regex=True)]).iou
    told = kinds.mean()[kinds.size() >= 5]
    assert len(told)
    for (_, name), iou in told.items():
        assert any(name in line and f"{iou:.2f}" in line for line in lines)
    assert "called visible where they are not" in text


def test_drift_over_time(tables):
    text = run("drift_over_time", tables[0])
    quarters = re.findall(r"ego2exo\s*│\s*(\d)\s*│\s*\d+\s*│\s*([\d.]+)", text)
    assert [quarter for quarter, _ in quarters] == ["1", "2", "3", "4"]
    assert float(quarters[0][1]) > float(quarters[-1][1])  # predictions drift away
    assert "Tracks that lose most" in text
    assert "Recovery after a loss" in text


def test_agreement(tables):
    text = run("agreement", *tables)
    assert text.count("the two masks overlap by") == 5
    same = run("agreement", tables[0], tables[0])
    assert "the two masks overlap" not in same
    assert re.search(r"ego2exo\s*┆\s*\d+\s*┆\s*1\.0\s*┆\s*1\.0\s*┆\s*0\.0\s*┆\s*0\.0\s*┆\s*0\.0", same)


def test_best_and_typical(tables, rendered_takes, tmp_path):
    drawn = render(tables[1], find_takes(rendered_takes.root), tmp_path, mosaic=True, height=64, stills=1).files
    text = run("best_and_typical", tables[1], tmp_path)
    rows = read_results(tables[1]).to_pandas()
    rows = rows[rows.gt_state == "visible"]
    names = rows.object.str.replace(" ", "-")
    worth = {}
    for picture in drawn:
        direction, frame, _ = picture.name.split(".")
        take, name = picture.parts[-3:-1]
        shown = rows[(rows.take_name == take) & (names == name) & (rows.direction == direction)]
        worth[str(picture)] = shown[shown.frame == int(frame)].iou.mean()
    found = re.findall(r": +(/.*\.png) \((.*)\)", text)
    values = sorted(value for value in worth.values() if not math.isnan(value))
    assert f"Of {len(values)} pictures" in text
    assert [worth[path] for path, _ in found] == [values[(len(values) - 1) // 2], values[-1]]
    assert all(f"{worth[path]:.2f}" == told for path, told in found)
