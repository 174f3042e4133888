"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "lmeec.masks",
        "lmeec.metrics",
        "lmeec.analysis.areas",
        "lmeec.analysis.bootstrap",
        "lmeec.evaluation",
        "lmeec.tables.metadata",
        "lmeec.tables.parts",
    ],
)
def test_examples_in_docstrings(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
