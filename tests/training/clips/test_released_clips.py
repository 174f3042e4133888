"""Clips as the released training cuts, reads and changes them; no released vectors are known for clips as a whole."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from lzstring import LZString
from ruamel.yaml import YAML

from lmeec.data.processed import FrameFolder
from lmeec.data.take import Camera
from lmeec.data.takes import find_takes
from lmeec.masks import RunLengthMask
from lmeec.model.checkpoint import read_checkpoint
from lmeec.model.query_masks import query_mask
from lmeec.training.clips.augment import AugmentConfig, augment, augment_as_one
from lmeec.training.clips.cache import FrameCache
from lmeec.training.clips.clip import Clip
from lmeec.training.clips.takes import TakeClips
from lmeec.training.clips.tracks import training_take
from lmeec.training.config import TrainConfig, released
from lmeec.training.group import Group
from lmeec.training.output.log import read_log
from lmeec.training.output.progress import Silent
from lmeec.training.prepare import prepare_takes
from lmeec.training.rules import RELEASED
from lmeec.training.settings import plain
from lmeec.video.pixels import BILINEAR
from lmeec_cli.recipe_file import read_recipe
from lmeec_cli.train_file import read_settings
from tests.support.command import lmeec
from tests.support.places import ROOT
from tests.support.released_pixels import BLOCKS
from tests.support.released_pixels import released as vectors
from tests.support.rendered import EGO

RECIPE = ROOT / "recipes/train-released.yaml"
SIZE = 64
STILL = AugmentConfig(0, 0, 0, (1, 1), 0, 0, 0, 0, 0, 0, 0, 0)
CONFIG = replace(released(), batch=4, clips=replace(released().clips, frames=3, augment=STILL))


def test_query_masks_are_rounded_half_to_even():
    mask = RunLengthMask.encode(vectors()["query/mask"])
    assert np.array_equal(query_mask(mask, 480, half=RELEASED.half), vectors()["query/mask_480_train"])
    assert (query_mask(mask, 480).numpy() != vectors()["query/mask_480_train"]).sum() == 12


def test_frames_are_resized_by_pillows_bilinear_filter(tmp_path):
    (tmp_path / "30.jpg").write_bytes(vectors()["cups/jpeg_30"].tobytes())
    with FrameFolder(tmp_path, (480, 480), RELEASED.reading.resampling) as frames:
        ((_, image),) = frames.read([30])
    assert np.array_equal(image[vectors()["rows"]], vectors()["cups/train_image_rows"])


def test_the_cache_has_the_frames_of_the_rules(takes, tmp_path):
    shutil.copy(BLOCKS, tmp_path / "cam01.mp4")
    camera, take = Camera("cam01", "exo", tmp_path / "cam01.mp4"), find_takes(takes.root)[0]
    for config in (released(), TrainConfig()):
        cache = FrameCache(tmp_path / "cache", 480, config.rules.reading)
        assert cache.fill(take, camera, [60])
        cached = cache.read(take, camera, [60], [60])[0]
        pixels = config.rules.reading.pixels
        with camera.open((480, 480), pixels=pixels, resampling=config.rules.reading.resampling) as reader:
            assert np.array_equal(cached, next(iter(reader.read([60])))[1])
    assert released().rules.reading == ("released", BILINEAR)


def empty(mask):
    """The same mask without a pixel, as a relations file has it."""
    nothing = RunLengthMask.encode(np.zeros((mask["height"], mask["width"]), bool))
    return mask | {"encodedMask": LZString.compressToEncodedURIComponent(nothing.counts)}


@pytest.fixture
def doctored(takes):
    """One object, seen by the head camera and one other at frames 0, 5, 10 and 15, with all that can befall a mask."""
    with takes.annotations() as document:
        things = document[takes.uids[0]]["object_masks"]
        exo = next(camera for cameras in things.values() for camera in cameras if camera != EGO)
        name = next(
            name
            for name, cameras in things.items()
            if {"0", "5", "10", "15"} <= cameras.get(EGO, {}).get("annotation", {}).keys()
            and {"0", "5", "10", "15"} <= cameras.get(exo, {}).get("annotation", {}).keys()
        )
        things = {name: {camera: things[name][camera] for camera in (EGO, exo)}}
        document[takes.uids[0]]["object_masks"] = things
        del document[takes.uids[1]]
    return takes, name, exo


def tracks_of(takes, config=CONFIG):
    return training_take(find_takes(takes.root)[0], config.clips, config.rules.tracks).tracks


def test_clips_are_where_both_views_have_a_mask(doctored):
    takes, name, exo = doctored
    (track,) = tracks_of(takes)
    assert (track.frames, track.starts(3), track.length) == ((0, 5, 10, 15), [0, 1], 3)
    with takes.annotations() as document:
        masks = document[takes.uids[0]]["object_masks"][name]
        # An empty mask is one; what begins a clip must show the object.
        masks[EGO]["annotation"]["0"] = empty(masks[EGO]["annotation"]["0"])
        masks[exo]["annotation"]["5"] = empty(masks[exo]["annotation"]["5"])
    (track,) = tracks_of(takes)
    assert (track.frames, track.starts(3)) == ((0, 5, 10, 15), [1])
    assert all(track.annotated)
    with takes.annotations() as document:
        # Looked at, and not found: in no clip.
        del document[takes.uids[0]]["object_masks"][name][exo]["annotation"]["15"]
    assert tracks_of(takes) == ()


def test_an_empty_target_is_judged_and_a_later_query_may_be_empty(doctored, tmp_path):
    takes, name, exo = doctored
    with takes.annotations() as document:
        masks = document[takes.uids[0]]["object_masks"][name]
        masks[EGO]["annotation"]["10"] = empty(masks[EGO]["annotation"]["10"])
        masks[exo]["annotation"]["5"] = empty(masks[exo]["annotation"]["5"])
    config = replace(CONFIG, clips=replace(CONFIG.clips, frames=4))
    cache = FrameCache(tmp_path, SIZE, config.rules.reading)
    prepared = prepare_takes(find_takes(takes.root), config, cache, Group(), Silent(), lambda: False)
    with TakeClips(prepared, cache, config, SIZE, Group()) as source:
        clip = source.batch(0)[0]
        assert source.steps == 60 * 2 * 1 / 4
    assert clip.query_masks.any((2, 3)).tolist() == [[True, True, False, True]]
    assert clip.target_masks.any((2, 3)).tolist() == [[True, False, True, True]]
    assert clip.annotated.all()
    assert clip.track_length == 4
    assert clip.aspects == pytest.approx((1.0, 16 / 9), rel=0.05)


@pytest.fixture
def clip():
    """A bright disc in the middle of the query view, and the same in a target view twice as wide as high."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    masks = [np.abs(x) + np.abs(y) < 24, np.hypot(2 * x, y) < 24]
    views = [np.where(mask[None, ..., None], 220, 10).repeat(3, 0).repeat(3, -1).astype(np.uint8) for mask in masks]
    query, target = (mask[None, None].repeat(3, 1) for mask in masks)
    return Clip(*views, query, target, np.ones((1, 3), bool), 3, aspects=(1.0, 2.0))


