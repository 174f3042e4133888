"""Prediction files become tables whose metrics are the benchmark's own."""

from __future__ import annotations

import json

import pytest

from lmeec.errors import DataError, OutputError
from lmeec.importing import import_predictions
from lmeec.importing.predictions import split_pair
from lmeec.masks import RunLengthMask, resize_nearest
from lmeec.metrics import frame_metrics
from lmeec.tables import read_metadata, read_results
from tests.support.command import lmeec
from tests.support.prediction_files import (
    EGO,
    EXO,
    OTHER_EXO,
    Files,
    counts_of_box,
    enlarged,
    pairs_of,
    query_mask,
    reference_files,
)

FULL_SIZES = {(480, 480): (1408, 1408), (270, 480): (2160, 3840)}


@pytest.fixture
def convert(tmp_path):
    def run(files: Files, form="processed", **options):
        annotations = getattr(files, f"write_{form}")(tmp_path / f"{form}.json")
        predictions = files.write_predictions(tmp_path / "peers.json")
        out = tmp_path / "peers.parquet"
        summary = import_predictions(predictions, annotations, out, workers=1, **options)
        return summary, read_results(out)

    return run


def simple(frames=2) -> Files:
    """One object seen by the ego camera and one exo camera at every frame, predicted right."""
    files = Files()
    for frame in range(frames):
        for camera in (EGO, EXO):
            files.truth_mask("take-1", "cup_0", camera, frame, query_mask(camera))
        files.prediction("take-1", "cup_0", f"{EGO}_{EXO}", frame, query_mask(EXO))
    return files


@pytest.mark.parametrize("form", ["processed", "relations"])
@pytest.mark.parametrize("size", FULL_SIZES)
def test_metrics_are_those_of_the_benchmark(convert, form, size):
    summary, table = convert(reference_files(size, size), form)
    assert summary.missing == summary.resized == summary.unasked == 0
    pairs = pairs_of(size)
    assert table.num_rows == len(pairs) > 10
    for row, pair in zip(table.to_pylist(), pairs, strict=True):
        for name in ("iou", "location_error", "contour_accuracy"):
            assert row[name] == pytest.approx(pair[name], abs=1e-9)
        assert (row["confidence"], row["object_score"], row["predicted_iou"]) == (0.8, None, None)


@pytest.mark.parametrize("size", FULL_SIZES)
def test_ground_truth_of_full_size_is_resized(convert, size):
    summary, table = convert(reference_files(size, FULL_SIZES[size]))
    assert summary.resized == 0  # that counts predictions
    for row, pair in zip(table.to_pylist(), pairs_of(size), strict=True):
        truth = resize_nearest(RunLengthMask(*enlarged(pair, FULL_SIZES[size])), size)
        assert (row["height"], row["width"], row["gt_rle"]) == (*size, truth.counts)
        assert row["iou"] == frame_metrics(RunLengthMask(*size, pair["pred"]), truth).iou


def test_several_processes_give_the_same_table(convert, tmp_path):
    files = simple(frames=2_050)
    _, alone = convert(files)
    out = tmp_path / "together.parquet"
    import_predictions(tmp_path / "peers.json", tmp_path / "processed.json", out, workers=2)
    assert read_results(out) == alone


def test_relations_give_names_and_scenario(convert):
    _, table = convert(simple(), "relations")
    row = table.to_pylist()[0]
    assert (row["take_uid"], row["take_name"], row["scenario"]) == ("take-1", "name of take-1", "Cooking")


def test_missing_predictions_count_as_empty(convert):
    files = simple()
    files.truth_mask("take-1", "cup_0", EGO, 5, query_mask(EGO))
    files.truth_mask("take-1", "cup_0", EXO, 5, query_mask(EXO))
    for camera in (EGO, EXO):
        files.truth_mask("take-2", "cup_0", camera, 0, query_mask(camera))
    summary, table = convert(files)
    assert (summary.rows, summary.missing, summary.missing_takes) == (4, 2, 1)
    lacking = table.to_pylist()[2:]
    assert {(row["missing"], row["mask_rle"], row["confidence"], row["iou"]) for row in lacking} == {
        ("failed", None, 0.0, 0.0)
    }


def test_missing_predictions_are_left_out_where_that_is_asked_for(convert, tmp_path):
    files = simple()
    for camera in (EGO, EXO):
        files.truth_mask("take-1", "cup_0", camera, 5, query_mask(camera))
    convert(files)
    for asked, frames, iou in (("empty", 3, 2 / 3), ("skip", 2, 1.0)):
        done = lmeec("score", tmp_path / "peers.parquet", "--missing", asked, "--json")
        scores = json.loads(done.out)["directions"]["ego2exo"]
        assert (scores["frames"], scores["iou"]) == (frames, pytest.approx(iou))


