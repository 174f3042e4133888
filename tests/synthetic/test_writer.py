"""Synthetic takes on disk: the release layout in full, true masks, real H.264, and nothing half-made."""

import json
import resource
import subprocess
import sys

import av
import numpy as np
import pytest
from lzstring import LZString

from lmeec.data.takes import find_takes
from lmeec.errors import ConfigError, OutputError
from lmeec.masks import RunLengthMask
from lmeec.synthetic.render import Renderer
from lmeec.synthetic.scene import SceneConfig
from lmeec.synthetic.scene_builder import make_scene
from lmeec.synthetic.writer import DatasetConfig, take_seed, write_dataset

CONFIG = DatasetConfig(takes=2, seed=11, scene=SceneConfig(seconds=6, exo_cameras=(2, 2)), size=96, workers=2)
SHORT = DatasetConfig(takes=1, scene=SceneConfig(seconds=0.5, exo_cameras=(2, 2)), size=64)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    path = tmp_path_factory.mktemp("synthetic") / "takes"
    write_dataset(path, CONFIG)
    return path


@pytest.fixture(scope="module")
def relations(out):
    return json.loads((out / "annotations" / "relations_val.json").read_text())["annotations"]


def test_every_file_of_the_release_layout_is_there(out, relations):
    takes = json.loads((out / "takes.json").read_text())
    assert len(takes) == 2
    assert {take["take_uid"] for take in takes} == set(relations)
    for take in takes:
        videos = [stream for camera in take["frame_aligned_videos"].values() for stream in camera.values()]
        assert len(videos) == 3
        assert relations[take["take_uid"]]["take_name"] == take["take_name"]
        assert all((out / take["root_dir"] / video["relative_path"]).is_file() for video in videos)
    assert not list(out.rglob("*.part"))


def test_the_reader_finds_the_takes_without_complaint(out):
    takes = find_takes(out)
    assert not takes.warnings
    for take in takes:
        assert not take.problems
        assert len(take.objects) == 6
        assert [camera.is_ego for camera in take.cameras.values()] == [True, False, False]


def test_masks_are_the_rendered_maps(out, relations):
    config = CONFIG.scene
    for index, take in enumerate(json.loads((out / "takes.json").read_text())):
        scene = make_scene(take_seed(CONFIG.seed, index), config)
        tracks = relations[take["take_uid"]]["object_masks"]
        for camera in scene.cameras:
            renderer = Renderer(scene, camera, (96, 96) if camera.is_ego else (96, 170))
            for frame in range(0, config.frames, 30):
                objects = renderer.render(frame).objects
                for number, thing in enumerate(scene.objects):
                    entry = tracks[thing.name][camera.name]["annotation"].get(str(frame))
                    expected = objects == number + 1
                    if entry is None:
                        assert expected.sum() < 8
                        continue
                    counts = LZString.decompressFromEncodedURIComponent(entry["encodedMask"])
                    mask = RunLengthMask.from_counts(counts, entry["height"], entry["width"]).decode()
                    np.testing.assert_array_equal(mask, expected)


def test_one_frame_a_second_is_annotated_and_some_without_a_mask(relations):
    tracks = [
        track for take in relations.values() for thing in take["object_masks"].values() for track in thing.values()
    ]
    assert len(tracks) == 2 * 6 * 3
    for track in tracks:
        assert track["annotated_frames"] == [0, 30, 60, 90, 120, 150]
        assert track["annotation_fps"] == 1
    assert any(0 < len(track["annotation"]) < 6 for track in tracks)


