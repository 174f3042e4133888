"""The built-in model on takes that are not known to be drawn: said wherever its results are shown."""

from __future__ import annotations

import json
import shutil

import pytest

from lmeec.data.takes import find_takes
from lmeec.tables import read_metadata
from tests.support.command import lmeec

WARNING = "WARNING: nano was trained on drawn scenes alone and is no model for real video"


def predict(takes, out, *more):
    one = ("--take", find_takes(takes)[0].name, "--direction", "ego2exo")
    return lmeec("predict", takes, *one, "--out", out, *more)


@pytest.fixture(scope="module")
def real(rendered_takes, tmp_path_factory):
    """Takes of which nothing says that they are drawn."""
    root = tmp_path_factory.mktemp("real") / "takes"
    shutil.copytree(rendered_takes.root, root)
    (root / "synthetic.json").unlink()
    return root


@pytest.fixture(scope="module")
def run(real, tmp_path_factory):
    """The table of nano on them, and what was said."""
    out = tmp_path_factory.mktemp("run") / "results.parquet"
    done = predict(real, out)
    assert done.status == 0, done.err
    return out, done.err


def test_predict_warns_before_it_begins_and_when_it_ends(run):
    lines = run[1].splitlines()
    assert lines[0].startswith(WARNING)
    assert lines[-1].startswith(WARNING)
    assert "--checkpoint" in lines[0]


@pytest.mark.parametrize("command", ["status", "score", "report"])
def test_what_shows_the_results_warns(run, command, tmp_path):
    more = ("--out", tmp_path / "report.html") if command == "report" else ()
    done = lmeec(command, run[0], *more)
    assert done.status == 0
    assert WARNING in done.err
    if command == "report":
        page = (tmp_path / "report.html").read_text()
        assert 'role="alert"' in page
        assert "is no model for real video" in page


@pytest.mark.parametrize("command", ["status", "score"])
def test_documents_hold_it(run, command):
    document = json.loads(lmeec(command, run[0], "--json").out)
    assert [caution.startswith("nano was trained on drawn scenes") for caution in document["cautions"]] == [True]


def test_other_weights_on_real_takes_are_not_warned_of(real, tiny, tmp_path):
    done = predict(real, tmp_path / "results.parquet", "--checkpoint", tiny)
    assert done.status == 0
    assert "WARNING" not in done.err
    assert read_metadata(tmp_path / "results.parquet").cautions == ()


def test_drawn_takes_are_known_by_their_folder_and_by_that_of_their_takes(rendered_takes, real):
    assert find_takes(rendered_takes.root).synthetic
    assert find_takes(rendered_takes.root / "takes").synthetic
    assert not find_takes(real).synthetic


def test_drawn_takes_are_not_warned_of_and_the_table_keeps_it(rendered_takes, tmp_path):
    out = tmp_path / "results.parquet"
    done = predict(rendered_takes.root, out)
    assert done.status == 0
    assert "WARNING" not in done.err
    assert read_metadata(out).predict["synthetic"] is True
    for command in ("score", "status"):
        assert "WARNING" not in lmeec(command, out).err


@pytest.mark.parametrize("name", ["overnight", "ablation"])
def test_recipes_of_real_data_have_no_weights_by_default(name, rendered_takes):
    done = lmeec("recipe", "run", name, "--set", f"predict.takes={rendered_takes.root}")
    assert done.status == 1
    assert "predict.checkpoint: name the weights, there is no default" in done.err
