"""A folder that cannot be read is a problem of its take or camera, and stops no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lmeec.clips.rows import readable_videos
from lmeec.clips.summary import Tally
from lmeec.data.recordings import find_recordings
from lmeec.data.takes import find_takes
from lmeec.errors import DataError
from tests.support.trees import annotated, put_video, take_annotations, write_processed, write_relations
from tests.support.unprivileged import locked, open_folder

EGO, EXO = "aria01_214-1", "cam01"
NAMES = ("cooking_01", "locked_02")


@pytest.fixture
def release() -> Iterator[Path]:
    with open_folder() as root:
        (root / "any.mp4").write_bytes(b"looked at by name alone")
        for take in NAMES:
            for camera in (EGO, EXO):
                put_video(root, take, camera, root / "any.mp4")
        objects = {"mug": {EGO: annotated([0]), EXO: annotated([0])}}
        relations = {name: take_annotations(name, objects) for name in NAMES}
        write_relations(root / "annotations/relations_val.json", relations)
        yield root


@pytest.fixture
def processed() -> Iterator[Path]:
    with open_folder() as root:
        for name in NAMES:
            write_processed(root, name)
        yield root


@pytest.mark.parametrize("inside", ["", "takes"])
def test_a_take_of_a_release_is_named_and_stops_no_other(release: Path, inside: str) -> None:
    root, take = release / inside, release / "takes" / "locked_02"
    assert not any(take.problems for take in find_takes(root))
    with locked(take):
        whole, broken = find_takes(root)
    assert (whole.name, whole.problems) == ("cooking_01", ())
    assert broken.name == "locked_02"
    assert f"{take}: cannot be read: Permission denied" in broken.problems[0]


def test_takes_that_all_cannot_be_read_are_named(processed: Path) -> None:
    for name in NAMES[:1]:
        for path in sorted((processed / name).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (processed / name).rmdir()
    find_takes(processed)
    with locked(processed / "locked_02"), pytest.raises(DataError, match=r"locked_02: cannot be read: Permission"):
        find_takes(processed)


def test_the_folder_that_cannot_be_read_is_named(release: Path) -> None:
    find_takes(release)
    with locked(release / "takes"), pytest.raises(DataError) as refused:
        find_takes(release)
    assert str(refused.value).startswith(f"{release / 'takes'}: cannot be read: Permission denied")


@pytest.mark.parametrize("what", ["", "annotation.json"])
def test_a_processed_take_is_named_and_stops_no_other(processed: Path, what: str) -> None:
    path = processed / "locked_02" / what
    named = path / "annotation.json" if not what else path
    assert len(find_takes(processed).annotations) == 2
    with locked(path):
        found = find_takes(processed)
        whole, broken = found
    assert (whole.name, whole.problems) == ("cooking_01", ())
    assert broken.name == "locked_02"
    assert f"{named}: cannot be read: Permission denied" in broken.problems[0]
    assert found.annotations == (processed / "cooking_01" / "annotation.json",)


def test_frames_that_cannot_be_read_cost_their_camera(processed: Path) -> None:
    path = processed / "locked_02" / EXO
    find_takes(processed)
    with locked(path):
        whole, broken = find_takes(processed)
        assert not whole.problems
        assert not broken.problems
        with broken.cameras[EGO].open():
            pass
        with pytest.raises(DataError, match=r"cam01: cannot be read: Permission denied"):
            broken.cameras[EXO].open()


def test_a_processed_take_of_a_relations_file_is_named_and_stops_no_other(processed: Path) -> None:
    objects = {"mug": {EGO: annotated([0]), EXO: annotated([0])}}
    relations = write_relations(processed / "relations.json", {name: take_annotations(name, objects) for name in NAMES})
    find_takes(processed, annotations=relations)
    with locked(processed / "locked_02"):
        whole, broken = find_takes(processed, annotations=relations)
    assert not whole.problems
    assert "locked_02: cannot be read: Permission denied" in broken.problems[0]


def test_recordings_of_other_takes_are_found_and_the_problem_is_told(release: Path) -> None:
    find_recordings(release / "takes", NAMES)
    with locked(release / "takes" / "locked_02"):
        found = find_recordings(release / "takes", NAMES)
    assert list(found["cooking_01"].videos) == [EGO, EXO]
    tally = Tally()
    assert readable_videos(found["locked_02"], {}, 3, tally) is None
    (problem,) = tally.problems
    assert problem.startswith(f"take 'locked_02': {release / 'takes' / 'locked_02'}: cannot be read: Permission denied")
