"""`lmeec predict` on real (rendered) takes: what a user gets, also from bad input."""

from __future__ import annotations

import json
import shutil

import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pytest
import torch

from lmeec.tables import parts_directory, read_metadata, read_results
from tests.support.command import lmeec
from tests.support.odd_annotations import emptied
from tests.support.rendered import EGO
from tests.support.tables import assert_same, names_left
from tests.support.tiny import write_tiny


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results.parquet"


@pytest.fixture
def predict(tiny, takes, out):
    def run(*arguments, checkpoint=tiny):
        return lmeec("predict", takes.root, "--out", out, "--checkpoint", checkpoint, *arguments)

    return run


@pytest.fixture(scope="module")
def undisturbed(rendered_takes, tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "results.parquet"
    done = lmeec("predict", rendered_takes.root, "--out", path, "--checkpoint", tiny)
    assert done.status == 0, done.err
    return read_results(path)


def failures(out):
    return json.loads(out.with_name(out.name + ".failures.json").read_text())


def of_take(table, uid):
    return table.filter(pc.equal(table["take_uid"], uid))


def test_predicts_every_object_of_both_directions(undisturbed, rendered_takes):
    rows = undisturbed.to_pandas()
    assert set(rows.take_uid) == set(rendered_takes.uids)
    assert set(rows.direction) == {"ego2exo", "exo2ego"}
    with rendered_takes.annotations() as takes:
        for (uid, name, query), track in rows.groupby(["take_uid", "object", "query_cam"]):
            expected = sorted(int(frame) for frame in takes[uid]["object_masks"][name][query]["annotation"])
            for _, steps in track.groupby("target_cam"):
                assert steps.frame.tolist() == expected
                assert steps.step.tolist() == list(range(len(expected)))
    assert set(rows[rows.direction == "exo2ego"].height) == set(rows.width) == {480}
    assert rows[rows.gt_state == "visible"].iou.notna().all()


def test_parts_are_gone_once_joined(predict, out):
    assert predict("--direction", "ego2exo").status == 0
    assert names_left(out.parent) == ["results.parquet", "takes"]


def test_pandas_duckdb_and_polars_read_the_table(predict, out):
    assert predict().status == 0
    frame = pd.read_parquet(out)
    counted = duckdb.sql(f"select direction, count(*), avg(iou) from '{out}' group by direction order by 1").fetchall()
    assert [row[:2] for row in counted] == list(frame.groupby("direction").size().items())
    assert pl.read_parquet(out).height == len(frame)
    assert pl.read_parquet(out)["bbox"].to_list() == [list(box) for box in frame.bbox]


def test_settings_are_stored_with_the_results(predict, out):
    assert predict("--memory-policy", "merge", "--memory-size", "2", "--object", "green bowl_0").status == 0
    run = read_metadata(out)
    assert run.memory == {"policy": "merge", "size": 2, "iou_threshold": 0.3}
    assert run.predict["objects"] == ["green bowl_0"]
    assert set(run.checkpoints) == {"ego2exo", "exo2ego"}
    assert set(read_results(out)["object"].to_pylist()) == {"green bowl_0"}


def test_one_take_and_one_direction(predict, out, takes):
    assert predict("--take", takes.names[1], "--direction", "exo2ego").status == 0
    rows = read_results(out)
    assert set(rows["take_name"].to_pylist()) == {takes.names[1]}
    assert set(rows["direction"].to_pylist()) == {"exo2ego"}


@pytest.mark.parametrize("batch", [1, 3])
def test_batch_size_does_not_change_the_table(batch, predict, out, undisturbed):
    assert predict("--batch-tracks", batch).status == 0
    rows, expected = read_results(out).to_pandas(), undisturbed.to_pandas()
    keys = ["take_uid", "direction", "object", "query_cam", "target_cam", "frame"]
    pd.testing.assert_frame_equal(rows[keys], expected[keys])
    for column in ("object_score", "predicted_iou"):
        assert abs(rows[column] - expected[column]).max() < 1e-4
    assert (abs(rows.area - expected.area) <= 0.001 * expected.height * expected.width).all()


def test_built_in_model_is_the_default(takes, out):
    done = lmeec("predict", takes.root, "-o", out, "--take", takes.names[0], "--object", "pink tape roll_0")
    assert done.status == 0, done.err
    assert read_metadata(out).model == "nano"


def test_progress_without_a_terminal_is_lines(predict, takes):
    lines = predict().err.splitlines()
    for name in takes.names:
        for direction in ("ego2exo", "exo2ego"):
            (line,) = [line for line in lines if f"{name} {direction}: " in line and "tracks" in line]
            assert "frames/s" in line
            assert "left" in line


# --- outputs that are in the way


def test_existing_output_is_refused_and_kept(predict, out):
    out.write_text("mine")
    done = predict()
    assert done.status == 1
    assert str(out) in done.err
    assert "--overwrite" in done.err
    assert out.read_text() == "mine"
    assert predict("--overwrite").status == 0
    assert read_results(out).num_rows > 0


def test_missing_folder_for_the_output_is_told_at_once(takes, tiny, tmp_path):
    done = lmeec("predict", takes.root, "--out", tmp_path / "no" / "such.parquet", "--checkpoint", tiny)
    assert done.status == 1
    assert str(tmp_path / "no") in done.err


# --- takes that are not as they should be


def test_folder_without_takes(tiny, tmp_path, out):
    done = lmeec("predict", tmp_path, "--out", out, "--checkpoint", tiny)
    assert done.status == 1
    assert "holds no takes" in done.err
    assert str(tmp_path) in done.err
    assert not out.exists()


def test_takes_that_are_not_on_disk_are_left_out_and_cameras_are_missing_in_rows(predict, takes, out, undisturbed):
    shutil.rmtree(takes.root / "takes" / takes.names[0])
    takes.video(1, "gp02").unlink()
    done = predict()
    assert done.status == 0, done.err
    assert "1 of 2 annotated takes are not on disk" in done.err
    assert takes.names[0] in done.err
    assert "1 annotated cameras cannot be used" in done.err
    assert "gp02" in done.err
    rows, expected = read_results(out).to_pandas(), undisturbed.to_pandas()
    expected = expected[expected.take_uid == takes.uids[1]].reset_index(drop=True)
    assert rows.frame.tolist() == expected.frame.tolist()
    lost = (expected.query_cam == "gp02") | (expected.target_cam == "gp02")
    assert rows.missing[lost].tolist() == ["camera"] * lost.sum()
    assert rows.missing[~lost].isna().all()
    assert rows.mask_rle[~lost].tolist() == expected.mask_rle[~lost].tolist()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replace_by_text(path):
    path.write_text("<html>503 try again later</html>")


@pytest.mark.parametrize("damage", [cut, replace_by_text])
def test_bad_video_fails_its_take_alone(damage, predict, takes, out, undisturbed):
    damage(takes.video(0, "gp01"))
    done = predict()
    assert done.status == 1
    assert "2 jobs failed" in done.err
    assert "Traceback" not in done.err
    assert {(failure["take_uid"], failure["direction"]) for failure in failures(out)} == {
        (takes.uids[0], "ego2exo"),
        (takes.uids[0], "exo2ego"),
    }
    assert all(str(takes.video(0, "gp01")) in failure["error"] for failure in failures(out))
    rows = read_results(out)
    assert rows.num_rows == undisturbed.num_rows
    assert of_take(rows, takes.uids[1]).equals(of_take(undisturbed, takes.uids[1]))


def test_rerun_after_a_failure_does_only_what_is_missing(predict, takes, out, undisturbed):
    whole = takes.video(0, "gp01").read_bytes()
    cut(takes.video(0, "gp01"))
    assert predict().status == 1
    takes.video(0, "gp01").write_bytes(whole)
    done = predict()
    assert done.status == 0, done.err
    assert "2 takes and directions to predict, 2 done before" in done.err
    assert f"{takes.names[1]} ego2exo: started" not in done.err
    assert_same(read_results(out), undisturbed)
    assert names_left(out.parent) == ["results.parquet", "takes"]


def test_parts_of_another_run_are_not_mixed(predict, takes, out):
    cut(takes.video(0, "gp01"))
    assert predict("--memory-policy", "drop").status == 1
    before = read_results(out)
    done = predict("--memory-policy", "merge")
    assert done.status == 1
    assert "memory.policy: 'drop' and 'merge'" in done.err
    assert "--overwrite" in done.err
    assert read_results(out).equals(before)
    assert predict("--memory-policy", "merge", "--overwrite").status == 1
    assert read_metadata(out).memory["policy"] == "merge"


def test_another_checkpoint_is_another_run(predict, takes, tmp_path):
    cut(takes.video(0, "gp01"))
    assert predict().status == 1
    done = predict(checkpoint=write_tiny(tmp_path / "other.safetensors", seed=2))
    assert done.status == 1
    assert "checkpoints.ego2exo" in done.err


@pytest.mark.parametrize("joined", [True, False])
def test_damaged_part_is_done_again(joined, predict, takes, out, undisturbed):
    whole = takes.video(0, "gp01").read_bytes()
    cut(takes.video(0, "gp01"))
    assert predict().status == 1
    takes.video(0, "gp01").write_bytes(whole)
    cut(next(parts_directory(out).glob(f"{takes.uids[1]}*.ego2exo.part.parquet")))
    if not joined:
        out.unlink()
    done = predict()
    assert done.status == 0, done.err
    left = 2 if joined else 3  # what the table holds need not be done again
    assert f"{left} takes and directions to predict, {4 - left} done before" in done.err
    assert_same(read_results(out), undisturbed)


def test_video_shorter_than_its_annotations(predict, takes, out):
    with takes.annotations() as annotated:
        for cameras in annotated[takes.uids[1]]["object_masks"].values():
            for masks in cameras.values():
                if "0" in masks["annotation"]:
                    masks["annotation"]["25"] = masks["annotation"]["0"]
                    masks["annotated_frames"].append(25)
    done = predict()
    assert done.status == 0, done.err
    assert f"'{EGO}' has 20 frames and lacks 1 annotated ones (the first is 25)" in done.err
    rows = read_results(out).to_pandas()
    assert rows.frame[rows.missing.isna()].max() == 15
    assert set(rows.missing[rows.frame == 25]) == {"video"}


def of_another_size(mask):
    mask["width"] += 2


def not_base64(mask):
    mask["encodedMask"] = "<<" + mask["encodedMask"]


def cut_off(mask):
    mask["encodedMask"] = mask["encodedMask"][: len(mask["encodedMask"]) // 2]


def absurdly_large(mask):
    mask["width"] = mask["height"] = 10**8


@pytest.mark.parametrize("damage", [of_another_size, not_base64, cut_off, absurdly_large])
def test_bad_mask_fails_its_take_and_is_named(damage, predict, takes, out, undisturbed):
    with takes.annotations() as annotated:
        masks = annotated[takes.uids[0]]["object_masks"]["green bowl_0"]["gp01"]["annotation"]
        damage(masks["10"])
    done = predict()
    assert done.status == 1
    errors = [failure["error"] for failure in failures(out)]
    assert len(errors) == 2
    for error in errors:
        for part in (str(takes.relations), takes.names[0], "green bowl_0", "gp01", "frame 10"):
            assert part in error
    rows = read_results(out)
    assert rows.num_rows == undisturbed.num_rows
    assert set(of_take(rows, takes.uids[0])["missing"].to_pylist()) == {"failed"}
    assert of_take(rows, takes.uids[1]).equals(of_take(undisturbed, takes.uids[1]))


def test_two_ego_cameras_are_both_used(predict, takes, out):
    takes.copy_camera(0, EGO, "aria02_214-1")
    done = predict("--take", takes.names[0])
    assert done.status == 0, done.err
    assert "2 ego cameras" in done.err
    rows = read_results(out).to_pandas()
    assert set(rows[rows.direction == "ego2exo"].query_cam) == {EGO, "aria02_214-1"}
    assert set(rows[rows.direction == "exo2ego"].target_cam) == {EGO, "aria02_214-1"}
    first, second = (rows[rows.query_cam == name].mask_rle.tolist() for name in (EGO, "aria02_214-1"))
    assert first == second


def test_take_without_an_ego_camera_is_told(predict, takes, out):
    takes.rename_camera(0, EGO, "cam09")
    done = predict()
    assert done.status == 0, done.err
    assert f"{takes.names[0]}" in done.err
    assert "there is no ego camera" in done.err
    assert set(read_results(out)["take_uid"].to_pylist()) == {takes.uids[1]}


def test_nothing_to_predict_is_an_error_that_says_why(predict, takes, out):
    for number in (0, 1):
        takes.rename_camera(number, EGO, "head")
        for camera in ("gp01", "gp02"):
            takes.rename_camera(number, camera, f"wall_{camera}")
    done = predict()
    assert done.status == 1
    assert "there is nothing to predict" in done.err
    assert takes.names[0] in done.err
    assert "an ego camera's name starts with 'aria'; there are 'head', 'wall_gp01', 'wall_gp02'" in done.err
    assert not out.exists()
    assert not parts_directory(out).exists()


def test_an_object_without_query_masks_is_the_reason_and_not_a_camera_that_is_missing(predict, takes, out):
    takes.video(0, "gp02").unlink()
    with takes.annotations() as annotated:
        for uid in takes.uids:
            name = next(iter(annotated[uid]["object_masks"]))
            masks = annotated[uid]["object_masks"].pop(name)
            masks[EGO]["annotation"] = dict.fromkeys(masks[EGO]["annotation"])
            annotated[uid]["object_masks"]["unseen"] = masks
    done = predict("--object", "unseen", "--direction", "ego2exo")
    assert done.status == 1
    assert "none of the wanted objects has a mask in a query view" in done.err
    assert "gp02.mp4" not in done.err.partition("error:")[2]


def test_query_masks_without_foreground_only_are_an_error(predict, takes, out):
    with takes.annotations() as annotated:
        for take in annotated.values():
            for cameras in take["object_masks"].values():
                for masks in cameras.values():
                    masks["annotation"] = {frame: emptied(mask) for frame, mask in masks["annotation"].items()}
    done = predict()
    assert done.status == 1
    assert "no frame could be predicted" in done.err
    assert set(read_results(out)["missing"].to_pylist()) == {"empty_query"}
    assert predict().status == 1  # and again when there is nothing left to do


def test_a_data_set_without_videos_is_an_error_that_names_them(predict, takes, out):
    for number in (0, 1):
        for camera in (EGO, "gp01", "gp02"):
            takes.video(number, camera).unlink()
    done = predict()
    assert done.status == 1
    assert "there is nothing to predict" in done.err
    assert f"camera '{EGO}': there is no '{EGO}.mp4'" in done.err
    assert not out.exists()


def test_odd_names_are_kept_as_they_are(predict, takes, out, tmp_path):
    takes.rename_camera(0, "gp01", "Küche links 01")
    with takes.annotations() as annotated:
        take = annotated[takes.uids[0]]
        objects = take["object_masks"]
        objects["../../etc/пример 碗"] = objects.pop("green bowl_0")
        annotated["../../" + takes.uids[0]] = annotated.pop(takes.uids[0])
    (takes.root / "takes.json").unlink()
    done = predict("--take", takes.names[0])
    assert done.status == 0, done.err
    rows = read_results(out).to_pandas()
    assert set(rows.take_uid) == {"../../" + takes.uids[0]}
    assert "../../etc/пример 碗" in set(rows.object)
    assert "Küche links 01" in set(rows.query_cam)
    assert names_left(tmp_path) == ["results.parquet", "takes"]


@pytest.mark.parametrize("name", ["../outside", "a/b", ".."])
def test_take_name_that_leads_elsewhere_is_refused(name, predict, takes, out):
    (takes.root / "takes.json").unlink()
    with takes.annotations() as annotated:
        annotated[takes.uids[0]]["take_name"] = name
    done = predict()
    assert done.status == 1
    assert {failure["take_uid"] for failure in failures(out)} == {takes.uids[0]}
    assert set(read_results(out)["take_uid"].to_pylist()) == {takes.uids[1]}


def test_broken_json_is_told_with_line_and_column(predict, takes):
    takes.relations.write_text('{"annotations": {\n  "a": {"take_name": "x",, }\n}}')
    done = predict()
    assert done.status == 1
    assert f"{takes.relations}: broken JSON at line 2, column 26" in done.err


def test_unknown_object_is_told(predict, out):
    done = predict("--object", "unicorn_0")
    assert "unicorn_0" in done.err
    assert done.status == 1
    assert not out.exists()


# --- checkpoints


def test_checkpoint_of_another_model_is_refused_before_any_work(predict, tmp_path, out):
    path = tmp_path / "other.pt"
    torch.save({"model": {"backbone.weight": torch.zeros(3)}}, path)
    done = predict(checkpoint=path)
    assert done.status == 1
    assert str(path) in done.err
    assert "backbone.weight" in done.err
    assert "missing" in done.err
    assert not out.exists()


def test_a_model_for_each_direction(takes, tiny, out, tmp_path):
    other = write_tiny(tmp_path / "other.safetensors", seed=2)
    given = ["--checkpoint", f"ego2exo={tiny}", "--checkpoint", f"exo2ego={other}"]
    assert lmeec("predict", takes.root, "--out", out, *given, "--take", takes.names[0]).status == 0
    run = read_metadata(out)
    assert run.checkpoints["ego2exo"] != run.checkpoints["exo2ego"]
    assert run.model == "tiny.safetensors, other.safetensors"


def test_a_released_pair_in_one_folder(takes, tiny, out, tmp_path):
    pair = tmp_path / "weights"
    pair.mkdir()
    shutil.copy(tiny, pair / "EgoExo_checkpoint.safetensors")
    write_tiny(pair / "ExoEgo_checkpoint.safetensors", seed=2)
    done = lmeec("predict", takes.root, "--out", out, "--checkpoint", pair, "--take", takes.names[0])
    assert done.status == 0, done.err
    assert read_metadata(out).model == "EgoExo_checkpoint.safetensors, ExoEgo_checkpoint.safetensors"
    (pair / "ExoEgo_checkpoint.safetensors").unlink()
    done = lmeec("predict", takes.root, "--out", out, "--checkpoint", pair, "--overwrite")
    assert done.status == 1
    assert "exo2ego" in done.err
    assert "ExoEgo_checkpoint" in done.err


def test_released_pixels_are_of_full_size_videos_and_another_run(tiny, takes, out, predict):
    """The small videos are not looked at, and rows of both kinds of pixels never share a table."""
    for video in takes.videos(0).glob("*.mp4"):
        small = takes.videos(0) / "downscaled/448"
        small.mkdir(parents=True, exist_ok=True)
        shutil.copy(takes.videos(1) / video.name, small)
    one = ("--take", takes.names[0], "--pixels", "released")
    assert predict(*one).status == 0
    assert read_metadata(out).predict | {"dtype": "float32"} == {
        "dtype": "float32",
        "video": "full",
        "pixels": "released",
        "mask_size": "evaluation",
        "objects": [],
        "synthetic": True,
    }
    masks = read_results(out)["mask_rle"].to_pylist()
    shutil.rmtree(takes.videos(0) / "downscaled")
    assert predict(*one, "--overwrite", "--video", "full").status == 0
    assert read_results(out)["mask_rle"].to_pylist() == masks
    refused = predict("--take", takes.names[0])
    assert refused.status != 0
    assert "predict.pixels: 'released' and 'fast'" in refused.err


def test_released_pixels_of_small_videos_are_refused(predict, takes, out):
    refused = predict("--pixels", "released", "--video", "448")
    assert refused.status != 0
    assert "video" in refused.err
    assert "frames of full size" in refused.err
    for take in (0, 1):
        small = takes.videos(take) / "downscaled/448"
        small.mkdir(parents=True)
        for video in takes.videos(take).glob("*.mp4"):
            video.rename(small / video.name)
    refused = predict("--pixels", "released")
    assert refused.status != 0
    assert "videos of 448 pixels only" in refused.err
    assert not out.exists()


def test_a_round_trip_of_each_prediction(predict, out, undisturbed):
    assert predict("--cycle").status == 0
    framed, plain = read_results(out), undisturbed
    assert framed["cycle_iou"].null_count == framed["cycle_score"].null_count == 0
    others = [name for name in framed.column_names if not name.startswith("cycle_")]
    assert framed.select(others).equals(plain.select(others))
    assert read_metadata(out).predict["cycle"]["way"] == "frame"
    refused = predict("--cycle", "--cycle-memory")
    assert refused.status == 1
    assert "cycle.way: 'frame' and 'tracked'" in refused.err
    assert predict("--cycle", "--cycle-memory", "--overwrite").status == 0
    assert read_results(out)["cycle_score"].to_pylist() != framed["cycle_score"].to_pylist()
    alone = predict("--cycle-memory", "--overwrite")
    assert alone.status == 2
    assert "needs --cycle" in alone.err


def test_the_way_back_has_the_weights_of_the_other_direction(takes, tiny, tmp_path):
    other = write_tiny(tmp_path / "other.safetensors", seed=7)

    def scores(name, *checkpoints):
        path = tmp_path / name
        options = [part for one in checkpoints for part in ("--checkpoint", one)]
        done = lmeec("predict", takes.root, "-o", path, "--direction", "ego2exo", "--cycle", *options)
        return done, read_results(path)["cycle_score"].to_pylist() if done.status == 0 else None

    _, same = scores("same.parquet", tiny)
    done, pair = scores("pair.parquet", f"ego2exo={tiny}", f"exo2ego={other}")
    assert done.status == 0, done.err
    assert len(pair) == len(same) > 0
    assert not set(pair) & set(same)
    assert set(read_metadata(tmp_path / "pair.parquet").checkpoints) == {"ego2exo"}
    lacking, _ = scores("lacking.parquet", f"ego2exo={tiny}")
    assert lacking.status == 1
    assert "no checkpoint for exo2ego" in lacking.err
