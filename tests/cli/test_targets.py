"""`predict --targets annotated` leaves out what no score counts, and nothing else."""

from __future__ import annotations

import json

import pytest

from lmeec.data.takes import find_takes
from lmeec.data.truth import has_truth, state_of
from lmeec.runs.jobs import jobs_of, spared
from lmeec.tables import read_metadata, read_results
from tests.support.command import lmeec
from tests.support.rendered import EGO
from tests.support.tables import assert_same

OBJECT, CAMERA = 0, "gp02"


@pytest.fixture
def partly(takes):
    """Takes of which some pairs have no ground truth: one by absence of annotations, one by frames that differ."""
    with takes.annotations() as annotated:
        cameras = next(iter(annotated[takes.uids[0]]["object_masks"].values()))
        del cameras[CAMERA]
        others = list(annotated[takes.uids[1]]["object_masks"].values())[1]
        others["gp01"] = others["gp01"] | {"annotation": {}, "annotated_frames": [1, 2]}
    return takes


@pytest.fixture
def predict(partly, tiny, tmp_path):
    def run(targets, *more):
        out = tmp_path / f"{targets}.parquet"
        call = ["--out", out, "--checkpoint", tiny, "--workers", 0, "--targets", targets, "--overwrite"]
        return lmeec("predict", partly.root, *call, *more), out

    return run


def scores(out):
    done = lmeec("score", out, "--json")
    assert done.status == 0, done.err
    directions = json.loads(done.out)["directions"]
    size = {"frames", "tracks"}  # of the table, scored or not
    return {name: {key: value for key, value in of.items() if key not in size} for name, of in directions.items()}


def test_rows_that_are_left_are_the_same_and_so_is_the_score(partly, predict):
    (done, every), (again, some) = predict("all"), predict("annotated")
    assert done.status == again.status == 0, again.err
    assert "target cameras without ground truth" in again.err
    assert "less work" in again.err
    all_rows, rows = read_results(every).to_pandas(), read_results(some).to_pandas()
    pair = ["take_uid", "direction", "object", "query_cam", "target_cam"]
    scored = all_rows.groupby(pair)["gt_state"].transform(lambda states: (states != "unannotated").any())
    assert 0 < len(rows) < len(all_rows)
    kept = all_rows[scored].reset_index(drop=True)
    assert rows[[*pair, "frame"]].equals(kept[[*pair, "frame"]])
    assert_same(read_results(some), read_results(every).filter(scored.to_numpy()))
    assert scores(some) == scores(every)


def test_where_nothing_can_be_left_out_no_saving_is_promised(rendered_takes):
    jobs = list(jobs_of(find_takes(rendered_takes.root), ("ego2exo",)))
    assert spared(jobs, jobs) == "every target camera has ground truth of its objects: none is left out"


def test_a_camera_that_nobody_needs_is_not_opened(partly, predict):
    with partly.annotations() as annotated:
        for cameras in annotated[partly.uids[0]]["object_masks"].values():
            cameras.pop(CAMERA, None)
    partly.video(0, CAMERA).write_bytes(b"no video")
    done, out = predict("annotated", "--take", partly.names[0], "--direction", "ego2exo")
    assert done.status == 0, done.err
    assert set(read_results(out)["target_cam"].to_pylist()) == {"gp01"}
    assert predict("all", "--take", partly.names[0], "--direction", "ego2exo")[0].status == 1


def test_takes_without_ground_truth_are_refused_by_the_option(partly, predict):
    with partly.annotations() as annotated:
        for take in annotated.values():
            for cameras in take["object_masks"].values():
                for camera in set(cameras) - {EGO}:
                    del cameras[camera]
    done, out = predict("annotated", "--direction", "ego2exo")
    assert done.status == 1
    assert "--targets all" in " ".join(done.err.split())
    assert not out.exists()


def test_a_protocol_that_counts_frames_without_annotations_refuses_the_table(predict):
    done, out = predict("annotated", "--mask-size", "square")
    assert done.status == 0, done.err
    assert read_metadata(out).predict["targets"] == "annotated"
    refused = lmeec("score", out, "--protocol", "paper")
    assert refused.status == 1
    assert "--targets all" in " ".join(refused.err.split())


def test_there_is_truth_where_a_state_says_so(partly):
    for take in find_takes(partly.root):
        for masks in take.tracks.values():
            for frames in ([], [1], [3], masks.frames, range(30)):
                assert has_truth(masks, frames) == any(state_of(masks, frame) != "unannotated" for frame in frames)
    assert not has_truth(None, [0])
