"""Masks carried through a video, against SAM 2's own predictor, and what they are to a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_video_predictor import SAM2VideoPredictor

from lmeec.config import PredictConfig, PropagateConfig
from lmeec.data.takes import find_takes
from lmeec.errors import CheckpointError
from lmeec.inference.carried import with_carried_masks
from lmeec.inference.propagation import Propagation
from lmeec.model.checkpoint import write_safetensors
from lmeec.model.query_masks import resize_query_masks
from lmeec.model.sam2 import load_sam2, sam2_parts
from lmeec.tables import read_metadata, read_results
from tests.support.command import lmeec
from tests.support.memory import peak_of_process
from tests.support.own import own_take, write_manifest
from tests.support.rendered import EGO
from tests.support.tiny import TINY

CONFIG = replace(TINY, num_maskmem=4, max_object_pointers=6)
SIDE = CONFIG.image_size


def weights(seed=0):
    torch.manual_seed(seed)
    state = SAM2Base(**sam2_parts(CONFIG)).state_dict()
    state["sam_mask_decoder.pred_obj_score_head.layers.2.bias"] += 0.5  # visible here and there
    return state


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("sam2") / "sam2_tiny.safetensors"
    write_safetensors(path, weights(), CONFIG)
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """JPEG files, of which SAM 2's predictor makes its video; and what it sees of them."""
    folder = tmp_path_factory.mktemp("film")
    generator = np.random.default_rng(0)
    rough = generator.integers(0, 255, (12, 16, 3), np.uint8)
    frames = []
    for number in range(14):
        picture = Image.fromarray(np.roll(rough, number, 1)).resize((96, 64), Image.Resampling.BILINEAR)
        picture.save(folder / f"{number:05d}.jpg", quality=95)
        with Image.open(folder / f"{number:05d}.jpg") as image:
            frames.append(np.array(image.convert("RGB").resize((SIDE, SIDE))))
    return folder, frames


def box(top, left, side=24, height=64, width=96):
    mask = np.zeros((height, width), bool)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize(
    "given",
    [
        [{0: box(10, 10)}],
        [{0: box(10, 10), 5: box(20, 40), 12: box(0, 0)}],
        [{2: box(10, 10), 3: box(12, 12)}, {4: box(30, 60)}],
    ],
    ids=["first", "several", "two objects"],
)
def test_it_is_what_sam2s_own_predictor_computes(given, film, checkpoint):
    folder, frames = film
    model = load_sam2(checkpoint, torch.device("cpu"))
    objects = [{k: resize_query_masks(torch.from_numpy(m)[None], SIDE)[0] for k, m in one.items()} for one in given]
    ours = Propagation(model, objects, len(frames))
    ours.look_at_given((k, frames[k]) for k in ours.given_places)
    found = {(one.object, one.place): one.logits for one in ours.carry(enumerate(frames))}

    theirs = SAM2VideoPredictor(**sam2_parts(CONFIG))
    theirs.load_state_dict(weights())
    theirs.eval()
    compared = 0
    for number, masks in enumerate(given):
        state = theirs.init_state(str(folder))
        for place, mask in masks.items():
            theirs.add_new_mask(state, place, 1, mask)
        for place, _, logits in theirs.propagate_in_video(state):
            if place in masks:
                continue
            mine = torch.nn.functional.interpolate(
                found[number, place][None, None], (64, 96), mode="bilinear", align_corners=False
            )
            assert torch.allclose(mine, logits, atol=1e-5)
            compared += 1
    assert compared == len(found)
    assert any(0 < (one > 0).float().mean() < 1 for one in found.values()), "masks are neither empty nor everything"


def carry_on(path, length):
    """Carry a mask through so many frames."""
    torch.set_num_threads(1)
    model = load_sam2(path, torch.device("cpu"))
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[10:30, 10:30] = True
    frames = ((place, torch.full((SIDE, SIDE, 3), place % 255, dtype=torch.uint8)) for place in range(length))
    carrying = Propagation(model, [{0: mask}], length)
    carrying.look_at_given([(0, torch.zeros(SIDE, SIDE, 3, dtype=torch.uint8))])
    for _ in carrying.carry(frames):
        pass


def test_ten_times_the_length_takes_no_more_memory(checkpoint):
    peaks = [peak_of_process(carry_on, checkpoint, length) for length in (60, 600)]
    assert peaks[1] < 1.02 * peaks[0] + 2e6, peaks