def test_both_views_are_warped_by_one_map_of_their_own_frames(clip):
    """A disc stays a disc under a turn, also where its picture was squashed; a square turns by the same angle."""
    turn = replace(STILL, degrees=25)
    turned = augment_as_one(clip, turn, np.random.default_rng(0))
    assert not np.array_equal(turned.query_masks, clip.query_masks)
    assert (turned.target_masks ^ clip.target_masks).sum() < 0.05 * clip.target_masks.sum()
    # Squashed alike, both views become the same.
    same = replace(clip, target=clip.query, target_masks=clip.query_masks, aspects=(2.0, 2.0))
    strong = replace(turn, flip=0.5, shear=20, brightness=0.2, contrast=0.1, saturation=0.1, grayscale=0.5)
    for seed in range(5):
        changed = augment_as_one(same, strong, np.random.default_rng(seed))
        assert np.array_equal(changed.query, changed.target)
        assert np.array_equal(changed.query_masks, changed.target_masks)
        apart = augment(same, strong, np.random.default_rng(seed))
        assert not np.array_equal(apart.query, apart.target)
    # The map of the frames themselves: of one that is twice as wide as high, warped at its own size and then squashed.
    own = cv2.resize(same.query_masks[0, 0].astype(np.uint8), (2 * SIZE, SIZE), interpolation=cv2.INTER_NEAREST)
    angle = np.degrees(np.arctan2(*moved(same, turn, 0)))
    at_own_size = cv2.warpAffine(own, cv2.getRotationMatrix2D((SIZE - 0.5, SIZE / 2 - 0.5), angle, 1), own.T.shape)
    expected = cv2.resize(at_own_size, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST) > 0
    found = augment_as_one(same, turn, np.random.default_rng(0)).query_masks[0, 0]
    assert (found ^ expected).sum() < 0.06 * expected.sum()


