"""Scores of `import`, `predict` and `export` against a second implementation, over takes with doctored annotations.

No released vectors exist for most of what is drawn here (masks outside the annotated frames, empty truth, odd sizes,
frames that nothing was predicted of): that `tests/support/naive_protocols.py` agrees is all that is known of it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from lmeec.analysis.evaluation import evaluate
from lmeec.analysis.frames import load_frames
from lmeec.analysis.groups import score_groups
from lmeec.config import ExecutionConfig, PredictConfig
from lmeec.data.takes import find_takes
from lmeec.errors import DataError
from lmeec.export.challenge import export_challenge
from lmeec.importing import import_predictions
from lmeec.inference import predictor
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker
from lmeec.tables import read_results
from tests.support import naive_protocols as naive
from tests.support.doctored import CAMERAS, Doctored, doctored
from tests.support.stub_tracker import StubTracker

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS = ("iou", "location_error", "contour_accuracy", "balanced_accuracy")
CHALLENGE_NAMES = {"ego2exo": "ego-exo", "exo2ego": "exo-ego"}


def profile(examples: int) -> settings:
    """The same examples in every run; without shrinking, which would take minutes here."""
    return settings(
        derandomize=True, max_examples=examples, deadline=None, database=None, phases=[Phase.explicit, Phase.generate]
    )


def assert_same(mine: Mapping[str, object], expected: Mapping[str, naive.Scores]) -> None:
    """Both directions agree to 1e-9, in numbers and in counts."""
    for direction, scores in expected.items():
        if scores.visible + scores.absent == 0:
            continue
        for name in METRICS:
            value, wanted = getattr(mine[direction], name), getattr(scores, name)
            assert (value is None) == (wanted is None), (direction, name)
            assert value is None or math.isclose(value, wanted, rel_tol=0, abs_tol=1e-9), (direction, name)
        assert (mine[direction].visible, mine[direction].absent) == (scores.visible, scores.absent), direction


def drawn_predictions(takes: Doctored, views, seed: int) -> dict[tuple, tuple]:
    """A prediction for most of the frames that count, at the evaluation size; some empty, some of either confidence."""
    rng = np.random.default_rng(seed)
    predictions = {}
    for direction in naive.DIRECTIONS:
        for key in naive.benchmark_frames(views, direction, [take.uid for take in takes.takes]):
            sizes = {take.uid: take.cameras for take in takes.takes}[key.take]
            height, width = naive.evaluation_size(*sizes[key.target_cam].mask_size)
            mask = np.zeros((height, width), dtype=bool)
            if rng.random() < 0.8:
                rows, columns = np.sort(rng.integers(0, height + 1, 2)), np.sort(rng.integers(0, width + 1, 2))
                mask[rows[0] : rows[1], columns[0] : columns[1]] = True
            if rng.random() < 0.8:
                predictions[tuple(key)] = (mask, float(rng.choice([0.0, 0.2, 0.5, 0.7, 1.0])))
    return predictions


def write_challenge(path: Path, predictions: Mapping[tuple, tuple]) -> Path:
    """The challenge's prediction file."""
    document: dict = {name: {"results": {}} for name in CHALLENGE_NAMES.values()}
    for (take, name, query, target, frame), (mask, confidence) in predictions.items():
        results = document[CHALLENGE_NAMES[naive.direction_of(query)]]["results"]
        frames = (
            results.setdefault(take, {"masks": {}})["masks"].setdefault(name, {}).setdefault(f"{query}_{target}", {})
        )
        counts = coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()
        frames[str(frame)] = {"pred_mask": {"size": list(mask.shape), "counts": counts}, "confidence": confidence}
    path.write_text(json.dumps(document))
    return path


