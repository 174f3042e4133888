"""The built-in model on takes that are not known to be drawn: said wherever its results are shown."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from lmeec.data.takes import find_takes
from lmeec.tables import read_metadata, read_results
from tests.support.command import lmeec
from tests.support.drawn_runs import drawn_run
from tests.support.rows import RUN, write_results

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


def once(done):
    """Whether it went well and warned, once."""
    return (done.status, done.err.count("is no model for real video")) == (0, 1)


def test_what_is_made_of_the_results_warns(real, run, tmp_path):
    stills = ("--mosaic", "--stills", 1, "--height", 64, "--object", read_results(run[0])["object"][0].as_py())
    assert once(lmeec("render", run[0], real, "--out", tmp_path / "pictures", *stills))
    assert once(lmeec("export", run[0], "--format", "coco", "--out", tmp_path / "coco"))


def test_two_runs_of_it_warn_once_and_so_does_what_they_become(run, tmp_path):
    other, fused = tmp_path / "other.parquet", tmp_path / "fused.parquet"
    shutil.copy(run[0], other)
    done = lmeec("fuse", run[0], other, "--by", "predicted_iou", "--out", fused)
    assert once(done)
    assert f"WARNING: '{run[0]}', '{other}': nano was trained" in done.err
    assert once(lmeec("score", run[0], other))
    assert once(lmeec("score", fused))


@pytest.mark.parametrize("synthetic", [False, True])
def test_a_fit_on_its_results_warns(rendered_takes, tmp_path, synthetic):
    drawn = {"synthetic": True} if synthetic else {}
    table = write_results(tmp_path / "r.parquet", drawn_run(0, takes=2), replace(RUN, model="nano", predict=drawn))
    done = lmeec("calibrate", table, "--out", tmp_path / "calibration.json")
    assert done.status == 0, done.err
    assert once(done) is not synthetic


def test_one_run_that_knows_of_drawn_takes_is_enough(tmp_path):
    """As where the other one is imported: the takes are the same."""
    rows = drawn_run(0, takes=1)
    one = write_results(tmp_path / "one.parquet", rows, replace(RUN, model="nano", predict={"synthetic": True}))
    other = write_results(tmp_path / "other.parquet", rows, replace(RUN, model="imported from x.json", predict={}))
    fused = tmp_path / "fused.parquet"
    done = lmeec("fuse", one, other, "--by", "predicted_iou", "--out", fused)
    assert done.status == 0, done.err
    assert read_metadata(fused).cautions == ()


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
