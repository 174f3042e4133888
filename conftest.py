"""Where the examples of docstrings run: in a folder with a small data set and results, if they name one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from _pytest.doctest import DoctestItem

from tests.support.predictions import predict_fairly
from tests.support.rendered import render
from tests.support.spread import made_once

if TYPE_CHECKING:
    from pathlib import Path

_FILES = re.compile(r"egoexo4d|results\.parquet")


@pytest.fixture(scope="session")
def example_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds `egoexo4d`, two synthetic takes, and `results.parquet`, a table over them."""
    return made_once(tmp_path_factory, "example_files", _write_example_files)


def _write_example_files(folder: Path) -> None:
    folder.mkdir()
    predict_fairly(render(folder / "egoexo4d"), folder / "results.parquet")


@pytest.fixture(autouse=True)
def _beside_example_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    item = request.node
    if isinstance(item, DoctestItem) and any(_FILES.search(example.source) for example in item.dtest.examples):
        monkeypatch.chdir(request.getfixturevalue("example_files"))