def test_masks_of_other_sizes_are_resized_and_counted(convert):
    files = simple()
    large = RunLengthMask(540, 960, counts_of_box(540, 960, 20, 20, 60))
    files.prediction("take-1", "cup_0", f"{EGO}_{EXO}", 1, (540, 960, large.counts))
    summary, table = convert(files)
    assert summary.resized == 1
    same = RunLengthMask(*query_mask(EXO))
    assert table.to_pylist()[1]["iou"] == pytest.approx(frame_metrics(same, same).iou, abs=1e-9)


def test_frames_are_those_the_benchmark_looks_at(convert):
    files = simple()
    box = query_mask(EXO)
    files.truth_mask("take-1", "cup_0", EGO, 2, query_mask(EGO))
    files.truth_mask("take-1", "cup_0", EXO, 2, None)  # looked at, not there
    files.truth_mask("take-1", "cup_0", EGO, 3, query_mask(EGO))
    files.truth_mask("take-1", "cup_0", EXO, 3, box, annotated=False)  # does not count
    files.truth_mask("take-1", "cup_0", EXO, 4, box)  # no query mask
    for frame in (2, 3, 4):
        files.prediction("take-1", "cup_0", f"{EGO}_{EXO}", frame, box, 0.2)
    files.prediction("take-1", "pan_1", f"{EGO}_{EXO}", 0, box)
    files.prediction("take-9", "cup_0", f"{EGO}_{EXO}", 0, box)
    summary, table = convert(files)
    assert table["gt_state"].to_pylist() == ["visible", "visible", "absent", "unannotated"]
    assert (summary.visible, summary.absent, summary.unasked) == (2, 1, 3)
    (warning,) = summary.warnings
    assert warning.startswith("1 masks are not at annotated frames")


def test_names_of_cameras_may_hold_underscores():
    cameras = [EGO, EXO, OTHER_EXO]
    assert split_pair(f"{EGO}_{EXO}", cameras, "ego2exo") == (EGO, EXO)
    assert split_pair(f"{OTHER_EXO}_{EGO}", cameras, "exo2ego") == (OTHER_EXO, EGO)
    assert split_pair(f"{EGO}_cam_05", [EGO], "ego2exo") == (EGO, "cam_05")
    assert split_pair(f"{EGO}_{EXO}", cameras, "exo2ego") is None
    with pytest.raises(DataError, match="can be read as"):
        split_pair("aria_a_b", ["aria", "aria_a", "a_b", "b"], "ego2exo")


def test_the_run_says_where_it_comes_from(convert, tmp_path):
    convert(simple())
    run = read_metadata(tmp_path / "peers.parquet")
    assert run.model == "imported from peers.json"
    assert set(run.checkpoints) == {"ego2exo"}


def test_broken_masks_are_named(convert, tmp_path):
    files = simple()
    files.prediction("take-1", "cup_0", f"{EGO}_{EXO}", 1, (270, 480, "zz"))
    with pytest.raises(DataError, match=r"peers\.json: take 'take-1', object 'cup_0'.*frame 1"):
        convert(files)
    assert not list(tmp_path.glob("*.parquet*"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("predictions", "annotations", "words"),
    [
        ("{}", None, "neither 'ego-exo' nor 'exo-ego'"),
        ('{"ego-exo": {"results": {"take-1": {"masks": {"cup": {"a_b": {"x": {}}}}}}}}', None, "take 'take-1'"),
        ('{"ego-exo": {"results": {"other": {"masks": {}}}}}', None, "none of the takes"),
        ('{"ego-exo": {"results"', None, "breaks off"),
        (None, '{"annotations": {"take-1": {"boxes": 1}}}', "neither 'object_masks'"),
        (None, '{"annotations": {}}', "holds no takes"),
        (None, "[]", "expected content"),
    ],
)
def test_foreign_files_are_explained(tmp_path, predictions, annotations, words):
    files = simple()
    files.write_predictions(tmp_path / "p.json")
    files.write_processed(tmp_path / "a.json")
    for name, text in (("p.json", predictions), ("a.json", annotations)):
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        import_predictions(tmp_path / "p.json", tmp_path / "a.json", tmp_path / "out.parquet")
    assert words in str(error.value)
    assert ("p.json" if predictions else "a.json") in str(error.value)


def test_an_existing_output_is_kept(convert, tmp_path):
    convert(simple())
    with pytest.raises(OutputError, match="exists already"):
        convert(simple())
    summary, _ = convert(simple(3), overwrite=True)
    assert summary.rows == 3