def write_truth(folder: Path, takes: Doctored, form: str) -> tuple[Path, dict]:
    """An annotation file in a form that `import` reads, and what is in it."""
    path = folder / f"{form}.json"
    if form == "relations":
        path.write_text(json.dumps(takes.relations()))
        return path, naive.relations_views(takes.relations())
    documents = takes.processed()
    path.write_text(json.dumps({"annotations": documents}))
    return path, naive.processed_views(documents)


@pytest.mark.parametrize("form", ["relations", "processed"])
def test_import_scores_predictions_as_the_benchmark_does(form):
    @profile(12)
    @given(doctored("release"), st.integers(0, 2**32 - 1))
    def check(takes: Doctored, seed: int) -> None:
        with TemporaryDirectory() as name:
            folder = Path(name)
            truth, views = write_truth(folder, takes, form)
            predictions = drawn_predictions(takes, views, seed)
            if not predictions:
                return
            challenge = write_challenge(folder / "predictions.json", predictions)
            import_predictions(challenge, truth, folder / "imported.parquet", workers=1)
            everything = [take.uid for take in takes.takes]
            assert_same(
                evaluate(folder / "imported.parquet"),
                {one: naive.benchmark(views, predictions, one, everything) for one in naive.DIRECTIONS},
            )

    check()


class Quiet:
    """A reporter that shows nothing."""

    def event(self, event: object) -> None:
        pass

    def update(self, progress: object) -> None:
        pass


@pytest.fixture(scope="module")
def worker(tiny):
    return Worker(dict.fromkeys(naive.DIRECTIONS, str(tiny)), PredictConfig(), ExecutionConfig(device="cpu"))


@pytest.fixture
def predict(worker, monkeypatch):
    """A run over takes on disk, whole but for the network: gives its table and the predictions in it."""
    monkeypatch.setattr(predictor, "Tracker", StubTracker)

    def run(root: Path, annotations: Path | None, mask_size: str) -> tuple[Path, dict[tuple, tuple]]:
        out = root.parent / f"{mask_size}.parquet"
        worker.config = PredictConfig(mask_size=mask_size)
        done = run_predictions(InProcess(worker), find_takes(root, annotations=annotations), out, Quiet())
        assert not done.failures
        rows = read_results(out).to_pylist()
        predictions = {
            (row["take_uid"], row["object"], row["query_cam"], row["target_cam"], row["frame"]): (
                None
                if row["mask_rle"] is None
                else naive.decode({"size": [row["height"], row["width"]], "counts": row["mask_rle"]}),
                row["confidence"],
            )
            for row in rows
        }
        assert len(predictions) == len(rows)
        return out, predictions

    return run


LAYOUTS = ["release", "processed", "processed, relations file"]


def write_takes(folder: Path, takes: Doctored, layout: str) -> tuple[Path, Path | None, dict, Path]:
    """Takes on disk: their folder, the relations file to name, what is annotated, and the same as `import` reads it."""
    root = folder / "takes on disk"
    root.mkdir()
    if layout == "release":
        path = takes.write_release(root)
        return root, None, naive.relations_views(takes.relations()), path
    relations = takes.write_processed(root)
    if layout == "processed":
        truth, views = write_truth(folder, takes, "processed")
        return root, None, views, truth
    return root, relations, naive.relations_views(takes.relations()), relations


def expected_frames(takes: Doctored, views) -> dict[tuple, bool]:
    """Every frame of K(query) with every target camera of the take, and whether it can be predicted."""
    frames = {}
    for take in takes.takes:
        if not take.on_disk:
            continue
        on_disk = {name for name, camera in take.cameras.items() if camera.frames is not None}
        cameras = on_disk.union(*(pairs.keys() for pairs in views[take.uid].values()))
        for name, pairs in views[take.uid].items():
            for query, view in pairs.items():
                for target in cameras:
                    if naive.is_ego(query) == naive.is_ego(target):
                        continue
                    readable = {*(take.cameras[query].frames or ())} & {*(take.cameras[target].frames or ())}
                    for frame, mask in view.masks.items():
                        if mask is not None:
                            frames[take.uid, name, query, target, frame] = frame in readable and bool(mask.any())
    return frames


