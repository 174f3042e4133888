"""`predict`, and what it exports and imports again, have the benchmark's numbers on annotations with every oddity.

What the benchmark has is computed by the second implementation (`tests.support.naive_protocols`).
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import lmeec
from lmeec.analysis.evaluation import evaluate
from lmeec.tables import read_results
from tests.support import naive_protocols as naive
from tests.support.command import lmeec as command
from tests.support.odd_annotations import doctored
from tests.support.rendered import EGO

METRICS = ("iou", "location_error", "contour_accuracy", "balanced_accuracy")


@pytest.fixture
def results(takes, tiny, tmp_path):
    """Predictions of doctored takes, one of which lacks a camera."""
    with takes.annotations() as annotated:
        for uid in takes.uids:
            doctored(annotated[uid])
    takes.video(1, "gp02").unlink()
    out = tmp_path / "results.parquet"
    done = command("predict", takes.root, "--out", out, "--checkpoint", tiny, "--workers", 0)
    assert done.status == 0, done.err
    assert "masks are not at annotated frames" in done.err
    assert "masks are null" in done.err
    return out


def predictions_of(table):
    """What the second implementation takes: key to mask and confidence."""
    return {
        (row["take_uid"], row["object"], row["query_cam"], row["target_cam"], row["frame"]): (
            None
            if row["mask_rle"] is None
            else naive.decode({"size": [row["height"], row["width"]], "counts": row["mask_rle"]}),
            row["confidence"],
        )
        for row in read_results(table).to_pylist()
    }


def assert_same(mine, benchmark):
    for name in METRICS:
        assert getattr(mine, name) == pytest.approx(getattr(benchmark, name), abs=1e-9), name
    assert (mine.visible, mine.absent, mine.missing) == (benchmark.visible, benchmark.absent, benchmark.missing)


@pytest.mark.parametrize("direction", ["ego2exo", "exo2ego"])
def test_predict_has_the_benchmarks_numbers(results, takes, direction):
    views = naive.read_relations(takes.relations)
    benchmark = naive.benchmark(views, predictions_of(results), direction, takes.uids)
    assert benchmark.missing > 0 < benchmark.absent
    assert_same(evaluate(results)[direction], benchmark)
    skipped = naive.benchmark(views, predictions_of(results), direction, takes.uids, skip_missing=True)
    told = json.loads(command("score", results, "--missing", "skip", "--json").out)["directions"][direction]
    assert [told[name] for name in METRICS] == pytest.approx([getattr(skipped, name) for name in METRICS], abs=1e-9)
    assert told["missing"] == 0


def test_an_exported_run_comes_back_with_the_same_numbers(results, takes, tmp_path):
    exported, back = tmp_path / "submission.json", tmp_path / "back.parquet"
    call = ("--annotations", takes.relations)
    assert command("export", results, "--format", "challenge", "--out", exported, *call).status == 0
    assert command("import", exported, "--out", back, "--workers", 1, *call).status == 0
    before, after = evaluate(results), evaluate(back)
    for direction in ("ego2exo", "exo2ego"):
        for name in (*METRICS, "visible", "absent"):
            assert getattr(after[direction], name) == pytest.approx(getattr(before[direction], name), abs=1e-12), name


def processed(takes, root):
    """The takes in the processed layout, where exo annotations cover the first half only."""
    annotated = json.loads(takes.relations.read_text())["annotations"]
    for take in lmeec.find_takes(takes.root):
        folder = root / take.uid
        for name, camera in take.cameras.items():
            (folder / name).mkdir(parents=True)
            with camera.open() as video:
                for frame, image in video.read([0, 5, 10, 15]):
                    Image.fromarray(image).save(folder / name / f"{frame}.jpg")
        masks = {}
        for (name, camera), track in take.tracks.items():
            annotations = annotated[take.uid]["object_masks"][name][camera]
            if camera != EGO:
                annotations["annotated_frames"] = [f for f in annotations["annotated_frames"] if f < 10]
                annotations["annotation"] = {f: m for f, m in annotations["annotation"].items() if int(f) < 10}
            kept = {frame: track.mask(frame) for frame in track.frames if camera == EGO or frame < 10}
            masks.setdefault(name, {})[camera] = {
                str(frame): {"size": [mask.height, mask.width], "counts": mask.counts} for frame, mask in kept.items()
            }
        document = {"masks": masks, "subsample_idx": [0, 5, 10, 15]}
        (folder / "annotation.json").write_text(json.dumps(document))
    relations = root / "relations.json"
    relations.write_text(json.dumps({"annotations": annotated}))
    return relations


def test_frames_that_nobody_looked_at_are_not_absent_in_the_processed_layout(takes, tiny, tmp_path):
    relations = processed(takes, tmp_path / "frames")
    call = ("predict", tmp_path / "frames", "--checkpoint", tiny, "--direction", "ego2exo", "--workers", 0)
    assert command(*call, "--out", tmp_path / "own.parquet").status == 0
    own = read_results(tmp_path / "own.parquet").to_pandas()
    assert set(own.gt_state) == {"visible", "unannotated"}
    assert set(own[own.frame >= 10].gt_state) == {"unannotated"}
    documents = {uid: json.loads((tmp_path / "frames" / uid / "annotation.json").read_text()) for uid in takes.uids}
    views = naive.processed_views(documents)
    benchmark = naive.benchmark(views, predictions_of(tmp_path / "own.parquet"), "ego2exo", takes.uids)
    assert_same(evaluate(tmp_path / "own.parquet")["ego2exo"], benchmark)

    done = command(*call, "--out", tmp_path / "named.parquet", "--annotations", relations)
    assert done.status == 0, done.err
    named = read_results(tmp_path / "named.parquet").to_pandas()
    assert set(named[named.frame >= 10].gt_state) == {"unannotated"}
    assert set(named[named.frame < 10].gt_state) == {"visible", "absent"}
    views = naive.read_relations(relations)
    benchmark = naive.benchmark(views, predictions_of(tmp_path / "named.parquet"), "ego2exo", takes.uids)
    assert_same(evaluate(tmp_path / "named.parquet")["ego2exo"], benchmark)
    assert np.array_equal(own.mask_rle, named.mask_rle)
