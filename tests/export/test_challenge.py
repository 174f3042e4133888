"""The challenge's prediction file, held against the rules of the benchmark's validation."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from lmeec.data.relations import RelationsFile
from lmeec.errors import DataError, OutputError
from lmeec.export import export_challenge
from lmeec.masks import RunLengthMask
from lmeec.tables import read_results
from tests.support.command import lmeec
from tests.support.predictions import predict_fairly
from tests.support.rendered import EGO
from tests.support.rows import row, square, write_results


def rows_of(relations, direction, *, leave_out=()):
    """A prediction for every frame that the benchmark asks for, but for some objects."""
    file = RelationsFile(relations)
    for uid in file.heads:
        tracks = file.tracks(uid)
        for name, query in tracks:
            is_ego = query.startswith("aria")
            targets = [camera for other, camera in tracks if other == name and camera.startswith("aria") != is_ego]
            if is_ego == (direction == "ego2exo") and name not in leave_out:
                for target in targets:
                    for step, frame in enumerate(tracks[name, query].frames):
                        yield row(
                            frame,
                            take_uid=uid,
                            object=name,
                            query_cam=query,
                            target_cam=target,
                            direction=direction,
                            step=step,
                            mask=square(frame % 50, 30),
                        )


def wanted_frames(relations, direction):
    """What the validation asks for: (take, object, pair of cameras, frame)."""
    file = RelationsFile(relations)
    for uid in file.heads:
        tracks = file.tracks(uid)
        for name in {name for name, _ in tracks}:
            cameras = [camera for other, camera in tracks if other == name]
            ego = next((camera for camera in cameras if camera.startswith("aria")), None)
            for exo in cameras:
                if ego is not None and exo != ego:
                    query, target = (ego, exo) if direction == "ego-exo" else (exo, ego)
                    yield from ((uid, name, f"{query}_{target}", str(frame)) for frame in tracks[name, query].frames)


def assert_valid(document, relations):
    for direction in ("ego-exo", "exo-ego"):
        results = document[direction]["results"]
        file = RelationsFile(relations)
        assert results.keys() == file.heads.keys()
        for uid, take in results.items():
            assert take.keys() >= {"masks", "subsample_idx"}
            assert take["masks"].keys() == {name for name, _ in file.tracks(uid)}
        wanted = list(wanted_frames(relations, direction))
        assert wanted
        for uid, name, pair, frame in wanted:
            prediction = results[uid]["masks"][name][pair][frame]
            assert prediction["confidence"] >= 0
            RunLengthMask.from_counts(prediction["pred_mask"]["counts"], *prediction["pred_mask"]["size"])


@pytest.fixture(scope="module")
def runs(rendered_takes, tmp_path_factory):
    """A run for each direction; the second lacks an object."""
    folder = tmp_path_factory.mktemp("runs")
    names = {name for uid in rendered_takes.uids for name, _ in RelationsFile(rendered_takes.relations).tracks(uid)}
    lacking = sorted(names)[:1]
    return [
        write_results(folder / "a.parquet", list(rows_of(rendered_takes.relations, "ego2exo"))),
        write_results(folder / "b.parquet", list(rows_of(rendered_takes.relations, "exo2ego", leave_out=lacking))),
    ]


def test_two_runs_make_a_valid_submission(runs, rendered_takes, tmp_path):
    out = tmp_path / "submission.json"
    made = export_challenge(runs, out, annotations=rendered_takes.relations)
    document = json.loads(out.read_text())
    assert_valid(document, rendered_takes.relations)
    assert made.takes == {"ego2exo": 2, "exo2ego": 2}
    assert made.filled["ego2exo"] == 0
    assert made.filled["exo2ego"] > 0


def test_a_test_split_names_targets_with_other_objects(takes, tmp_path):
    takes.keep_queries(["aria", "gp01"])
    first = next(name for name, camera in RelationsFile(takes.relations).tracks(takes.uids[0]) if camera == EGO)
    one = row(0, take_uid=takes.uids[0], object=first, query_cam=EGO, target_cam="gp01")
    results = write_results(tmp_path / "one.parquet", [one])
    made = export_challenge([results], tmp_path / "out.json", annotations=takes.relations)
    assert made.filled["ego2exo"] > 0
    assert made.filled["exo2ego"] > 0
    document = json.loads((tmp_path / "out.json").read_text())
    file = RelationsFile(takes.relations)
    for uid in takes.uids:
        for (name, query), track in file.tracks(uid).items():
            direction, pair = (
                ("ego-exo", f"{query}_gp01") if query.startswith("aria") else ("exo-ego", f"{query}_{EGO}")
            )
            frames = document[direction]["results"][uid]["masks"][name].get(pair, {})
            assert frames.keys() >= {str(frame) for frame in track.frames}


def test_a_test_split_with_queries_of_one_side_takes_targets_from_the_results(takes, tmp_path):
    takes.keep_queries(["aria"])
    file = RelationsFile(takes.relations)
    rows = []
    for uid in takes.uids:
        (name, query), track = next(one for one in file.tracks(uid).items() if one[1].frames)
        rows += [
            row(track.frames[0], take_uid=uid, object=name, query_cam=query, target_cam=camera)
            for camera in ("gp01", "gp02")
        ]
    results = write_results(tmp_path / "some.parquet", rows)
    made = export_challenge([results], tmp_path / "out.json", annotations=takes.relations)
    asked = 2 * sum(len(track.frames) for uid in takes.uids for track in file.tracks(uid).values())
    assert made.filled["ego2exo"] == asked - len(rows)
    document = json.loads((tmp_path / "out.json").read_text())
    for uid in takes.uids:
        for (name, query), track in file.tracks(uid).items():
            for target in ("gp01", "gp02"):
                frames = document["ego-exo"]["results"][uid]["masks"][name].get(f"{query}_{target}", {})
                assert frames.keys() == {str(frame) for frame in track.frames}
    half = write_results(tmp_path / "half.parquet", [one for one in rows if one.take_uid == takes.uids[0]])
    with pytest.raises(DataError, match=f"take '{takes.uids[1]}': neither .* nor the results name its exo cameras"):
        export_challenge([half], tmp_path / "other.json", annotations=takes.relations)


def test_annotations_may_be_processed_ground_truth(runs, rendered_takes, tmp_path):
    file = RelationsFile(rendered_takes.relations)
    takes = {}
    for uid in file.heads:
        take = takes[uid] = {"masks": {}, "annotated_frames": {}}
        for (name, camera), track in file.tracks(uid).items():
            masks = {frame: track.mask(frame) for frame in track.frames}
            take["masks"].setdefault(name, {})[camera] = {
                frame: {"size": [mask.height, mask.width], "counts": mask.counts} for frame, mask in masks.items()
            }
            take["annotated_frames"].setdefault(name, {})[camera] = track.annotated_frames
    (tmp_path / "gt.json").write_text(json.dumps({"annotations": takes}))
    export_challenge(runs, tmp_path / "one.json", annotations=tmp_path / "gt.json")
    export_challenge(runs, tmp_path / "other.json", annotations=rendered_takes.relations)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_predictions_are_those_of_the_table(runs, rendered_takes, tmp_path):
    export_challenge(runs[:1], tmp_path / "out.json")
    results = json.loads((tmp_path / "out.json").read_text())["ego-exo"]["results"]
    count = 0
    for one in rows_of(rendered_takes.relations, "ego2exo"):
        take = results[one.take_uid]
        prediction = take["masks"][one.object][f"{one.query_cam}_{one.target_cam}"][str(one.frame)]
        assert prediction["pred_mask"] == {"size": [270, 480], "counts": one.mask.counts}
        assert prediction["confidence"] == pytest.approx(0.924, abs=1e-3)
        assert one.frame in take["subsample_idx"]
        count += 1
    assert count == sum(
        len(frames) for take in results.values() for pairs in take["masks"].values() for frames in pairs.values()
    )


def test_it_comes_back_by_import(rendered_takes, tmp_path):
    """Masks, confidences and metrics are those of the run: nothing is resized, missing or left out."""
    results = predict_fairly(rendered_takes.root, tmp_path / "results.parquet")
    export_challenge([results], tmp_path / "out.json", annotations=rendered_takes.relations)
    call = ["--annotations", rendered_takes.relations, "--out", tmp_path / "back.parquet", "--workers", 1, "--json"]
    done = lmeec("import", tmp_path / "out.json", *call)
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert (told["resized"], told["unasked"]) == (0, 0)
    key = ["take_uid", "object", "query_cam", "target_cam", "frame"]
    shown = [*key, "gt_state", "confidence", "mask_rle", "gt_rle", "iou", "location_error", "contour_accuracy"]
    before, after = (
        read_results(path, shown).to_pandas().set_index(key).sort_index()
        for path in (results, tmp_path / "back.parquet")
    )
    assert len(before) > 20
    pd.testing.assert_frame_equal(after.loc[before.index], before)


def test_command_says_what_is_missing(runs, rendered_takes, tmp_path):
    out = tmp_path / "out.json"
    done = lmeec("export", runs[0], "--format", "challenge", "--out", out)
    assert (done.status, done.out) == (0, "")
    assert "no predictions of exo2ego" in done.err
    assert "--annotations" in done.err
    done = lmeec("export", *runs, "--format", "challenge", "--out", out, "--annotations", rendered_takes.relations)
    assert done.status == 1
    assert f"{out} exists already" in done.err
    call = ("--annotations", rendered_takes.relations, "--overwrite")
    done = lmeec("export", *runs, "--format", "challenge", "--out", out, *call)
    assert done.status == 0
    assert "were missing and are written as empty masks" in done.err
    assert_valid(json.loads(out.read_text()), rendered_takes.relations)


def test_overlapping_runs_are_refused(runs, tmp_path):
    with pytest.raises(DataError, match="both hold take"):
        export_challenge([runs[0], runs[0]], tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_results_of_other_annotations_are_refused(runs, takes, tmp_path):
    with takes.annotations() as document:
        masks = document[takes.uids[0]]["object_masks"]
        masks.pop(next(iter(masks)))
    with pytest.raises(DataError, match="do not name"):
        export_challenge(runs, tmp_path / "out.json", annotations=takes.relations)
    with takes.annotations() as document:
        document.pop(takes.uids[0])
    with pytest.raises(DataError, match="does not name"):
        export_challenge(runs, tmp_path / "out.json", annotations=takes.relations)


def test_bad_tables_are_named(tmp_path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(OutputError, match=r"broken\.parquet is not a whole Parquet file"):
        export_challenge([broken], tmp_path / "out.json")
