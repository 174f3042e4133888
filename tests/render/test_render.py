"""Videos of tracks and mosaics, decoded again."""

from __future__ import annotations

import re

import av
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lmeec.data.takes import find_takes
from lmeec.errors import DataError, OutputError
from lmeec.render import panels, render
from lmeec.render.mosaic import Mosaic
from lmeec.render.text import shortened, text_width
from lmeec.render.tracks import Selection
from lmeec.tables import read_results
from tests.support.command import lmeec
from tests.support.full import little_room
from tests.support.predictions import predict_fairly
from tests.support.rates import double_rate
from tests.support.rendered import EGO


@pytest.fixture(scope="module")
def results(rendered_takes, tmp_path_factory):
    return predict_fairly(rendered_takes.root, tmp_path_factory.mktemp("results") / "results.parquet")


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def orange(image):
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    return (red - blue > 90) & (red > green) & (green > blue)


def one_object(takes):
    return Selection(takes=[takes.names[0]], objects=["green bowl_0"])


def test_stills_are_pictures_of_frames_spread_over_the_track(results, rendered_takes, tmp_path):
    found = find_takes(rendered_takes.root)
    chosen = one_object(rendered_takes)
    done = render(results, found, tmp_path, selection=chosen, mosaic=True, height=120, stills=2)
    assert done.failures == []
    assert len(done.files) == 4
    rows = read_results(results).filter(chosen.expression()).to_pandas()
    for path in done.files:
        frame = int(path.name.split(".")[-2])
        assert frame in set(rows["frame"])
        assert orange(np.asarray(Image.open(path))).sum() > 20
    assert all(len(list(path.parent.glob("*.png"))) == 4 for path in done.files)
    assert not list(tmp_path.rglob("*.mp4"))