def only_the_first_mask(takes):
    """Of each object in the ego view of the first take; the frame of the first mask."""
    with takes.annotations() as annotations:
        for cameras in annotations[takes.uids[0]]["object_masks"].values():
            masks = cameras[EGO]["annotation"]
            if not masks:
                continue
            first = min(masks, key=int)
            cameras[EGO]["annotation"] = {first: masks[first]}
            cameras[EGO]["annotated_frames"] = [int(first)]
    return find_takes(takes.root, names=[takes.names[0]])[0]


def test_carried_masks_are_queries_and_no_ground_truth(takes, checkpoint):
    take = only_the_first_mask(takes)
    model = load_sam2(checkpoint, torch.device("cpu"))
    carried, said = with_carried_masks(take, "ego2exo", model, every=2)
    assert "by SAM 2" in said[0]
    for key, track in take.tracks.items():
        again = carried.tracks[key]
        assert again.annotated_frames == track.annotated_frames
        assert all(again.mask(frame).counts == track.mask(frame).counts for frame in track.frames)
        if key[1] == EGO:
            assert all(frame % 2 == 0 for frame in set(again.frames) - set(track.frames))
            assert len({again.mask(frame).height for frame in again.frames}) <= 1
        else:
            assert again is track
    assert any(len(carried.tracks[key].frames) > 3 for key in carried.tracks if key[1] == EGO)


def test_a_run_predicts_at_the_frames_that_masks_were_carried_to(takes, tiny, checkpoint, tmp_path):
    only_the_first_mask(takes)
    usual = ("--checkpoint", tiny, "--take", takes.names[0], "--direction", "ego2exo")
    done = lmeec("predict", takes.root, "-o", tmp_path / "few.parquet", *usual)
    assert done.status == 0, done.err
    out = tmp_path / "many.parquet"
    done = lmeec("predict", takes.root, "-o", out, *usual, "--propagate", checkpoint, "--every", "2")
    assert done.status == 0, done.err
    assert "masks were carried to" in done.err
    few, many = (read_results(path).to_pandas() for path in (tmp_path / "few.parquet", out))
    assert len(many) > len(few)
    assert read_metadata(out).predict["propagate"]["every"] == 2
    assert set(many[~many.frame.isin(few.frame)].frame % 2) == {0}
    firsts = many.merge(few, on=["object", "target_cam", "frame"])
    assert len(firsts) == len(few)
    assert (firsts.mask_rle_x == firsts.mask_rle_y).all()
    done = lmeec("predict", takes.root, "-o", out, *usual, "--propagate", checkpoint, "--every", "3")
    assert done.status == 1
    assert "propagate.every" in done.err


def test_a_recording_with_a_mask_at_the_first_frame_alone_says_what_it_lacks(rendered_takes, tiny, tmp_path):
    take = own_take(rendered_takes, tmp_path / "own", "png")
    head = take["cameras"][0]
    shown = {
        entry["png"]: [
            file for file in sorted((tmp_path / "own" / entry["png"]).iterdir()) if np.asarray(Image.open(file)).any()
        ]
        for entry in head["masks"]
    }
    head["masks"] = [next(entry for entry in head["masks"] if shown[entry["png"]])]
    first = shown[head["masks"][0]["png"]][0]
    for file in first.parent.iterdir():
        if file != first:
            file.unlink()
    manifest = write_manifest(tmp_path / "own" / "recordings.yaml", take)
    done = lmeec("predict", manifest, "-o", tmp_path / "r.parquet", "--checkpoint", tiny, "--direction", "ego2exo")
    assert done.status == 0, done.err
    assert "predictions are made at these alone" in done.err
    assert "propagate" in done.err


@pytest.mark.parametrize("kind", ["lmeec", "nothing", "missing"])
def test_other_checkpoints_are_refused_by_name(kind, tiny, takes, tmp_path):
    path = tiny if kind == "lmeec" else tmp_path / "weights.safetensors"
    if kind == "nothing":
        path.write_bytes(b"nothing")
    done = lmeec("predict", takes.root, "-o", tmp_path / "r.parquet", "--checkpoint", tiny, "--propagate", path)
    assert done.status == 1
    assert path.name in done.err
    assert not (tmp_path / "r.parquet").exists()


def test_the_released_weights_have_these_names_and_shapes(tmp_path):
    """Nothing but SAM 2.1 base plus is taken for it: of a file without a configuration, all tensors are compared."""
    path = tmp_path / "sam2.pt"
    torch.save({"model": weights()}, path)
    with pytest.raises(CheckpointError, match=r"give sam2\.1_hiera_base_plus\.pt"):
        load_sam2(path, torch.device("cpu"))


def test_settings_are_checked():
    with pytest.raises(ValueError, match="every"):
        PredictConfig(propagate=PropagateConfig("sam2.pt", 0))
