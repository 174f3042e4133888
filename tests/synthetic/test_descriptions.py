"""Descriptions of synthetic takes say what the scene does and what its cameras show."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lmeec.data.descriptions import DescriptionsFile
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.writer import frame_size, take_seed

CONFIG = SceneConfig(seconds=4, fps=5, objects=3, exo_cameras=(2, 2))


@pytest.fixture(scope="module")
def described(rendered_takes):
    """(scene, descriptions, rendered maps by camera) of each take."""
    document = json.loads((rendered_takes.root / "annotations" / "atomic_descriptions_val.json").read_text())
    takes = json.loads((rendered_takes.root / "takes.json").read_text())
    found = []
    for index, take in enumerate(takes):
        scene = make_scene(take_seed(3, index), CONFIG)
        maps = {}
        for camera in scene.cameras:
            renderer = Renderer(scene, camera, frame_size(camera, 64))
            maps[camera.name] = np.array([renderer.render(frame).objects for frame in range(CONFIG.frames)])
        (annotation,) = document["annotations"][take["take_uid"]]
        found.append((scene, annotation["descriptions"], maps))
    return found


def test_each_sentence_is_of_an_object_that_begins_or_ends_to_move_then(described):
    said = 0
    for scene, descriptions, _ in described:
        assert [one["timestamp"] for one in descriptions] == sorted(one["timestamp"] for one in descriptions)
        expected = {round(t, 3) for event in scene.events for t in (event.grasp, event.release) if t < CONFIG.seconds}
        assert {one["timestamp"] for one in descriptions} == expected
        for one in descriptions:
            named = [i for i, thing in enumerate(scene.objects) if thing.name.rsplit("_", 1)[0] in one["text"]]
            (event,) = [e for e in scene.events if one["timestamp"] in (round(e.grasp, 3), round(e.release, 3))]
            assert event.object in named
            assert one["subject"] == one["text"][0] == ("C" if event.actor == 0 else "O")
            before, after = (scene.timeline.poses(one["timestamp"] + d)[0][event.object] for d in (-0.01, 0.01))
            still = scene.timeline.poses(one["timestamp"])[0][event.object]
            grasped = one["timestamp"] == round(event.grasp, 3)
            assert np.allclose(before if grasped else after, still, atol=1e-3)
            said += 1
    assert said >= 6


def test_the_best_camera_shows_most_of_the_object(described):
    """Recounted from frames rendered anew, over half a second before and after."""
    for scene, descriptions, maps in described:
        for one in descriptions:
            (event,) = [e for e in scene.events if one["timestamp"] in (round(e.grasp, 3), round(e.release, 3))]
            time = event.grasp if one["timestamp"] == round(event.grasp, 3) else event.release
            first, past = max(0, round((time - 0.5) * 5)), round((time + 0.5) * 5)
            seen = {name: (m[first:past] == event.object + 1).sum(axis=(1, 2)).mean() for name, m in maps.items()}
            exos = {name: pixels for name, pixels in seen.items() if not name.startswith("aria")}
            best = one["best_exo"] and one["best_exo"]["cam_id"]
            assert best == (max(exos, key=exos.get) if max(exos.values()) >= 8 else None)
            assert one["ego_visible"] == (seen["aria01_214-1"] >= 8)


def test_the_file_is_read_as_the_release_is(rendered_takes):
    file = DescriptionsFile(rendered_takes.root / "annotations" / "atomic_descriptions_val.json")
    assert set(file.uids) == set(rendered_takes.uids)
    columns = file.read(rendered_takes.uids[0])
    assert set(columns.annotators) == {"synth"}
    assert not any(columns.rejected)
    assert len(columns) > 0
    assert all(isinstance(seen, bool) for seen in columns.ego_visible)
