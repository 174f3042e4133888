"""Offsets and drift of cameras, estimated from real recordings of which they are known."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from lmeec.data.manifest.making.clocks import write_clocks
from lmeec.data.sync import check_sync
from lmeec.data.takes import find_takes
from lmeec.errors import DataError
from lmeec.video.sync.delay import delay_between
from lmeec.video.sync.signals import Signal
from tests.support.command import lmeec
from tests.support.own import write_manifest
from tests.support.recorded import record

FRAME = 1 / 30


def manifest(folder, *cameras, **more):
    """Cameras that are (name, view, how it is recorded, what the manifest says of it)."""
    entries = []
    for number, (name, view, how, said) in enumerate(cameras):
        record(folder / f"{name}.mp4", view=number, **how)
        entries.append({"name": name, "view": view, "video": f"{name}.mp4"} | said)
    return write_manifest(folder / "recordings.yaml", {"name": "kitchen", "cameras": entries} | more)


def clocks_of(path, **how):
    return {clock.camera: clock for clock in check_sync(find_takes(path)[0], **how)}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A head camera with sound, one that started later, one without a microphone, and one of another scene."""
    return manifest(
        tmp_path_factory.mktemp("recorded"),
        ("head", "ego", {"start": 10, "seconds": 30}, {}),
        ("late", "exo", {"start": 11.7, "seconds": 26}, {}),
        ("early", "exo", {"start": 8.85, "seconds": 28, "fps": Fraction(25)}, {}),
        ("deaf", "exo", {"start": 12.5, "seconds": 26, "sound": False}, {}),
        ("elsewhere", "exo", {"start": 10, "seconds": 16, "seed": 5}, {}),
    )


def test_offsets_are_told_by_sound_and_without_a_microphone_by_motion(recorded):
    found = clocks_of(recorded)
    assert found["head"].by is None
    assert found["late"].by == found["early"].by == "sound"
    assert float(found["late"].offset) == pytest.approx(1.7, abs=0.002)
    assert float(found["early"].offset) == pytest.approx(-1.15, abs=0.002)
    assert found["deaf"].by == "motion"
    assert float(found["deaf"].offset) == pytest.approx(2.5, abs=FRAME)
    assert found["late"].off == pytest.approx(51, abs=0.1)
    for name in ("late", "early", "deaf"):
        assert found[name].is_certain
        assert found[name].is_wrong
        assert found[name].drift == 0
    assert not found["elsewhere"].is_certain


def test_another_reference_moves_all_alike(recorded):
    found = clocks_of(recorded, reference="late")
    assert found["late"].offset == 0
    assert float(found["head"].offset) == pytest.approx(-1.7, abs=0.002)
    with pytest.raises(DataError, match="no video of camera 'nobody'"):
        clocks_of(recorded, reference="nobody")


@pytest.mark.parametrize("drift", [5e-4, -1e-3])
def test_drift_is_told_and_read_by(drift, tmp_path):
    """What is written makes the cameras show the same instants up to the end."""
    path = manifest(
        tmp_path,
        ("head", "ego", {"start": 5, "seconds": 75}, {}),
        ("fast", "exo", {"start": 6.5, "seconds": 70, "drift": drift}, {}),
    )
    found = clocks_of(path)["fast"]
    assert found.drift == pytest.approx(drift, abs=1e-4)
    assert float(found.frame_rate) == pytest.approx(30 / (1 + drift), abs=0.003)
    assert write_clocks(path, {"kitchen": [found]}) == 1
    again = clocks_of(path)["fast"]
    assert not again.is_wrong
    assert abs(again.off) < 0.5
    camera = find_takes(path)[0].cameras["fast"]
    with camera.open() as reader:
        for frame in (60, 900, 1800, 2100):
            own = reader.file_frame(frame)
            instant = 6.5 + own / 30 * (1 + drift)  # of the scene, at which the video's frame was taken
            assert instant == pytest.approx(5 + frame / 30, abs=FRAME)


def test_motion_alone_tells_of_drift_and_silence(tmp_path):
    path = manifest(
        tmp_path,
        ("head", "ego", {"start": 5, "seconds": 60, "sound": False}, {}),
        ("side", "exo", {"start": 4, "seconds": 60, "sound": False, "drift": 1e-3}, {}),
    )
    found = clocks_of(path)["side"]
    assert found.by == "motion"
    assert float(found.offset) == pytest.approx(-1, abs=FRAME)
    assert found.drift == pytest.approx(1e-3, abs=4e-4)


