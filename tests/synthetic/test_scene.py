"""Synthetic scenes and their frames: what makes them need correspondence, and that they are what they say."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lmeec.errors import ConfigError
from lmeec.synthetic.motion import STASH
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.scene_builder import make_scene

CONFIG = SceneConfig(seconds=8, exo_cameras=(2, 2))
EGO, EXO = (96, 96), (96, 170)


@pytest.fixture(scope="module")
def scene():
    return make_scene(5, CONFIG)


@pytest.fixture(scope="module")
def seen(scene):
    """Visible pixels of every object, [camera, time, object], four times a second."""
    counts = []
    for camera in scene.cameras:
        renderer = Renderer(scene, camera, EGO if camera.is_ego else EXO)
        maps = [renderer.render(frame).objects for frame in range(0, CONFIG.frames, 8)]
        counts.append([np.bincount(m.ravel(), minlength=7)[1:] for m in maps])
    return np.array(counts)


def test_equal_seeds_give_equal_frames_in_any_order(scene):
    for number in range(2):
        size = EXO if number else EGO
        forth = Renderer(scene, scene.cameras[number], size)
        again = make_scene(5, CONFIG)
        back = Renderer(again, again.cameras[number], size)
        first = [forth.render(frame) for frame in (3, 100, 200)]
        second = [back.render(frame) for frame in (200, 100, 3)][::-1]
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a.rgb, b.rgb)
            np.testing.assert_array_equal(a.objects, b.objects)


def test_other_seeds_give_other_scenes():
    frames = []
    for seed in (5, 6):
        scene = make_scene(seed, CONFIG)
        frames.append(Renderer(scene, scene.cameras[1], EXO).render(0).rgb.astype(int))
    assert np.abs(frames[0] - frames[1]).mean() > 10


def test_frames_have_the_size_and_the_objects_of_the_scene(scene):
    frame = Renderer(scene, scene.cameras[0], (80, 120)).render(0)
    assert frame.rgb.shape == (80, 120, 3)
    assert frame.rgb.dtype == np.uint8
    assert frame.objects.shape == (80, 120)
    assert frame.objects.max() <= len(scene.objects)


@pytest.mark.parametrize("seed", range(4))
def test_look_alikes(seed):
    things = make_scene(seed, CONFIG).objects
    pairs = {thing.identical: (thing, things[thing.twin]) for thing in things if thing.twin is not None}
    twin, original = pairs[True]
    assert twin.shape is original.shape
    assert twin.materials == original.materials
    twin, original = pairs[False]
    assert twin.shape is original.shape
    assert twin.materials != original.materials
    assert len({thing.name for thing in things}) == len(things)


def test_both_views_see_the_same_objects(seen):
    together = (seen[0] > 8) & (seen[1] > 8)
    assert together.any(axis=0).sum() >= 4


def test_objects_leave_the_ego_view_and_come_back(seen):
    visible = seen[0] > 0
    hidden = ~visible
    before, after = np.cumsum(visible, axis=0) > 0, np.cumsum(visible[::-1], axis=0)[::-1] > 0
    assert (hidden & before & after).any(axis=0).sum() >= 2


def test_a_stashed_object_cannot_be_seen_from_the_table(scene):
    stashes = [event for event in scene.events if event.kind == STASH]
    assert stashes
    assert all(event.end.position[2] < scene.centre[2] - 0.1 for event in stashes)


def test_masks_lie_where_the_camera_geometry_puts_the_objects(scene):
    """Projected by hand, an object's centre falls in its mask's box, in every view."""
    checked = 0
    for camera in scene.cameras:
        height, width = EGO if camera.is_ego else EXO
        renderer = Renderer(scene, camera, (height, width))
        for frame in range(0, CONFIG.frames, 40):
            objects = renderer.render(frame).objects
            position, turn = camera.view(frame)
            places, _ = scene.timeline.poses(frame / CONFIG.fps)
            for index, thing in enumerate(scene.objects):
                rows, columns = np.nonzero(objects == index + 1)
                x, y, z = turn.T @ (places[index] - position)
                if len(rows) < 5:
                    continue
                focal = camera.focal * height
                u, v = width / 2 + focal * x / z, height / 2 + focal * y / z
                reach = focal / z * np.hypot(thing.shape.radius * 1.6, thing.shape.height) + 1
                assert np.hypot(rows - v, columns - u).max() < reach
                checked += 1
    assert checked > 30


def test_objects_move_only_while_they_are_held(scene):
    held = np.zeros((CONFIG.frames, len(scene.objects)), int)
    places = []
    for frame in range(CONFIG.frames):
        time = frame / CONFIG.fps
        places.append(scene.timeline.poses(time)[0])
        for event in scene.events:
            held[frame, event.object] += event.grasp < time + 1 / CONFIG.fps and event.release > time
    moved = np.linalg.norm(np.diff(places, axis=0), axis=-1)
    assert moved[held[:-1] == 0].max() < 1e-9
    assert moved.max() > 0.005
    assert moved.max() < 0.25
    assert (moved > 1e-4).any(axis=0).sum() >= 3


def test_no_object_is_in_two_hands(scene):
    for thing in range(len(scene.objects)):
        times = sorted((event.reach, event.release) for event in scene.events if event.object == thing)
        assert all(first[1] <= second[0] for first, second in pairwise(times))


def test_the_ego_camera_moves_and_the_others_stand(scene):
    ego, *exo = scene.cameras
    assert np.abs(ego.path.positions - ego.path.positions[0]).max() > 0.02
    for camera in exo:
        np.testing.assert_array_equal(camera.view(0)[0], camera.view(200)[0])
    assert len({camera.photometry.exposure for camera in scene.cameras}) == len(scene.cameras)


@pytest.mark.parametrize("objects", [1, 24])
@pytest.mark.parametrize("seconds", [0.01, 40])
def test_scenes_at_the_ends_of_what_is_allowed(objects, seconds):
    scene = make_scene(1, SceneConfig(seconds=seconds, objects=objects, exo_cameras=(8, 8)))
    assert len(scene.objects) == objects
    assert len(scene.cameras) == 9
    frame = Renderer(scene, scene.cameras[0], (16, 16)).render(scene.config.frames - 1)
    assert frame.rgb.any()


@pytest.mark.parametrize(
    ("field", "value"),
    [("seconds", 0), ("seconds", float("nan")), ("fps", 0), ("objects", 0), ("objects", 25), ("exo_cameras", (3, 2))],
)
def test_impossible_scenes_are_named(field, value):
    with pytest.raises(ConfigError, match=field):
        SceneConfig(**{field: value})


def test_impossible_frames_are_refused(scene):
    with pytest.raises(ConfigError, match="8x96"):
        Renderer(scene, scene.cameras[0], (8, 96))
    renderer = Renderer(scene, scene.cameras[0], (16, 16))
    with pytest.raises(IndexError, match="240 frames"):
        renderer.render(240)


def test_in_a_plain_scene_one_clear_thing_is_handled_at_a_time():
    config = SceneConfig(theme="kitchen", plain=True, object_scale=1.6, objects=4)
    for seed in range(6):
        scene = make_scene(seed, config)
        colours, words = zip(*(thing.name.removesuffix("_0").split(" ", 1) for thing in scene.objects), strict=True)
        assert scene.scenario == "Cooking"
        assert len(set(colours)) == len(set(words)) == 4
        assert set(colours) <= {"red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink"}
        assert all(before.retreat <= after.reach for before, after in pairwise(scene.events))
    sizes = [[thing.shape.height for thing in make_scene(3, replace(config, object_scale=s)).objects] for s in (1, 2)]
    np.testing.assert_allclose(sizes[1], 2 * np.array(sizes[0]))


@pytest.mark.parametrize(("values", "said"), [({"theme": "ship"}, "theme"), ({"object_scale": 9}, "object_scale")])
def test_a_setting_of_a_plain_scene_that_cannot_be_is_refused(values, said):
    with pytest.raises(ConfigError, match=said):
        SceneConfig(**values)