@pytest.mark.parametrize("stills", [None, 2])
def test_pictures_and_videos_that_find_no_room_are_named_and_leave_nothing(results, rendered_takes, tmp_path, stills):
    found, chosen = find_takes(rendered_takes.root), one_object(rendered_takes)
    with little_room(500), pytest.raises(OutputError, match=r"cannot write .*: File too large") as raised:
        render(results, found, tmp_path, selection=chosen, mosaic=True, height=120, stills=stills)
    assert f"cannot write {tmp_path}/" in str(raised.value)
    assert ".tmp" not in str(raised.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_camera_of_another_frame_rate_is_drawn_at_the_same_instants(results, takes, tmp_path):
    """Every other frame of the faster camera is black: any but the nearest would show."""
    pictures = []
    for folder in ("before", "after"):
        found, chosen = find_takes(takes.root), one_object(takes)
        done = render(results, found, tmp_path / folder, selection=chosen, mosaic=True, height=120, stills=2)
        assert done.failures == []
        pictures.append({path.relative_to(tmp_path / folder): path.read_bytes() for path in done.files})
        if folder == "before":
            double_rate(takes.video(0, "gp02"))
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 4


def test_frames_are_labelled_with_seconds_of_the_takes_own_rate(results, rendered_takes, tmp_path, monkeypatch):
    compose, labels = Mosaic.compose, {}

    def watched(self, shown, frame, seconds):
        labels[frame] = seconds
        return compose(self, shown, frame, seconds)

    monkeypatch.setattr(Mosaic, "compose", watched)
    found = find_takes(rendered_takes.root)
    render(results, found, tmp_path, selection=one_object(rendered_takes), mosaic=True, height=120, stills=4)
    assert labels == {frame: frame / 5 for frame in labels}  # the takes are of 5 frames a second
    assert max(labels) > 0


def test_track_videos(results, rendered_takes, tmp_path):
    found = find_takes(rendered_takes.root)
    done = render(results, found, tmp_path, selection=one_object(rendered_takes), height=120)
    assert done.failures == []
    assert len(done.files) == 4
    names = {path.name for path in done.files}
    lengths = []
    assert sum(name.startswith(f"{EGO}_to_") for name in names) == 2
    assert sum(name.endswith(f"_to_{EGO}.mp4") for name in names) == 2
    chosen = one_object(rendered_takes)
    assert {path.parts[-3:-1] for path in done.files} == {(chosen.takes[0], chosen.objects[0].replace(" ", "-"))}
    page = done.index.read_text()
    assert all(f'src="{path.relative_to(tmp_path).as_posix()}"' in page for path in done.files)
    for path in done.files:
        data = path.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")  # a browser starts before it has all
        images = frames_of(path)
        lengths.append(len(images))
        assert all(side % 2 == 0 for side in images[0].shape[:2])
        assert max(orange(image).sum() for image in images) > 20
        assert not np.array_equal(images[0], images[-1])
    rows = read_results(results).filter(one_object(rendered_takes).expression())
    tracks = rows.group_by(["query_cam", "target_cam"]).aggregate([([], "count_all")])
    assert sorted(lengths) == sorted(tracks["count_all"].to_pylist())


def test_mosaic_command_without_ground_truth(rendered_takes, tmp_path):
    table = predict_fairly(rendered_takes.root, tmp_path / "blind.parquet", ground_truth=False)
    call = ["--mosaic", "--height", 100, "--take", rendered_takes.names[0], "--direction", "ego2exo"]
    done = lmeec("render", table, rendered_takes.root, "--out", tmp_path / "videos", *call)
    assert done.status == 0, done.err
    paths = done.out.split()
    assert len(paths) == 2  # the third object is never seen by the ego camera
    image = frames_of(paths[0])[0]
    assert image.shape[0] > 100
    assert image.shape[1] > 100 + 2 * 177  # the query and both targets beside each other


def test_missing_video_and_take_are_said(results, takes, tmp_path):
    exo = next(name for name in find_takes(takes.root)[0].cameras if name != EGO)
    takes.video(0, exo).unlink()
    with takes.annotations() as document:
        document.pop(takes.uids[1])
    done = lmeec("render", results, takes.root, "--out", tmp_path / "videos", "--mosaic", "--height", 80)
    assert done.status == 1
    assert len(done.out.split()) == 4
    assert "have no video" in done.err
    assert "not rendered: " in done.err
    assert f"take {takes.uids[1]!r}" in done.err


def test_names_never_become_paths(rendered_takes, tmp_path):
    table = predict_fairly(rendered_takes.root, tmp_path / "in/r.parquet", object="../../evil/<b>")
    chosen = Selection(takes=[rendered_takes.names[0]], direction="ego2exo")
    done = render(table, find_takes(rendered_takes.root), tmp_path / "in/v", selection=chosen, height=64)
    assert done.files
    assert all(path.resolve().is_relative_to(tmp_path / "in/v") for path in done.files)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_unknown_names_are_an_error(results, rendered_takes, tmp_path):
    takes, name = find_takes(rendered_takes.root), next(iter(read_results(results, ["object"])["object"].to_pylist()))
    with pytest.raises(DataError, match="holds no object 'teapot'"):
        render(results, takes, tmp_path, selection=Selection(objects=[name, "teapot"]))
    nearest = re.escape(f"{name[:-1].upper()!r} (the nearest name is {name!r})")
    with pytest.raises(DataError, match=nearest):
        render(results, takes, tmp_path, selection=Selection(objects=[name[:-1].upper()]))
    with pytest.raises(DataError, match="holds no take 'elsewhere'"):
        render(results, takes, tmp_path, selection=Selection(takes=["elsewhere"]))


def test_long_names_are_cut_to_fit():
    cut = shortened("a very long name of a take with the number 17", 20, 200)
    assert text_width(cut, 20) <= 200
    assert cut.startswith("a ")
    assert cut.endswith("17")
    assert "…" in cut
    assert shortened("bad\x1b[31m", 20, 500) == "bad\\x1b[31m"


def test_captions_say_how_much_came_back_where_the_table_has_it(results, rendered_takes, tmp_path, monkeypatch):
    table, written = pq.read_table(results), []
    column = table.schema.get_field_index("cycle_iou")
    trips = pa.array([0.05 if one else None for one in pc.is_null(table["missing"]).to_pylist()], pa.float32())
    pq.write_table(table.set_column(column, table.schema.field(column), trips), tmp_path / "trips.parquet")
    monkeypatch.setattr(panels, "write", lambda picture, at, text, *style: written.append(text))
    found, chosen = find_takes(rendered_takes.root), one_object(rendered_takes)
    for path, height, having in (
        (tmp_path / "trips.parquet", 360, {True}),
        (tmp_path / "trips.parquet", 140, {True, False}),  # square pictures have no room for it
        (results, 360, {False}),
    ):
        written.clear()
        render(path, found, tmp_path / f"{path.stem}-{height}", selection=chosen, height=height, stills=1)
        verdict = r"(?:called absent(?:, conf\. \d\.\d\d)?|conf\. \d\.\d\d)"
        said = [
            re.fullmatch(
                rf"{verdict}(?: · (cycle 0\.05))?(?: · (?:IoU \d\.\d\d(?: \(both empty\))?|truly absent))?", text
            )
            for text in written
            if re.match(verdict, text)
        ]
        assert all(said)
        assert {one[1] is not None for one in said} == having
