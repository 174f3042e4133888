"""Clips of takes on disk: the right frames, masks and truth, a function of seed and step alone."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lmeec.data.takes import find_takes
from lmeec.errors import DataError
from lmeec.model.query_masks import query_mask
from lmeec.training.clips.augment import AugmentConfig
from lmeec.training.clips.cache import FrameCache
from lmeec.training.clips.config import ClipConfig
from lmeec.training.clips.takes import TakeClips
from lmeec.training.clips.tracks import training_take
from lmeec.training.config import PresenceConfig, TrainConfig, presence, released
from lmeec.training.group import Group
from lmeec.training.output.progress import Note
from lmeec.training.prepare import prepare_takes
from tests.support.rates import double_rate
from tests.support.rendered import EGO

SIZE = 64
PLAIN = AugmentConfig(0, 0, 0, (1, 1), 0, 0, 0, 0, 0, 0, 0, 0)
CONFIG = TrainConfig(batch=4, clips=ClipConfig(frames=3, augment=PLAIN))
AS_RELEASED = replace(released(), batch=4, clips=replace(released().clips, frames=3, augment=PLAIN))


class Notes:
    def __init__(self):
        self.texts = []

    def event(self, event):
        if isinstance(event, Note):
            self.texts.append(event.text)


def prepared(root, cache, config=CONFIG, notes=None):
    return prepare_takes(find_takes(root), config, cache_in(cache, config), Group(), notes or Notes(), lambda: False)


def cache_in(folder, config=CONFIG):
    return FrameCache(folder, SIZE, config.rules.reading)


def clips_of(root, cache, config=CONFIG, group=None):
    return TakeClips(prepared(root, cache, config), cache_in(cache, config), config, SIZE, group or Group())


def test_clips_have_the_frames_and_masks_that_inference_has(rendered_takes, tmp_path):
    takes = {take.name: take for take in find_takes(rendered_takes.root)}
    with clips_of(rendered_takes.root, tmp_path) as source:
        clips = [clip for step in range(4) for clip in source.batch(step)]
    for clip in clips:
        name, thing, cameras, frames = clip.origin.split(", ")
        take, thing = takes[name.split("'")[1]], thing.split("'")[1]
        query, target = cameras.split(" to ")
        first, last = int(frames.split()[1]), int(frames.split()[3])
        chosen = [frame for frame in take.tracks[thing, query].frames if first <= frame <= last]
        assert clip.query_masks.any((2, 3)).all()
        for camera, pictures in ((query, clip.query), (target, clip.target)):
            with take.cameras[camera].open((SIZE, SIZE)) as reader:
                assert np.array_equal(pictures, np.stack([image for _, image in reader.read(chosen)]))
        for camera, masks in ((query, clip.query_masks[0]), (target, clip.target_masks[0])):
            for frame, mask in zip(chosen, masks, strict=True):
                encoded = take.tracks[thing, camera].mask(frame)
                expected = query_mask(encoded, SIZE) if encoded else torch.zeros(SIZE, SIZE, dtype=torch.bool)
                assert np.array_equal(mask, expected)
    assert any(len(clip.annotated) > 1 for clip in clips)


def test_a_camera_of_another_frame_rate_gives_the_same_clips_and_a_note(takes, tmp_path):
    """Frames in the cache are of the rate that they were read at: every other one of the faster camera is black."""
    with clips_of(takes.root, tmp_path) as source:
        before = [clip for step in range(4) for clip in source.batch(step)]
    double_rate(takes.video(0, "gp02"))
    notes = Notes()
    prepared(takes.root, tmp_path, notes=notes)
    with clips_of(takes.root, tmp_path) as source:
        after = [clip for step in range(4) for clip in source.batch(step)]
    for one, other in zip(before, after, strict=True):
        assert one.origin == other.origin
        assert np.array_equal(one.query, other.query)
        assert np.array_equal(one.target, other.target)
    (note,) = (text for text in notes.texts if "frames a second" in text)
    assert "gp02.mp4: has 10 frames a second where the take counts 5" in note


def test_an_epoch_has_every_track_once(rendered_takes, tmp_path):
    config = replace(CONFIG, batch=5, epochs=2)
    with clips_of(rendered_takes.root, tmp_path, config) as source:
        count = len(source._tracks)
        tracks = [clip.origin.split(", frames")[0] for step in range(source.steps) for clip in source.batch(step)]
    assert source.steps == -(-2 * count // 5)
    assert len(set(tracks[:count])) == len(set(tracks[count : 2 * count])) == count
    assert tracks[:count] != tracks[count : 2 * count]


def test_workers_divide_the_same_clips(rendered_takes, tmp_path):
    with clips_of(rendered_takes.root, tmp_path) as source:
        whole = source.batch(3)
    parts = []
    for rank in range(2):
        with clips_of(rendered_takes.root, tmp_path, group=Group(rank, 2)) as source:
            parts.append(source.batch(3))
    for clip, part in zip(whole, [parts[0][0], parts[1][0], parts[0][1], parts[1][1]], strict=True):
        assert clip.origin == part.origin
        assert np.array_equal(clip.query, part.query)
        assert np.array_equal(clip.target_masks, part.target_masks)


def hide(takes, frame, annotated):
    """Take an object's mask out of an exo camera's frame."""
    with takes.annotations() as document:
        for cameras in document[takes.uids[0]]["object_masks"].values():
            for camera, masks in cameras.items():
                if camera != EGO:
                    masks["annotation"].pop(str(frame), None)
                    if not annotated:
                        masks["annotated_frames"].remove(frame)


def truth_at(root, cache, config, frame):
    """Whether tracks that have a frame annotate it, in takes that are prepared."""
    tracks = [track for take in prepared(root, cache, config)[:1] for track in take.tracks if track.query.camera == EGO]
    return [track.annotated[track.frames.index(frame)] for track in tracks if frame in track.frames]


def test_absent_frames_are_trained_on_unless_they_are_left_out(takes, tmp_path):
    hide(takes, 5, annotated=True)
    assert set(truth_at(takes.root, tmp_path, CONFIG, 5)) == {True}
    without = replace(CONFIG, clips=replace(CONFIG.clips, train_absent=False))
    assert truth_at(takes.root, tmp_path, without, 5) == []


def test_clips_without_the_object_are_drawn_on_purpose(takes, tmp_path):
    always = replace(presence(), batch=8, clips=CONFIG.clips, presence=PresenceConfig(absent=1))
    shares = []
    for absent in (1.0, 0.5, 0.0):
        config = replace(always, presence=PresenceConfig(absent=absent))
        with clips_of(takes.root, tmp_path, config) as source:
            clips = [clip for step in range(4) for clip in source.batch(step)]
        lacking = [bool((~clip.target_masks[0].any((1, 2)) & clip.annotated[0]).any()) for clip in clips]
        shares.append(sum(lacking) / len(lacking))
    assert shares[0] == 1
    assert shares[0] > shares[1] > shares[2]
    with takes.annotations() as document:
        for cameras in (one for take in document.values() for one in take["object_masks"].values()):
            for masks in cameras.values():
                masks["annotated_frames"] = [int(frame) for frame in masks["annotation"]]
    with pytest.raises(DataError, match="no object of these takes is annotated as not visible"):
        clips_of(takes.root, tmp_path, always)


def test_frames_that_nobody_looked_at_are_marked(takes, tmp_path):
    hide(takes, 5, annotated=False)
    assert set(truth_at(takes.root, tmp_path, CONFIG, 5)) == {False}
    with clips_of(takes.root, tmp_path, replace(CONFIG, batch=15)) as source:
        clips = [
            clip for clip in source.batch(0) if f"'{takes.names[0]}'" in clip.origin and f"{EGO} to" in clip.origin
        ]
    assert clips
    assert not any(clip.annotated.all() for clip in clips)
    assert not any(clip.target_masks[~clip.annotated].any() for clip in clips)


def test_one_direction(rendered_takes, tmp_path):
    config = replace(CONFIG, clips=replace(CONFIG.clips, directions=("exo2ego",)))
    tracks = [track for take in prepared(rendered_takes.root, tmp_path, config) for track in take.tracks]
    assert {track.target.camera for track in tracks} == {EGO}


def test_a_take_that_cannot_be_read_is_named_and_left_out(takes, tmp_path):
    takes.video(0, EGO).write_bytes(b"no video")
    notes = Notes()
    found = prepared(takes.root, tmp_path, notes=notes)
    assert [take.take.name for take in found] == takes.names[1:]
    assert any(takes.names[0] in text and EGO in text for text in notes.texts)
    assert any("1 of 2 takes" in text for text in notes.texts)


def test_tracks_without_a_clip_are_counted(rendered_takes, tmp_path):
    notes = Notes()
    found = prepared(rendered_takes.root, tmp_path, replace(CONFIG, clips=ClipConfig(frames=4)), notes)
    tracks = [track for take in found for track in take.tracks]
    assert tracks
    assert all(len(track.frames) >= 4 for track in tracks)
    whole = prepared(rendered_takes.root, tmp_path, replace(CONFIG, clips=ClipConfig(frames=2)))
    short = {(track.query.object, *track.pair) for take in whole for track in take.tracks if len(track.frames) < 4}
    assert short
    assert int(notes.texts[0].split()[0]) >= len(short)
    assert "tracks" in notes.texts[0]
    assert "4 successive frames" in notes.texts[0]


def test_nothing_to_train_on_is_an_error(rendered_takes, tmp_path):
    config = replace(CONFIG, clips=replace(CONFIG.clips, frames=7))
    with pytest.raises(DataError, match="7 successive frames"):
        clips_of(rendered_takes.root, tmp_path, config)


def test_frames_are_decoded_once_and_again_when_the_video_changes(takes, tmp_path):
    take = find_takes(takes.root)[0]
    cache, camera = cache_in(tmp_path / "cache"), take.cameras[EGO]
    frames = training_take(take, CONFIG.clips, CONFIG.rules.tracks).frames[EGO]
    assert cache.fill(take, camera, frames)
    assert not cache.fill(take, camera, frames)
    before = cache.read(take, camera, frames, frames[1:3])
    os.utime(camera.source, ns=(1, 1))
    with pytest.raises(DataError, match="decoded anew"):
        cache.read(take, camera, frames, frames)
    assert cache.fill(take, camera, frames)
    assert np.array_equal(before, cache.read(take, camera, frames, frames[1:3]))
    files = list((tmp_path / "cache").rglob("*.rgb"))
    assert len(files) == 1
    files[0].write_bytes(files[0].read_bytes()[:-1])
    assert cache.fill(take, camera, frames), "a file of another length is made anew"


def test_trainings_on_copies_of_a_video_share_a_cache(takes, tmp_path):
    take = find_takes(takes.root)[0]
    camera = take.cameras[EGO]
    copy = replace(camera, source=Path(shutil.copy(camera.source, tmp_path / "copy.mp4")))
    cache = cache_in(tmp_path / "cache")
    frames = training_take(take, CONFIG.clips, CONFIG.rules.tracks).frames[EGO]
    assert cache.fill(take, camera, frames)
    assert cache.fill(take, copy, frames)
    assert np.array_equal(cache.read(take, camera, frames, frames), cache.read(take, copy, frames, frames))


@pytest.mark.parametrize("config", [CONFIG, AS_RELEASED], ids=["finetune", "released"])
def test_the_processed_layout_gives_clips_too(takes, tmp_path, config):
    root = tmp_path / "processed"
    take = find_takes(takes.root)[0]
    write_processed(take, root / take.uid)
    with clips_of(root, tmp_path / "cache", config) as source:
        clips = source.batch(0)
    assert all(clip.query.shape == (3, SIZE, SIZE, 3) for clip in clips)
    shutil.rmtree(root)


def write_processed(take, folder):
    """A take as ego-exo4d-relation leaves it."""
    import json

    from PIL import Image

    masks = {}
    for (thing, camera), track in take.tracks.items():
        frames = {}
        for frame in track.frames:
            mask = track.mask(frame)
            frames[str(frame)] = {"size": [mask.height, mask.width], "counts": mask.counts}
        masks.setdefault(thing, {})[camera] = frames
    for camera in take.cameras.values():
        (folder / camera.name).mkdir(parents=True)
        with camera.open() as reader:
            for frame, image in reader.read(range(0, 20, 5)):
                Image.fromarray(image).save(folder / camera.name / f"{frame}.jpg")
    document = {"masks": masks, "subsample_idx": list(range(0, 20, 5))}
    (folder / "annotation.json").write_text(json.dumps(document))
