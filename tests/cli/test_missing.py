"""Commands that read tables with frames without a prediction, and with visible objects that have no foreground."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lmeec.analysis.calibration import read_calibration
from lmeec.tables import read_results
from tests.support.command import lmeec
from tests.support.odd_annotations import doctored
from tests.support.rendered import TakesOnDisk, render


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Takes with doctored annotations, of which one lacks a camera."""
    takes = TakesOnDisk(render(tmp_path_factory.mktemp("missing") / "takes"))
    with takes.annotations() as annotated:
        for uid in takes.uids:
            doctored(annotated[uid])
    takes.video(1, "gp02").unlink()
    return takes


@pytest.fixture(scope="module")
def results(damaged, tiny):
    out = damaged.root.parent / "results.parquet"
    done = lmeec("predict", damaged.root, "--out", out, "--checkpoint", tiny, "--workers", 0)
    assert done.status == 0, done.err
    table = read_results(out).to_pandas()
    assert set(table.missing.dropna()) == {"empty_query", "video", "camera"}
    assert (table[table.missing.isna()].iou == 0).any()
    return out


def test_a_report_with_film_strips_of_them(results, damaged, tmp_path):
    done = lmeec("report", results, damaged.root, "--out", tmp_path / "r.html")
    assert done.status == 0, done.err
    page = (tmp_path / "r.html").read_text()
    assert "have ground truth but no prediction" in page
    assert "not shown:" not in page


@pytest.mark.parametrize("mosaic", [(), ("--mosaic",)])
def test_pictures_of_them(results, damaged, tmp_path, mosaic):
    done = lmeec("render", results, damaged.root, "--out", tmp_path / "out", "--stills", "8", *mosaic)
    assert done.status == 0, done.err
    assert len(list((tmp_path / "out").rglob("*.png"))) > 10


def test_images_of_them_are_empty(results, tmp_path):
    assert lmeec("export", results, "--format", "davis", "--out", tmp_path / "davis").status == 0
    folders = {
        tuple(track[name] for name in ("take_uid", "object", "query_cam", "target_cam")): track["folder"]
        for track in json.loads((tmp_path / "davis" / "tracks.json").read_text())
    }
    lost = read_results(results).to_pandas().dropna(subset="missing")
    for row in lost.itertuples():
        folder = folders[row.take_uid, row.object, row.query_cam, row.target_cam]
        with Image.open(tmp_path / "davis" / folder / f"{row.frame:05d}.png") as image:
            assert image.size == (row.width, row.height)
            assert not np.asarray(image).any()


def test_coco_files_have_their_images_and_truth_but_no_result(results, tmp_path):
    done = lmeec("export", results, "--format", "coco", "--out", tmp_path / "coco")
    assert done.status == 0, done.err
    table = read_results(results).to_pandas()
    truth = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert len(truth["annotations"]) == (table.gt_state == "visible").sum()
    found = json.loads((tmp_path / "coco" / "results.json").read_text())
    assert len(found) == (table.area > 0).sum()
    assert f"{(~(table.area > 0)).sum():,} empty or missing predictions" in done.err


def test_a_submission_has_empty_masks_for_them(results, damaged, tmp_path):
    call = ("--format", "challenge", "--annotations", damaged.relations, "--out", tmp_path / "s.json")
    done = lmeec("export", results, *call)
    assert done.status == 0, done.err
    lost = read_results(results).to_pandas().dropna(subset="missing")
    count = (lost.direction == "ego2exo").sum()
    assert f"note: {count:,} frames of ego2exo have no prediction and are written as empty masks" in done.err
    submitted = json.loads((tmp_path / "s.json").read_text())
    for row in lost[lost.direction == "ego2exo"].itertuples():
        masks = submitted["ego-exo"]["results"][row.take_uid]["masks"][row.object]
        assert masks[f"{row.query_cam}_{row.target_cam}"][str(row.frame)]["confidence"] == 0


def test_a_calibration_is_fitted_without_them_and_leaves_them_absent(results, tmp_path):
    done = lmeec("calibrate", results, "--out", tmp_path / "c.json")
    assert done.status == 0, done.err
    made = json.loads((tmp_path / "c.json").read_text())["made"]["frames"]
    table = read_results(results).to_pandas()
    for direction, counts in made.items():
        rows = table[(table.direction == direction) & table.missing.isna()]
        assert counts["visible"] == (rows.gt_state == "visible").sum()
        assert counts["absent"] == (rows.gt_state == "absent").sum()
    assert lmeec("score", results, "--calibration", tmp_path / "c.json", "--json").status == 0
    confidence = read_calibration(tmp_path / "c.json").confidence(read_results(results))
    assert (confidence[table.missing.notna()] == 0).all()
    assert (confidence[table.missing.isna()] != table.confidence[table.missing.isna()]).any()