def test_a_camera_that_is_five_frames_late_is_named_and_corrected(tmp_path):
    """As users found in Ego-Exo4D itself; comments, order and quotes of the manifest stay."""
    record(tmp_path / "aria01.mp4", 5 + 5 * FRAME, 30)
    record(tmp_path / "cam01.mp4", 5, 30, view=1)
    path = tmp_path / "recordings.yaml"
    text = """\
# our takes
takes:
  - name: "kitchen 1"   # the first one
    cameras:
      - name: aria01
        view: ego
        video: aria01.mp4
        offset_frames: 0  # by hand
      - {name: 'cam01', view: exo, video: cam01.mp4}
"""
    path.write_text(text)
    done = lmeec("takes", path, "--check-sync", "--reference", "cam01", "--json")
    assert done.status == 1
    assert "1 cameras are off; --write corrects the manifest" in done.err
    row = next(row for row in json.loads(done.out)["cameras"] if row["camera"] == "aria01")
    assert row["off_frames"] == pytest.approx(5, abs=0.1)
    done = lmeec("takes", path, "--check-sync", "--reference", "cam01", "--write")
    assert done.status == 0, done.err
    assert "aria01" in done.out
    assert "+5.0" in done.out
    written = path.read_text()
    assert written.splitlines()[:7] == text.splitlines()[:7]
    assert "offset_frames" not in written
    assert "{name: 'cam01', view: exo, video: cam01.mp4}" in written
    take = find_takes(path)[0]
    assert float(take.cameras["aria01"].offset) == pytest.approx(5 * FRAME, abs=0.002)
    assert lmeec("takes", path, "--check-sync", "--reference", "cam01").status == 0


def test_what_is_read_after_it_shows_the_same_instants(recorded, tmp_path):
    """The frames themselves: of one texture each, the place in it tells the instant."""
    path = tmp_path / "recordings.yaml"
    path.write_text(recorded.read_text().replace("takes:", f"root: {recorded.parent}\ntakes:"))
    assert write_clocks(path, {"kitchen": list(clocks_of(path).values())}) == 3
    take = find_takes(path)[0]
    starts = {"head": (10, 30), "late": (11.7, 30), "early": (8.85, 25), "deaf": (12.5, 30)}
    for name, (start, fps) in starts.items():
        with take.cameras[name].open() as reader:
            for frame in (90, 300, 700):
                instant = start + reader.file_frame(frame) / fps
                assert instant == pytest.approx(10 + frame / 30, abs=0.5 / fps + 0.02 + (name == "deaf") * FRAME)


def test_it_works_on_the_release_layout_and_says_how_to_correct_it(takes):
    for camera, start in (("aria01_214-1", 5.0), ("gp01", 5.0), ("gp02", 5.2)):
        takes.video(0, camera).unlink()
        record(takes.video(0, camera), start, 20, view=ord(camera[-1]) % 5)
    done = lmeec("takes", takes.root, "--take", takes.names[0], "--check-sync", "--json")
    rows = {row["camera"]: row for row in json.loads(done.out)["cameras"]}
    assert rows["gp02"]["offset_seconds"] == pytest.approx(0.2, abs=0.002)
    assert rows["gp02"]["off_frames"] == pytest.approx(1, abs=0.1), "these takes count five frames a second"
    assert not rows["gp01"]["wrong"]
    assert done.status == 1
    assert "lmeec takes init" in done.err
    done = lmeec("takes", takes.root, "--take", takes.names[0], "--check-sync", "--write")
    assert done.status == 1
    assert "a manifest in YAML" in done.err


def test_cameras_that_tell_nothing_are_named(tmp_path):
    path = manifest(
        tmp_path,
        ("head", "ego", {"start": 5, "seconds": 20}, {}),
        ("short", "exo", {"start": 5, "seconds": 1, "sound": False}, {}),
        ("broken", "exo", {"start": 5, "seconds": 1}, {}),
    )
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    done = lmeec("takes", path, "--check-sync")
    assert done.status == 0
    assert "camera 'short': neither sound nor motion tells" in done.err
    assert "camera 'broken'" in done.err
    (tmp_path / "head.mp4").unlink()
    (tmp_path / "short.mp4").unlink()
    done = lmeec("takes", path, "--check-sync")
    assert done.status == 1


@pytest.mark.parametrize("option", [("--write",), ("--reference", "a")])
def test_options_that_need_it(option, recorded):
    done = lmeec("takes", recorded, *option)
    assert done.status == 2


def test_an_entry_that_takes_share_is_not_changed_for_all(tmp_path):
    path = manifest(
        tmp_path,
        ("head", "ego", {"start": 5, "seconds": 20}, {}),
        ("side", "exo", {"start": 6, "seconds": 20}, {}),
    )
    found = list(clocks_of(path).values())
    path.write_text(
        "takes:\n- name: kitchen\n  cameras:\n  - &head {name: head, view: ego, video: head.mp4}\n"
        "  - &side {name: side, view: exo, video: side.mp4}\n- name: again\n  cameras: [*head, *side]\n"
    )
    with pytest.raises(DataError, match="alias"):
        write_clocks(path, {"kitchen": found, "again": found})
    assert "offset" not in path.read_text()
    assert np.isfinite(found[1].off)


@pytest.mark.parametrize("sound", [True, False])
def test_what_repeats_itself_tells_nothing_for_certain(sound):
    generator = np.random.default_rng(0)
    rate = 8000 if sound else 60
    beat = generator.standard_normal(rate // 2) * np.exp(-np.arange(rate // 2) / (rate / 20))
    values = np.abs(np.tile(beat, 60)) if not sound else np.tile(beat, 60)
    one, other = (
        Signal((values[start:] + 0.001 * generator.random(len(values) - start)).astype(np.float32), rate)
        for start in (0, rate // 5)
    )
    delay = delay_between(one, other, sound=sound)
    assert delay is None or delay.certainty < 0.5
