"""Published numbers beside a run's, with what they are of."""

from __future__ import annotations

import json
import re

import pytest

from lmeec.analysis.published import LM_EEC
from tests.support.command import lmeec
from tests.support.places import ROOT
from tests.support.rows import row, square, write_results


@pytest.fixture
def results(tmp_path):
    seen = {"gt_state": "visible", "gt": square(10, 30)}
    return write_results(tmp_path / "r.parquet", [row(0, **seen), row(0, direction="exo2ego", **seen)])


def test_the_numbers_are_those_of_the_docs(results):
    page = (ROOT / "docs" / "protocols.md").read_text()
    for direction, metrics in LM_EEC.directions.items():
        written = re.search(rf"\| {direction} \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", page)
        iou, location, contour, balanced = map(float, written.groups())
        assert metrics["iou"] == pytest.approx(iou / 100)
        assert metrics["location_error"] == location
        assert metrics["contour_accuracy"] == contour
        assert metrics["balanced_accuracy"] == pytest.approx(balanced / 100)


def test_they_are_shown_with_source_split_and_protocol(results):
    done = lmeec("score", results, "--against", "published")
    assert done.status == 0, done.err
    assert "LM-EEC" in done.out
    assert "54.98" in done.out
    assert "65.77" in done.out
    text = " ".join(done.out.split())
    for words in (
        "2510.11417",
        "test split",
        "arXiv:2510.11417",
        "test split",
        "protocol as printed",
        "protocol benchmark",
        "only on the same split",
    ):
        assert words in text
    document = json.loads(lmeec("score", results, "--against", "published", "--json").out)
    assert document["published"]["directions"]["ego2exo"]["iou"] == 0.5498
    assert "published" not in json.loads(lmeec("score", results, "--json").out)


def test_two_tables_are_not_compared_with_them(results):
    assert lmeec("score", results, results, "--against", "published").status == 2
