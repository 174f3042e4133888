"""DAVIS folders: images back to masks, and names that must not lead elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lmeec.errors import DataError
from lmeec.export import export_davis
from tests.support.command import lmeec
from tests.support.rows import row, square, write_results


def test_images_are_the_masks(tmp_path):
    rows = [row(0), row(30, mask=square(40, 7)), row(0, object="Cup_0", mask=square(1, 1))]
    results = write_results(tmp_path / "results.parquet", rows)
    done = lmeec("export", results, "--format", "davis", "--out", tmp_path / "davis")
    assert done.status == 0
    assert "3 images of 2 tracks" in done.err
    tracks = json.loads((tmp_path / "davis/tracks.json").read_text())
    assert {(track["object"], track["frames"]) for track in tracks} == {("cup_0", 2), ("Cup_0", 1)}
    folder = next(tmp_path / "davis" / track["folder"] for track in tracks if track["object"] == "cup_0")
    with Image.open(folder / "00030.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[:3] == [0, 0, 0]
        assert (np.asarray(image) == square(40, 7).decode()).all()


def test_names_never_become_paths(tmp_path):
    names = {"take_uid": "../../up", "object": "/etc/passwd", "query_cam": "..", "target_cam": "a\\b\0"}
    results = write_results(tmp_path / "in/results.parquet", [row(0, **names)])
    export_davis([results], tmp_path / "in/davis")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    (track,) = json.loads((tmp_path / "in/davis/tracks.json").read_text())
    assert {name: track[name] for name in names} == names
    assert (tmp_path / "in/davis" / track["folder"] / "00000.png").resolve().is_relative_to(tmp_path / "in/davis")


def test_the_same_frame_twice_is_refused(tmp_path):
    results = write_results(tmp_path / "results.parquet", [row(0)])
    with pytest.raises(DataError, match="twice"):
        export_davis([results, results], tmp_path / "davis")
    assert not (tmp_path / "davis").exists()