@pytest.mark.parametrize("layout", LAYOUTS)
def test_predict_scores_as_the_benchmark_does_and_so_do_its_export_and_the_import_of_that(layout, predict):
    @profile(10)
    @given(doctored(layout.partition(",")[0]))
    def check(takes: Doctored) -> None:
        with TemporaryDirectory() as name:
            root, annotations, views, truth = write_takes(Path(name), takes, layout)
            out, predictions = predict(root, annotations, "evaluation")
            assert {key: mask is not None for key, (mask, _) in predictions.items()} == expected_frames(takes, views)
            scores = {one: naive.benchmark(views, predictions, one, takes.on_disk) for one in naive.DIRECTIONS}
            mine = evaluate(out)
            assert_same(mine, scores)
            assert {one: mine[one].missing for one in mine} == {one: scores[one].missing for one in mine}
            skipped = {
                one: naive.benchmark(views, predictions, one, takes.on_disk, skip_missing=True)
                for one in naive.DIRECTIONS
            }
            assert_same(without_missing(out), skipped)

            try:
                export_challenge([out], Path(name) / "challenge.json", annotations=truth)
            except DataError as error:
                if "cannot be told" in str(error) and any(in_one_view_only(views[take.uid]) for take in takes.takes):
                    return
                raise
            exported = read_challenge(Path(name) / "challenge.json")
            assert_same(mine, {one: naive.benchmark(views, exported, one, takes.on_disk) for one in naive.DIRECTIONS})
            import_predictions(Path(name) / "challenge.json", truth, Path(name) / "imported.parquet", workers=1)
            everything = [take.uid for take in takes.takes]
            assert_same(
                evaluate(Path(name) / "imported.parquet"),
                {one: naive.benchmark(views, exported, one, everything) for one in naive.DIRECTIONS},
            )

    check()


def in_one_view_only(views) -> bool:
    """Whether a take is annotated in ego cameras alone or in exo cameras alone: what to predict in, no one can tell."""
    return len({naive.is_ego(camera) for pairs in views.values() for camera in pairs}) == 1


def without_missing(path: Path) -> dict[str, SimpleNamespace]:
    """Scores with frames left out that nothing was predicted of."""
    return {
        one.group["direction"]: SimpleNamespace(
            **{name: getattr(one, name).value for name in METRICS}, visible=one.visible, absent=one.absent
        )
        for one in score_groups(load_frames(path).predictions(), resamples=0)
    }


def read_challenge(path: Path) -> dict[tuple, tuple]:
    predictions = {}
    document = json.loads(path.read_text())
    for direction in CHALLENGE_NAMES.values():
        for take, results in document[direction]["results"].items():
            for name, pairs in results["masks"].items():
                for pair, frames in pairs.items():
                    query, target = next(
                        (one, other) for one in CAMERAS for other in CAMERAS if f"{one}_{other}" == pair
                    )
                    for frame, entry in frames.items():
                        mask = naive.decode(entry["pred_mask"])
                        predictions[take, name, query, target, int(frame)] = (mask, entry["confidence"])
    return predictions


@pytest.mark.parametrize("layout", LAYOUTS)
def test_predict_with_square_masks_scores_as_the_papers_scripts_do(layout, predict):
    @profile(10)
    @given(doctored(layout.partition(",")[0]))
    def check(takes: Doctored) -> None:
        with TemporaryDirectory() as name:
            root, annotations, views, _ = write_takes(Path(name), takes, layout)
            out, predictions = predict(root, annotations, "square")
            assert {mask.shape for mask, _ in predictions.values() if mask is not None} == {(480, 480)}
            scores = {one: naive.paper(views, predictions, one) for one in naive.DIRECTIONS}
            assert_same(evaluate(out, protocol="paper"), scores)
            assert_same(evaluate(read_results(out), protocol="paper"), scores)

    check()
