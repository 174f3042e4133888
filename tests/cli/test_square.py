"""`lmeec predict --mask-size square`, and what takes its tables."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from lmeec.analysis.evaluation import evaluate
from lmeec.errors import DataError
from lmeec.tables import read_metadata, read_results
from tests.support.command import lmeec


@pytest.fixture(scope="module")
def square(rendered_takes, tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("square") / "results.parquet"
    take = ("--take", rendered_takes.names[0], "--direction", "ego2exo", "--checkpoint", tiny)
    done = lmeec("predict", rendered_takes.root, "--out", path, *take, "--mask-size", "square")
    assert done.status == 0, done.err
    return path


def test_masks_of_both_sides_are_480_by_480_and_the_run_says_so(square):
    rows = read_results(square).to_pandas()
    assert set(rows.height) == set(rows.width) == {480}
    assert read_metadata(square).predict["mask_size"] == "square"


def test_a_run_is_not_continued_with_masks_of_another_size(square, rendered_takes, tiny):
    take = ("--take", rendered_takes.names[0], "--direction", "ego2exo", "--checkpoint", tiny)
    done = lmeec("predict", rendered_takes.root, "--out", square, *take)
    assert done.status == 1
    assert "mask_size: 'square' and 'evaluation'" in done.err


def test_score_takes_it_by_the_papers_protocol(square):
    done = lmeec("score", square, "--protocol", "paper", "--json")
    assert done.status == 0, done.err
    document = json.loads(done.out)
    assert document["protocol"] == "paper"
    rows = read_results(square).to_pandas()
    counted = rows[(rows.frame % 30 == 0) & rows.missing.isna()]
    scores = document["directions"]["ego2exo"]
    assert scores["visible"] + scores["absent"] == len(counted)
    assert f"{(rows.frame % 30 != 0).sum()} whose number is no multiple of 30" in done.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("score",), "--protocol paper"),
        (("export", "--format", "challenge", "--out", "challenge.json"), "predict without --mask-size square"),
    ],
)
def test_what_compares_the_benchmarks_masks_refuses_it(square, command, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = lmeec(*command, square)
    assert done.status == 1
    assert words in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", [read_results, pq.read_table])
def test_a_table_in_memory_is_not_scored_by_the_benchmarks_protocol(read, square):
    with pytest.raises(DataError, match='protocol="paper"'):
        evaluate(read(square))
    assert evaluate(read(square), protocol="paper") == evaluate(square, protocol="paper")


def test_the_papers_protocol_takes_no_calibration(square, tmp_path):
    done = lmeec("score", square, "--protocol", "paper", "--calibration", tmp_path / "calibration.json")
    assert done.status == 2
    assert "by area" in done.err
