"""Clips of synthetic scenes: the same for the same step, aligned, and with objects that are not there."""

from __future__ import annotations

import numpy as np
import pytest

from lmeec.errors import ConfigError
from lmeec.synthetic.writer import take_seed
from lmeec.training.clips.synthetic import TRAINING_SEEDS, Phase, SyntheticClips, SyntheticConfig

SIZE = 96
FEW = {"window": 4, "frames_kept": 2, "gaps": (1.0,)}


def clips(steps, *phases, seed=3, **settings):
    config = SyntheticConfig(**(FEW | settings), phases=phases)
    with SyntheticClips(config, SIZE, seed, 10) as source:
        return [source.batch(step) for step in steps]


def test_a_step_has_the_same_clips_whenever_it_is_asked_for():
    phase = Phase(frames=2, clips=2)
    (straight,) = clips([4], phase)
    (*_, later) = clips([0, 3, 4], phase)
    (other,) = clips([4], phase, seed=4)
    for one, same, different in zip(straight, later, other, strict=True):
        for name in ("query", "target", "query_masks", "target_masks"):
            assert np.array_equal(getattr(one, name), getattr(same, name))
        assert one.query.shape == (2, SIZE, SIZE, 3)
        assert not np.array_equal(one.query, different.query)
        assert one.query_masks.any((2, 3)).all()


def test_phases_follow_each_other():
    first, second = Phase(until=0.5, frames=1, clips=3, crop=64), Phase(frames=2, clips=1)
    early, late = clips([4, 5], first, second)
    assert [clip.query.shape for clip in early] == [(1, 64, 64, 3)] * 3
    assert [clip.query.shape for clip in late] == [(2, SIZE, SIZE, 3)]


def test_the_same_picture_on_both_sides_shows_every_object_unless_it_is_moved_out():
    (batch,) = clips([0], Phase(frames=1, clips=6, real=(0, 0)))
    shown = [clip.target_masks.any((1, 2, 3)) for clip in batch]
    assert np.concatenate(shown).mean() > 0.7


def test_absent_and_strange_clips_lack_objects():
    (batch,) = clips([0], Phase(frames=1, clips=6), strange=1.0)
    assert not any(clip.target_masks.any() for clip in batch)
    (batch,) = clips([0], Phase(frames=1, clips=8), absent=1.0, strange=0.0)
    seen = np.concatenate([clip.target_masks.any((1, 2, 3)) for clip in batch])
    assert seen.any()
    assert not seen.all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="frames_kept is 2"):
        SyntheticConfig(**FEW, phases=(Phase(frames=3),))
    with pytest.raises(ConfigError, match="do not fit"):
        SyntheticConfig(frames_kept=8, gaps=(5.0,))


def test_no_take_on_disk_shows_a_scene_of_training():
    seeds = [take_seed(seed, number) for seed in (0, 10260, 20260, 2**40) for number in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) < TRAINING_SEEDS


TOGETHER = Phase(frames=2, clips=4, together=True)


def test_the_pairs_of_a_scene_come_together():
    batches = clips([0, 1], TOGETHER, strange=0.0)
    for batch in batches:
        views = {id(view): view for clip in batch for view in (clip.query, clip.target)}
        assert (len(batch), len(views)) == (4, 3)
        (ego,) = [id(clip.query) for clip in batch if [id(one.query) for one in batch].count(id(clip.query)) == 2][:1]
        assert all((id(clip.query) == ego) != (id(clip.target) == ego) for clip in batch)
        first, second = (clip for clip in batch if id(clip.query) == ego)
        assert first.query_masks is second.query_masks
        for clip in batch:
            assert clip.query_masks.any((2, 3)).all()
            for mask, number in zip(clip.query_masks, clip.identity, strict=True):
                assert np.array_equal(mask, clip.things[0] == number % 256)


def test_views_of_another_scene_and_without_an_object_lack_it():
    (batch,) = clips([0], TOGETHER, strange=1.0)
    seen = [clip for clip in batch if clip.scenes[0] == clip.scenes[1]]
    strange = [clip for clip in batch if clip.scenes[0] != clip.scenes[1]]
    assert any(clip.target_masks.any() for clip in seen)
    assert strange
    assert not any(clip.target_masks.any() for clip in strange)
    batches = clips(range(4), TOGETHER, absent=1.0, strange=0.0, followed=8)
    gone = np.concatenate([~clip.target_masks.any((1, 2, 3)) for batch in batches for clip in batch])
    assert gone.any()


def test_lengths_are_drawn_at_about_as_many_instants():
    phase = Phase(lengths=(1, 2), clips=8, together=True)
    shapes = {(len(batch), batch[0].query.shape[0]) for batch in clips(range(8), phase)}
    assert shapes == {(8, 1), (4, 2)}


def test_scenes_on_disk_come_round_as_they_were_drawn(tmp_path, monkeypatch):
    config = SyntheticConfig(**FEW, scenes=4, phases=(TOGETHER,))

    def batches(folder, *steps):
        with SyntheticClips(config, SIZE, 3, 10, folder) as source:
            return [source.batch(step) for step in steps]

    first, fifth = batches(tmp_path, 0, 4)
    assert len(list(tmp_path.iterdir())) == 4
    assert {clip.scenes for clip in first} & {clip.scenes for clip in fifth}
    drawn = [path.read_bytes() for path in sorted(tmp_path.iterdir())]

    def never(*arguments):
        raise AssertionError("drawn again")

    with monkeypatch.context() as patched:
        patched.setattr("lmeec.training.clips.synthetic.draw_pictures", never)
        (again,) = batches(tmp_path, 0)
    assert all(np.array_equal(one.query, same.query) for one, same in zip(first, again, strict=True))
    damaged = sorted(tmp_path.iterdir())[0]
    damaged.write_bytes(drawn[0][: len(drawn[0]) // 2])
    (mended,) = batches(tmp_path, 0)
    assert all(np.array_equal(one.query, same.query) for one, same in zip(first, mended, strict=True))
    assert damaged.read_bytes()[:1000] == drawn[0][:1000]


@pytest.mark.parametrize("settings", [{"crop": 64}, {"clips": 6}, {"real": (0.5, 1.0)}])
def test_pairs_together_are_whole_and_real(settings):
    with pytest.raises(ConfigError, match=r"together"):
        Phase(**({"clips": 4} | settings), together=True)
