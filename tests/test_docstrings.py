"""The examples in docstrings, all of which run with the tests: they are collected wherever they are."""

from __future__ import annotations

import doctest
import importlib

from tests.support.places import ROOT

PACKAGES = ("lmeec", "lmeec_cli")

SKIPPED: dict[str, str] = {}
"""What an example is of, and why it cannot run: data or a machine that cannot be had here."""


def with_examples():
    """Names of the modules whose text has examples."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_a_plain_run_takes_all_examples(pytestconfig):
    assert set(PACKAGES) <= set(pytestconfig.getini("testpaths"))
    assert pytestconfig.option.doctestmodules


def test_examples_are_found_and_none_is_skipped_without_a_reason():
    finder, skipped, run = doctest.DocTestFinder(exclude_empty=True), set(), 0
    for name in with_examples():
        found = [test for test in finder.find(importlib.import_module(name)) if test.examples]
        assert found, f"{name} has examples where doctest does not look for them"
        for test in found:
            left_out = [example for example in test.examples if example.options.get(doctest.SKIP)]
            skipped |= {test.name for _ in left_out}
            run += len(test.examples) - len(left_out)
    print(f"{run} examples run, {len(skipped)} docstrings have some that do not")
    assert skipped == set(SKIPPED)
    assert run >= 95
