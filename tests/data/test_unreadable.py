"""A take's folder that cannot be read is a problem of that take, and stops no other."""

import errno
from pathlib import Path

import pytest

from lmeec.data.takes import find_takes
from tests.support.trees import annotated, put_video, take_annotations, write_relations

EGO, EXO = "aria01_214-1", "cam01"


def test_an_unreadable_folder_of_a_take_is_named_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "any.mp4").write_bytes(b"looked at by name alone")
    for take in ("cooking_01", "locked_02"):
        for camera in (EGO, EXO):
            put_video(tmp_path, take, camera, tmp_path / "any.mp4")
    objects = {"mug": {EGO: annotated([0]), EXO: annotated([0])}}
    takes = {name: take_annotations(name, objects) for name in ("cooking_01", "locked_02")}
    write_relations(tmp_path / "annotations/relations_val.json", takes)
    locked, is_dir = tmp_path / "takes" / "locked_02", Path.is_dir

    def refusing(path: Path) -> bool:  # as for a plain user; tests may run as root, who may read everything
        if locked in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refusing)
    whole, broken = find_takes(tmp_path)
    assert (whole.name, whole.problems) == ("cooking_01", ())
    assert broken.name == "locked_02"
    assert f"{locked}: cannot be read: Permission denied" in broken.problems[0]