def moved(clip, config, seed):
    """Sine and cosine of the turn that a seed draws, off a picture that was not squashed."""
    bar = np.zeros((SIZE, SIZE), bool)
    bar[SIZE // 2, SIZE // 2 : -2] = True
    plain_clip = replace(clip, query_masks=bar[None, None].repeat(3, 1), aspects=(1.0, 1.0))
    rows, columns = np.nonzero(augment_as_one(plain_clip, config, np.random.default_rng(seed)).query_masks[0, 0])
    return -(rows.mean() - SIZE // 2), columns.mean() - SIZE / 2


def test_frames_flicker_by_themselves(clip):
    flickering = augment_as_one(clip, replace(STILL, flicker=0.1), np.random.default_rng(0))
    levels = {int(frame.max()) for view in (flickering.query, flickering.target) for frame in view}
    assert len(levels) == 6
    steady = augment_as_one(clip, replace(STILL, brightness=0.1), np.random.default_rng(0))
    assert len({int(frame.max()) for view in (steady.query, steady.target) for frame in view}) == 1


@pytest.mark.parametrize("view", ["query", "target"])
def test_a_warp_that_loses_a_first_mask_is_left_out_of_both_views(clip, view):
    corner = np.zeros_like(clip.query_masks)
    corner[..., :2, :2] = True
    lost = replace(clip, **{f"{view}_masks": corner})
    changed = augment_as_one(lost, replace(STILL, degrees=25), np.random.default_rng(0))
    for name in ("query", "target", "query_masks", "target_masks"):
        assert np.array_equal(getattr(changed, name), getattr(lost, name))
    # One that was empty before is not lost.
    absent = replace(clip, target_masks=np.zeros_like(corner))
    assert not np.array_equal(
        augment_as_one(absent, replace(STILL, shear=20), np.random.default_rng(0)).query_masks, absent.query_masks
    )


def test_the_recipe_is_the_preset(tmp_path):
    written = YAML(typ="safe").load(RECIPE)["settings"]
    assert plain(read_recipe(RECIPE).settings) == plain(released())
    short = tmp_path / "short.yaml"
    short.write_text("preset: released\nclips: {directions: [exo2ego]}\n")
    changed = replace(released(), clips=replace(released().clips, directions=("exo2ego",)))
    assert plain(read_settings(short)) == plain(changed)
    # All that is the recipe's own is written out in it.
    defaults = plain(TrainConfig())
    assert {name for name, value in plain(released()).items() if value != defaults[name]} <= written.keys()


def test_the_recipe_runs(rendered_takes, tiny, tmp_path):
    """From videos to weights, in bfloat16 with drop path, dropout and every augmentation."""
    changes = {
        "train.takes": rendered_takes.root,
        "train.out": tmp_path / "run",
        "train.checkpoint": tiny,
        "settings.device": "cpu",
        "settings.steps": 2,
        "settings.batch": 2,
        "settings.clips.frames": 3,
    }
    options = [text for key, value in changes.items() for text in ("--set", f"{key}={value}")]
    done = lmeec("recipe", "run", "train-released", *options)
    assert done.status == 0, done.err
    assert "in bfloat16" in done.err
    assert [line["step"] for line in read_log(tmp_path / "run")] == [1, 2]
    settings = YAML(typ="safe").load(tmp_path / "run" / "train.yaml")
    assert (settings["preset"], settings["seed"], settings["drop_path"]) == ("released", 123, 0.1)
    assert read_checkpoint(tmp_path / "run" / "last.safetensors").tensors
    wrong = lmeec("recipe", "run", "train-released", *options, "--set", "settings.preset=paper")
    assert "settings.preset" in wrong.err
    assert wrong.status == 1
