"""Recordings of one's own through the commands: from a manifest to a table, scores, videos and pages."""

import json
import re
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmeec.files.reading import LONGEST_MESSAGE
from lmeec.tables import read_results
from tests.support.command import lmeec
from tests.support.own import own_take, write_manifest

QUICK = ("--workers", 0)


@pytest.fixture(scope="module")
def own(rendered_takes, tmp_path_factory):
    """A manifest of one take, with masks of one file a camera, and the take's entry."""
    root = tmp_path_factory.mktemp("own")
    take = own_take(rendered_takes, root / "files", "coco")
    return write_manifest(root / "files" / "recordings.yaml", take), take


@pytest.fixture(scope="module")
def results(own, tiny):
    out = own[0].parent / "results.parquet"
    done = lmeec("predict", own[0], "--out", out, "--checkpoint", tiny, *QUICK)
    assert done.status == 0, done.err
    return out


def rows_of(path):
    return read_results(path).to_pylist()


def test_takes_are_listed(own):
    done = lmeec("takes", own[0], "--check", "--json")
    assert done.status == 0, done.err
    listed = json.loads(done.out)
    (take,) = listed["takes"]
    assert (listed["layout"], take["name"], take["problems"]) == ("manifest", "Küche 1", [])
    assert [(camera["name"], camera["view"]) for camera in take["cameras"]] == [
        ("cam a", "ego"),
        ("cam b", "exo"),
        ("côté", "exo"),
    ]
    assert take["masks"] > 10


def test_the_table_goes_where_any_table_goes(own, results, tmp_path):
    assert {(row["query_cam"], row["direction"]) for row in rows_of(results)} == {
        ("cam a", "ego2exo"),
        ("cam b", "exo2ego"),
        ("côté", "exo2ego"),
    }
    for words in (
        ("score", results),
        ("render", results, own[0], "--out", tmp_path / "videos"),
        ("report", results, own[0], "--out", tmp_path / "report.html"),
        ("export", results, "--format", "coco", "--out", tmp_path / "coco"),
        ("export", results, "--format", "davis", "--out", tmp_path / "davis"),
    ):
        done = lmeec(*words)
        assert done.status == 0, (words, done.err)
    assert list((tmp_path / "videos").rglob("*.mp4"))
    assert "not shown:" not in (tmp_path / "report.html").read_text()


def test_the_challenge_takes_only_cameras_of_ego_exo4d(results, tmp_path):
    done = lmeec("export", results, "--format", "challenge", "--out", tmp_path / "challenge")
    assert done.status == 1
    assert "'cam a' is an ego camera" in done.err
    assert not list(tmp_path.glob("challenge/*"))


def test_predictions_become_queries_for_another_camera(own, results, tiny, tmp_path):
    """The masks that were predicted in one exo camera are the only ones that are given; they lead back to ego."""
    cameras = [camera | {"masks": []} for camera in own[1]["cameras"]]
    cameras[1]["masks"] = {"results": "results.parquet"}
    manifest = write_manifest(own[0].parent / "second.yaml", own[1] | {"cameras": cameras})
    done = lmeec("predict", manifest, "--out", tmp_path / "r.parquet", "--checkpoint", tiny, *QUICK)
    assert done.status == 0, done.err
    predicted = {
        (row["object"], row["frame"])
        for row in rows_of(results)
        if row["target_cam"] == "cam b" and row["area"] and row["confidence"] > 0.5
    }
    assert {(row["object"], row["frame"]) for row in rows_of(tmp_path / "r.parquet")} == predicted
    assert {(row["query_cam"], row["target_cam"]) for row in rows_of(tmp_path / "r.parquet")} == {("cam b", "cam a")}


def test_a_table_names_takes_as_yaml_does(own, results, tiny, tmp_path):
    table = own[0].parent / "recordings.parquet"
    pq.write_table(pa.Table.from_pylist([own[1]]), table)
    done = lmeec("predict", table, "--out", tmp_path / "r.parquet", "--checkpoint", tiny, *QUICK)
    assert done.status == 0, done.err
    assert rows_of(tmp_path / "r.parquet") == rows_of(results)


def test_a_take_that_is_broken_does_not_stop_the_others(own, results, tiny, tmp_path):
    broken = own[1] | {"uid": "broken", "name": "no masks"}
    broken["cameras"] = [one | {"masks": {"coco": "nowhere.json"}} for one in broken["cameras"]]
    gone = own[1] | {"uid": "gone", "name": "no video"}
    gone["cameras"] = [*gone["cameras"][:2], gone["cameras"][2] | {"video": "videos/nowhere.mp4"}]
    manifest = write_manifest(own[0].parent / "damaged.yaml", broken, gone, own[1])
    done = lmeec("predict", manifest, "--out", tmp_path / "r.parquet", "--checkpoint", tiny, *QUICK)
    assert done.status == 1
    assert [row for row in rows_of(tmp_path / "r.parquet") if row["take_name"] == "Küche 1"] == rows_of(results)
    failures = json.loads((tmp_path / "r.parquet.failures.json").read_text())
    reasons = {(one["take_name"], one["error"]) for one in failures}
    assert all(len(reason) < LONGEST_MESSAGE for _, reason in reasons)
    assert {name for name, _ in reasons} == {"no masks", "no video"}
    lines = manifest.read_text().splitlines()
    for name, reason in reasons:
        assert str(manifest) in reason
        line = int(reason.split(", line ")[1].split(":")[0])
        assert ("nowhere.json" if name == "no masks" else "nowhere.mp4") in lines[line - 1]