def test_videos_are_h264_with_b_frames_and_match_the_rendered_frames(out):
    scene = make_scene(take_seed(CONFIG.seed, 0), CONFIG.scene)
    take = json.loads((out / "takes.json").read_text())[0]
    for camera in scene.cameras:
        renderer = Renderer(scene, camera, (96, 96) if camera.is_ego else (96, 170))
        kinds = []
        path = out / take["root_dir"] / "frame_aligned_videos" / f"{camera.name}.mp4"
        with av.open(str(path)) as video:
            assert video.streams.video[0].codec_context.name == "h264"
            assert video.streams.video[0].average_rate == 30
            for number, frame in enumerate(video.decode(video=0)):
                kinds.append(av.video.frame.PictureType(frame.pict_type).name)
                if number % 50 == 0:
                    difference = frame.to_ndarray(format="rgb24").astype(int) - renderer.render(number).rgb
                    assert np.abs(difference).mean() < 8
        assert len(kinds) == 180
        assert kinds.count("B") > 60
        assert kinds.count("I") >= 3


def test_equal_seeds_give_equal_files_with_any_number_of_workers(tmp_path):
    for name, workers in (("a", 1), ("b", 3)):
        write_dataset(tmp_path / name, DatasetConfig(takes=2, scene=SHORT.scene, size=64, workers=workers))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 4 + 2 * 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_downscaled_videos_lie_beside_the_full_ones(tmp_path):
    scene = SceneConfig(seconds=0.1, exo_cameras=(1, 1))
    write_dataset(tmp_path / "out", DatasetConfig(takes=1, scene=scene, size=512, downscaled=True))
    sizes = {}
    for path in (tmp_path / "out").rglob("*.mp4"):
        with av.open(str(path)) as video:
            stream = video.streams.video[0]
            sizes["448" in path.parent.name, path.stem] = (stream.height, stream.width, stream.frames)
    (exo,) = {name for _, name in sizes if not name.startswith("aria")}
    assert sizes[False, exo] == (512, 910, 3)
    assert sizes[True, exo] == (448, 796, 3)
    assert sizes[True, "aria01_214-1"] == (448, 448, 3)


def test_a_directory_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="choose another directory"):
            write_dataset(tmp_path, SHORT, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_overwriting_replaces_earlier_takes_whole(tmp_path):
    out = tmp_path / "out"
    write_dataset(out, SHORT)
    with pytest.raises(OutputError, match="not empty"):
        write_dataset(out, SHORT)
    other = DatasetConfig(takes=1, seed=9, scene=SHORT.scene, size=64, split="train")
    write_dataset(out, other, overwrite=True)
    names = sorted(path.name for path in (out / "annotations").iterdir())
    assert names == ["atomic_descriptions_train.json", "relations_train.json"]
    (take,) = json.loads((out / "takes.json").read_text())
    assert [path.name for path in (out / "takes").iterdir()] == [take["take_name"]]


def test_an_interrupted_run_does_not_look_whole_and_can_be_made_anew(tmp_path):
    out = tmp_path / "out"

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(out, SHORT, on_progress=stop)
    assert not (out / "takes.json").exists()
    assert not (out / "annotations").exists()
    assert not list(out.rglob("*.part"))
    write_dataset(out, SHORT, overwrite=True)
    assert (out / "takes.json").exists()


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=str(out)):
            write_dataset(out, SHORT)


def test_a_full_disk_is_told_and_leaves_nothing_that_looks_whole(tmp_path):
    """A limit on file sizes stands for the full disk: writing fails in the same place."""
    program = (
        "import sys; from pathlib import Path\n"
        "from lmeec.synthetic.scene import SceneConfig\n"
        "from lmeec.synthetic.writer import DatasetConfig, write_dataset\n"
        "scene = SceneConfig(seconds=2, exo_cameras=(1, 1))\n"
        "write_dataset(Path(sys.argv[1]), DatasetConfig(takes=1, scene=scene, size=128))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env={"NUMBA_DISABLE_JIT": "0", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert "cannot write" in done.stderr
    assert not (tmp_path / "out" / "takes.json").exists()
    assert not list(tmp_path.rglob("*.mp4"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("takes", 0), ("seed", -1), ("size", 63), ("size", 2162), ("split", "test"), ("workers", 0)],
)
def test_impossible_settings_are_named(field, value):
    with pytest.raises(ConfigError, match=f"{field}.*{value}"):
        DatasetConfig(**{field: value})
