"""Finding takes, in both layouts and with all that is wrong with data sets on real disks."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest

from lmeec.data.takes import find_takes
from lmeec.data.truth import state_of
from lmeec.errors import DataError
from tests.support.trees import annotated, put_video, take_annotations, write_processed, write_relations
from tests.support.videos import write_video

EGO, EXO = "aria01_214-1", "cam01"
OBJECTS = {"red mug_0": {EGO: annotated([0, 30], [0, 30, 60]), EXO: annotated([0])}, "bowl": {EGO: annotated([30])}}


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "a.mp4", 61)


@pytest.fixture
def release(tmp_path, video):
    """A release layout with one take that is whole."""
    for camera in (EGO, EXO):
        put_video(tmp_path, "cooking_01", camera, video)
    write_relations(tmp_path / "annotations/relations_val.json", {"uid-1": take_annotations("cooking_01", OBJECTS)})
    return tmp_path


def one_take(root, **options):
    (take,) = find_takes(root, **options)
    return take


def rewrite(root, takes):
    write_relations(root / "annotations/relations_val.json", takes)


def test_a_take_in_the_release_layout(release):
    found = find_takes(release)
    assert (found.layout, len(found), found.warnings) == ("release", 1, ())
    assert found.annotations == (release / "annotations/relations_val.json",)
    (take,) = found
    assert (take.uid, take.name, take.scenario, take.problems) == ("uid-1", "cooking_01", "Cooking", ())
    assert take.objects == ("red mug_0", "bowl")
    assert [(camera.name, camera.is_ego) for camera in take.cameras.values()] == [(EGO, True), (EXO, False)]
    assert take.tracks["red mug_0", EGO].annotated_frames == (0, 30, 60)
    with take.cameras[EXO].open(size=(48, 64)) as frames:
        assert [(index, image.shape) for index, image in frames.read([0, 60])] == [(0, (48, 64, 3)), (60, (48, 64, 3))]


def test_a_take_in_the_processed_layout(tmp_path):
    write_processed(tmp_path, "uid-1")
    found = find_takes(tmp_path)
    assert found.layout == "processed"
    (take,) = found
    assert (take.uid, take.name, take.problems) == ("uid-1", "uid-1", ())
    assert take.tracks["red mug_0", EXO].frames == (0, 30)
    with take.cameras[EXO].open() as frames:
        assert [frames.has_frame(index) for index in (30, 31)] == [True, False]


def test_the_takes_folder_itself_may_be_given(release):
    assert one_take(release / "takes").name == "cooking_01"


def test_a_take_can_be_sent_to_another_process(release):
    take = pickle.loads(pickle.dumps(one_take(release)))
    assert take.tracks["red mug_0", EGO].mask(30).area == 600
    with take.cameras[EGO].open() as frames:
        assert frames.num_frames == 61


def test_small_videos_are_preferred_where_there_are_any(release, video):
    small = put_video(release, "cooking_01", EXO, video, small=True)
    full = small.parents[2] / small.name
    assert one_take(release).cameras[EXO].source == small
    assert one_take(release).cameras[EGO].source == full.with_name(f"{EGO}.mp4")
    assert one_take(release, video="full").cameras[EXO].source == full
    only_small = one_take(release, video="448").cameras
    assert (only_small[EXO].source, only_small[EGO].source) == (small, None)


def test_cameras_without_annotations_can_be_targets(release, video):
    for name in ("cam02", "aria01_1201-1", "aria01_211-1", "best_exo", "collage"):
        put_video(release, "cooking_01", name, video)
    assert list(one_take(release).cameras) == [EGO, EXO, "cam02"]


def test_takes_json_gives_names_and_folders(release):
    rewrite(release, {"uid-1": {"object_masks": OBJECTS}})
    records = [{"take_uid": "uid-1", "take_name": "cooking_01", "root_dir": "takes/cooking_01", "more": [1]}]
    (release / "takes.json").write_text(json.dumps(records))
    assert one_take(release).name == "cooking_01"
    (release / "takes/cooking_01").rename(release / "takes/elsewhere")
    records[0]["root_dir"] = "takes/elsewhere"
    (release / "takes.json").write_text(json.dumps(records))
    assert one_take(release).problems == ()


def test_all_relations_files_are_read_unless_one_is_chosen(release, video):
    put_video(release, "cooking_02", EGO, video)
    test = write_relations(release / "annotations/relations_test.json", {"uid-2": take_annotations("cooking_02", {})})
    assert [take.name for take in find_takes(release)] == ["cooking_01", "cooking_02"]
    assert one_take(release, annotations=test).name == "cooking_02"


def test_a_relations_file_may_lie_anywhere(release, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "mine.json"
    shutil.move(release / "annotations/relations_val.json", path)
    assert one_take(release, annotations=path).name == "cooking_01"


def test_a_take_in_two_relations_files_is_an_error(release):
    write_relations(release / "annotations/relations_train.json", {"uid-1": take_annotations("cooking_01", {})})
    with pytest.raises(DataError, match=r"'cooking_01'.*relations_train\.json.*relations_val\.json.*`annotations`"):
        find_takes(release)


@pytest.mark.parametrize("name", ["cooking_01", "uid-1"])
def test_takes_are_chosen_by_name_or_uid(release, video, name):
    put_video(release, "cooking_02", EGO, video)
    rewrite(release, {f"uid-{n}": take_annotations(f"cooking_0{n}", OBJECTS) for n in (1, 2)})
    assert one_take(release, names=[name]).name == "cooking_01"
    with pytest.raises(DataError, match=r"no take 'cooking_03' \(the nearest name is 'cooking_0\d'\)"):
        find_takes(release, names=[name, "cooking_03"])


def test_missing_takes_and_cameras_are_counted_and_the_rest_is_used(release):
    objects = {"mug": {EGO: annotated([0]), "cam09": annotated([0]), "cam10": annotated([0])}}
    takes = {"uid-1": take_annotations("cooking_01", objects), "uid-2": take_annotations("gone_02", OBJECTS)}
    rewrite(release, takes)
    found = find_takes(release)
    assert found.missing.takes == ("gone_02",)
    assert found.missing.cameras == (("cooking_01", "cam09"), ("cooking_01", "cam10"))
    assert any("1 of 2" in warning and "'gone_02'" in warning for warning in found.warnings)
    assert any("2 annotated cameras" in warning for warning in found.warnings)
    (take,) = found
    assert take.cameras["cam09"].source is None
    assert any("'cam09'" in problem for problem in take.problems)
    with pytest.raises(DataError, match="'cam09'"):
        take.cameras["cam09"].open()
    with take.cameras[EXO].open() as frames:
        assert frames.num_frames == 61


def test_two_ego_cameras_are_both_used_and_said(release, video):
    put_video(release, "cooking_01", "aria02_214-1", video)
    found = find_takes(release)
    assert any("2 ego cameras" in warning and "'aria02_214-1'" in warning for warning in found.warnings)
    (take,) = found
    assert [camera.name for camera in take.cameras.values() if camera.is_ego] == [EGO, "aria02_214-1"]
    assert take.problems == ()


def test_no_ego_camera_is_a_problem_of_the_take(release):
    rewrite(release, {"uid-1": take_annotations("cooking_01", {"mug": {EXO: annotated([0])}})})
    (release / f"takes/cooking_01/frame_aligned_videos/{EGO}.mp4").unlink()
    assert any("no ego camera" in problem for problem in one_take(release).problems)


@pytest.mark.parametrize("name", ["a take with spaces", "料理_01", "Küche 'n\" [red]", "кухня"])
def test_names_with_spaces_and_in_other_scripts_work(tmp_path, video, name):
    for camera in (EGO, name):
        put_video(tmp_path, name, camera, video)
    rewrite(tmp_path, {"uid": take_annotations(name, {name: {EGO: annotated([0]), name: annotated([0])}})})
    take = one_take(tmp_path)
    assert (take.name, take.objects, take.problems) == (name, (name,), ())
    with take.cameras[name].open() as frames:
        assert frames.num_frames == 61


@pytest.mark.parametrize("name", ["../outside", "..", ".", "a/b", "/etc", "a\\b", "nul\0", "", "x" * 300])
def test_names_that_lead_elsewhere_are_reported_and_not_followed(release, video, name):
    (release / "outside/frame_aligned_videos").mkdir(parents=True)
    shutil.copy(video, release / f"outside/frame_aligned_videos/{EGO}.mp4")
    put_video(release, "a/b", EGO, video)
    evil_camera = {"mug": {EGO: annotated([0]), f"../{EXO}": annotated([0]), name: annotated([0])}}
    rewrite(release, {"u": take_annotations(name, OBJECTS), "v": take_annotations("cooking_01", evil_camera)})
    found = find_takes(release)
    takes = {take.uid: take for take in found}
    if name:
        assert not takes["u"].cameras
        assert "name" in takes["u"].problems[0]
        assert any("cannot be used" in warning for warning in found.warnings)
    for camera in (f"../{EXO}", name):
        assert takes["v"].cameras[camera].source is None
    assert any("the name" in problem for problem in takes["v"].problems)
    assert takes["v"].cameras[EGO].source is not None


def test_one_unreadable_take_does_not_stop_the_others(release, video):
    put_video(release, "cooking_02", EGO, video)
    bad = take_annotations("cooking_02", {"mug": {EGO: {"annotation": {"zero": {"width": 1, "height": 1}}}}})
    rewrite(release, {"uid-1": take_annotations("cooking_01", OBJECTS), "uid-2": bad, "uid-3": {"object_masks": []}})
    takes = {take.uid: take for take in find_takes(release)}
    assert takes["uid-1"].problems == ()
    assert any("uid-2" in problem for problem in takes["uid-2"].problems)
    assert takes["uid-2"].tracks == {}
    assert any("uid-3" in problem for problem in takes["uid-3"].problems)


def test_a_relations_file_gives_the_processed_layout_its_masks_and_annotated_frames(tmp_path):
    for uid in ("uid-1", "uid-3"):
        write_processed(tmp_path / "takes_1fps", uid)
    objects = {"bowl": {EGO: annotated([0, 30]), EXO: annotated([0], [0, 30, 60]), "cam02": annotated([0])}}
    relations = write_relations(
        tmp_path / "relations_val.json",
        {"uid-1": take_annotations("cooking_01", objects), "uid-2": take_annotations("cooking_02", objects)},
    )
    found = find_takes(tmp_path / "takes_1fps", annotations=relations)
    assert (found.layout, found.annotations, found.missing.takes) == ("processed", (relations,), ("cooking_02",))
    assert any("1 takes on disk are not in" in text and "'uid-3'" in text for text in found.warnings)
    (take,) = found
    assert (take.uid, take.name, take.scenario, take.objects) == ("uid-1", "cooking_01", "Cooking", ("bowl",))
    assert [state_of(take.tracks["bowl", EXO], frame) for frame in (0, 30, 90)] == ["visible", "absent", "unannotated"]
    assert take.tracks["bowl", EGO].frames == (0, 30)
    with take.cameras[EXO].open() as frames:
        assert frames.has_frame(60)
    assert "no folder of frames" in take.cameras["cam02"].problem
    assert [one.uid for one in find_takes(tmp_path / "takes_1fps", annotations=relations, names=["cooking_01"])] == [
        "uid-1"
    ]
    (own,) = find_takes(tmp_path / "takes_1fps", names=["uid-1"])
    assert own.annotation_digest != take.annotation_digest


def test_broken_json_in_one_processed_take_is_its_problem(tmp_path):
    write_processed(tmp_path, "uid-1")
    (write_processed(tmp_path, "uid-2") / "annotation.json").write_text('{"masks":\n {]}')
    takes = {take.uid: take for take in find_takes(tmp_path)}
    assert takes["uid-1"].problems == ()
    assert any("line 2, column 3" in problem for problem in takes["uid-2"].problems)


def test_broken_takes_json_is_named_by_line_and_column(release):
    (release / "takes.json").write_text('[\n{"take_uid": }]')
    with pytest.raises(DataError, match=r"takes\.json.*line 2, column 14"):
        find_takes(release)


def test_a_folder_without_takes_says_what_was_looked_for(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(DataError, match=r"relations_val\.json.*frame_aligned_videos.*annotation\.json"):
        find_takes(tmp_path)


@pytest.mark.parametrize("given", ["nowhere", "file.txt"])
def test_what_is_no_folder_is_refused(tmp_path, given):
    (tmp_path / "file.txt").touch()
    with pytest.raises(DataError, match="no such folder"):
        find_takes(tmp_path / given)


def test_takes_without_annotations_say_where_to_get_them(release):
    shutil.rmtree(release / "annotations")
    with pytest.raises(DataError, match="egoexo"):
        find_takes(release)
    with pytest.raises(DataError, match="no such relations file"):
        find_takes(release, annotations=release / "nope.json")


def test_annotations_without_any_take_on_disk_say_so(release):
    shutil.rmtree(release / "takes")
    with pytest.raises(DataError, match=r"none of the 1 takes.*'cooking_01'"):
        find_takes(release)


def test_paths_may_be_text(release):
    relations = release / "annotations/relations_val.json"
    found = find_takes(str(release), annotations=str(relations))
    assert [take.name for take in found] == ["cooking_01"]
    assert found.annotations == (relations,)


def test_takes_json_says_which_rate_frame_numbers_count(release):
    assert {camera.frame_rate for camera in one_take(release).cameras.values()} == {30}
    records = [{"take_uid": "uid-1", "take_name": "cooking_01", "frame_rate": 29.97}]
    (release / "takes.json").write_text(json.dumps(records))
    (rate,) = {camera.frame_rate for camera in one_take(release).cameras.values()}
    assert float(rate) == pytest.approx(29.97)
    records[0]["frame_rate"] = 0
    (release / "takes.json").write_text(json.dumps(records))
    with pytest.raises(DataError, match=r"takes\.json: .*frame_rate"):
        one_take(release)