def test_a_camera_of_which_nothing_is_asked_may_be_told_to_be_gone(own, tiny, tmp_path):
    """What does not need the camera is predicted."""
    gone = own[1] | {"cameras": [*own[1]["cameras"][:2], own[1]["cameras"][2] | {"video": "videos/nowhere.mp4"}]}
    manifest = write_manifest(own[0].parent / "gone.yaml", gone)
    done = lmeec("predict", manifest, "--out", tmp_path / "r.parquet", "--checkpoint", tiny, *QUICK)
    assert done.status == 1
    known = [row for row in rows_of(tmp_path / "r.parquet") if row["missing"] is None]
    assert {(row["query_cam"], row["target_cam"]) for row in known} == {("cam a", "cam b"), ("cam b", "cam a")}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("takes: [\n  - }", "line 2: this is not YAML"),
        ("[]", "has no key `takes`"),
        ("takes: []", "line 1: takes: "),
        ("takes:\n- name: a\n  frames: 3\n  cameras: [{name: c, view: ego, video: a.mp4}]", "line 3: takes.0.frames"),
        (
            "takes:\n- name: a\n  cameras:\n  - name: c\n    view: left\n    video: a.mp4",
            "line 5: takes.0.cameras.0.view",
        ),
        ("takes:\n- name: a\n  name: b\n  cameras: []", "line 3: this is not YAML: the key 'name' is there twice"),
        ("takes:\n- name: 12\n  cameras: [{name: c, view: ego, video: a.mp4}]", "line 2: takes.0.name: is 12"),
        (
            "takes:\n- name: ../up\n  cameras: [{name: c, view: ego, video: a.mp4}]",
            "line 2: takes.0.name: the name holds",
        ),
        ("takes:\n- {name: a, cameras: [{name: c, view: ego, video: ../a.mp4}]}", "leads out of the folder"),
        ("takes:\n- {name: a, cameras: [{name: c, view: ego, video: /a.mp4}]}", "is an absolute path"),
        ("takes:\n- {name: a, cameras: [{name: c, view: ego, video: 'file:///a.mp4'}]}", "a kind that is not read"),
        ("takes:\n- {name: a, cameras: [{name: c, view: ego, video: 's3://me:key@b/a.mp4'}]}", "holds credentials"),
        (
            "takes:\n- {name: a, cameras: [{name: c, view: ego, video: a.mp4},\n  {name: c, view: exo, video: b.mp4}]}",
            "line 3: takes.0.cameras.1.name: another camera",
        ),
        (
            "takes:\n- {name: a, cameras: [{name: c, view: ego, video: a.mp4}]}\n"
            "- {name: a, cameras: [{name: c, view: ego, video: a.mp4}]}",
            "line 3: takes.1.name: another take",
        ),
        (
            "takes:\n- {name: a, cameras: [{name: c, view: ego, video: a.mp4, masks: {mask: a.json}}]}",
            "masks are one of `coco: PATH`",
        ),
        (
            "takes:\n- {name: a, cameras: [{name: c, view: ego, video: a.mp4, offset_frames: 1, offset_seconds: 1}]}",
            "has both `offset_frames` and `offset_seconds`",
        ),
        ("takes: &a [*a]", "nothing before is called &a"),
        ("takes: " + "[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("takes: !!python/object:os.system {}", "means nothing here"),
    ],
)
def test_a_mistake_in_a_manifest_is_named_by_key_and_line(tmp_path, said, expected):
    manifest = tmp_path / "recordings.yaml"
    manifest.write_text(said)
    done = lmeec("takes", manifest)
    assert done.status == 1
    assert expected in done.err
    assert str(manifest) in done.err
    assert len(done.err) <= LONGEST_MESSAGE + len("error: \n")
    assert "key" not in done.err or "me:key" not in done.err


def test_what_belongs_to_ego_exo4d_alone_is_refused(own, tmp_path):
    for words, expected in (
        (("--annotations", own[0]), "go without --annotations"),
        (("--video", "448"), "go without --video"),
    ):
        done = lmeec("takes", own[0], *words)
        assert done.status == 1
        assert expected in done.err
    shutil.rmtree(tmp_path)


def test_mistakes_beyond_number_are_counted_soon(tmp_path):
    manifest = tmp_path / "recordings.yaml"
    manifest.write_text("takes:\n- {" + ",".join(f"k{number}: 1" for number in range(20_000)) + "}\n")
    done = lmeec("takes", manifest)
    assert done.status == 1
    assert "takes.0.k0: this key is not known" in done.err
    assert re.search(r"and (19|20)\d{3} more mistakes", done.err)
