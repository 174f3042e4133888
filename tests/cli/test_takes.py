"""`lmeec takes` as a user calls it."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from lmeec.errors import LmeecError
from lmeec_cli.takes import takes
from tests.support.rates import double_rate
from tests.support.trees import (
    annotated,
    encoded_mask,
    put_video,
    take_annotations,
    write_processed,
    write_relations,
)
from tests.support.videos import write_video

EGO, EXO = "aria01_214-1", "cam01"


@pytest.fixture
def lmeec():
    app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False)
    app.add_typer(takes, name="takes")
    return lambda *arguments: CliRunner().invoke(app, ["takes", *map(str, arguments)], env={"COLUMNS": "100"})


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4", 61)


@pytest.fixture
def root(tmp_path, video):
    for camera in (EGO, EXO):
        put_video(tmp_path, "cooking_01", camera, video)
    objects = {"red mug_0": {EGO: annotated([0, 30], [0, 30, 60]), EXO: annotated([0])}}
    takes = {"uid-1": take_annotations("cooking_01", objects), "uid-2": take_annotations("gone_02", objects)}
    write_relations(tmp_path / "annotations/relations_val.json", takes)
    return tmp_path


def test_the_table_tells_what_is_there_and_what_is_missing(lmeec, root):
    result = lmeec(root)
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if "cooking_01" in line)
    assert row.split() == ["cooking_01", "Cooking", "1", "1", "1", "3", "3"]
    assert "1 take (release layout), 0 with problems; 1 annotated but not on disk" in result.stdout
    assert "warning: 1 of 2 annotated takes are not on disk" in result.stderr


def test_json_holds_the_same_and_stays_json_with_warnings(lmeec, root):
    result = lmeec(root, "--json")
    document = json.loads(result.stdout)
    (take,) = document["takes"]
    assert document["layout"] == "release"
    assert document["missing"] == {"takes": ["gone_02"], "cameras": []}
    assert (take["name"], take["objects"], take["annotated_frames"], take["masks"]) == (
        "cooking_01",
        ["red mug_0"],
        3,
        3,
    )
    ego = take["cameras"][0]
    assert (ego["name"], ego["view"], ego["annotated_frames"], ego["masks"]) == (EGO, "ego", 3, 2)
    assert ego["source"].endswith(f"takes/cooking_01/frame_aligned_videos/{EGO}.mp4")


def test_takes_annotations_and_videos_can_be_chosen(lmeec, root, video):
    small = put_video(root, "cooking_01", EXO, video, small=True)
    path = root / "annotations/relations_val.json"
    result = lmeec(root, "--annotations", path, "--take", "cooking_01", "--video", "448", "--json")
    cameras = {camera["name"]: camera["source"] for camera in json.loads(result.stdout)["takes"][0]["cameras"]}
    assert cameras == {EGO: None, EXO: str(small)}
    with pytest.raises(LmeecError, match="no take 'other'"):
        raise lmeec(root, "--take", "other").exception


def test_check_finds_bad_videos_and_masks(lmeec, root):
    assert lmeec(root, "--check").exit_code == 0
    (root / f"takes/cooking_01/frame_aligned_videos/{EXO}.mp4").write_text("hello")
    bad = annotated([0]) | {"annotation": {"0": encoded_mask(0) | {"width": 64}}}
    objects = {"mug": {EGO: annotated([0, 900]), EXO: bad}}
    write_relations(root / "annotations/relations_val.json", {"uid-1": take_annotations("cooking_01", objects)})
    result = lmeec(root, "--check", "--json")
    assert result.exit_code == 1
    problems = "\n".join(json.loads(result.stdout)["takes"][0]["problems"])
    assert "1 of 2 annotated frames are not in" in problems
    assert "the first is 900" in problems
    assert f"{EXO}.mp4: is not a video" in problems
    assert "frame 0: the mask cannot be used" in problems


def test_names_from_files_cannot_steer_the_terminal(lmeec, root, video):
    name = "[bold]evil\x1b]0;title\x07"
    put_video(root, name, EGO, video)
    write_relations(root / "annotations/relations_val.json", {"uid": take_annotations(name, {})})
    result = lmeec(root)
    assert "[bold]evil" in result.stdout
    assert "\x1b]" not in result.stdout + result.stderr


def test_the_processed_layout_is_listed_too(lmeec, tmp_path):
    write_processed(tmp_path, "uid-1")
    result = lmeec(tmp_path, "--check")
    assert result.exit_code == 0
    assert "processed layout" in result.stdout


def test_a_folder_without_takes_is_an_error(lmeec, tmp_path):
    with pytest.raises(LmeecError, match="holds no takes"):
        raise lmeec(tmp_path).exception


def test_check_notes_a_camera_of_another_frame_rate(lmeec, root):
    """It can be used, so it is no problem; frames are counted as annotations do, also to say which are not there."""
    double_rate(root / f"takes/cooking_01/frame_aligned_videos/{EXO}.mp4")
    result = lmeec(root, "--check", "--json")
    assert result.exit_code == 0
    assert [camera["frames"] for camera in json.loads(result.stdout)["takes"][0]["cameras"]] == [61, 61]
    assert f"note: take 'cooking_01', camera '{EXO}': " in result.stderr
    assert "has 60 frames a second where the take counts 30" in result.stderr
