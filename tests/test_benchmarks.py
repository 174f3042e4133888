"""`python -m benchmarks`: each in a process of its own, one table and JSON, and what fails does not stop the others."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.suite import SUITE, Benchmark, Figure
from tests.support.places import ROOT


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Three benchmarks: a good one, one that fails, and one that prints nothing."""
    texts = {
        "stub_good": 'print("noise"); print(\'{"ratio": {"median": 5.5}, "MiB": 900}\')',
        "stub_bad": 'import sys; print("{}"); sys.exit("no room left")',
        "stub_mute": "",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    figures = (Figure("times", ("ratio", "median"), (">=", 6)), Figure("MiB", ("MiB",), ("<=", 1000)))
    monkeypatch.setattr(Benchmark, "words", lambda self, small: ["-m", self.name, *(["--small"] if small else [])])
    return [Benchmark(name, "", "", figures) for name in ("stub_bad", "stub_mute", "stub_good")]


def test_figures_are_held_against_targets_and_failures_named(suite, capsys):
    assert main([], suite) == 1
    said = capsys.readouterr()
    results = {one["name"]: one for one in json.loads(said.out)["benchmarks"]}
    assert results["stub_bad"]["status"] == 1
    assert results["stub_bad"]["said"] == "no room left"
    assert results["stub_mute"]["said"] == "printed no JSON"
    good = results["stub_good"]
    assert good["command"] == "python -m stub_good"
    assert [(one["figure"], one["target"], one["verdict"]) for one in good["figures"]] == [
        (5.5, ">= 6", "miss"),
        (900, "<= 1000", "pass"),
    ]
    assert "failed, status 1" in " ".join(said.err.split())


def test_small_settings_are_not_judged_by_targets_of_the_full_ones(suite, tmp_path):
    out = tmp_path / "figures.json"
    assert main(["--quick", "--only", "stub_good", "--out", str(out)], suite) == 0
    (good,) = json.loads(out.read_text())["benchmarks"]
    assert good["command"] == "python -m stub_good --small"
    assert [one["verdict"] for one in good["figures"]] == ["", ""]


@pytest.mark.parametrize("one", SUITE, ids=lambda one: one.name)
def test_every_command_is_one_that_its_benchmark_knows(one):
    for small in (False, True):
        _, module, *words = one.words(small=small)
        source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        for word in words:
            assert not word.startswith("--") or f'"{word}"' in source, f"{module} has no {word}"
