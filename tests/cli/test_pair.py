"""One pair of videos from the command line: it becomes a take of a manifest, and a table as any other."""

import numpy as np
import pytest
from PIL import Image

from lmeec.tables import read_results
from tests.support.command import lmeec
from tests.support.own import own_take


@pytest.fixture(scope="module")
def files(rendered_takes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair") / "own"
    own_take(rendered_takes, folder, "png")
    return folder


def predict(files, tiny, out, *words, masks="masks/cam a"):
    return lmeec(
        "predict",
        *("--query", files / "videos" / "cam a.mp4", "--masks", files / masks, "--out", out, "--checkpoint", tiny),
        *("--workers", 0, *words),
    )


def test_a_pair_is_predicted_and_rendered(files, tiny, tmp_path):
    out = tmp_path / "one.parquet"
    done = predict(files, tiny, out, "--target", files / "videos" / "cam b.mp4")
    assert done.status == 0, done.err
    rows = read_results(out).to_pylist()
    assert {(row["query_cam"], row["target_cam"], row["direction"]) for row in rows} == {("cam a", "cam b", "ego2exo")}
    assert {row["frame"] for row in rows} <= {0, 5, 10, 15}
    assert len({row["object"] for row in rows}) > 1
    manifest = tmp_path / "one.recordings.yaml"
    assert "20 frames at 5 a second" in manifest.read_text()
    done = lmeec("render", out, manifest, "--out", tmp_path / "videos")
    assert done.status == 0, done.err
    assert list((tmp_path / "videos").rglob("*.mp4"))
    again = predict(files, tiny, out, "--target", files / "videos" / "cam b.mp4")
    assert again.status == 0
    assert "nothing to do" in again.err


def test_the_query_is_exo_where_that_is_asked_for(files, tiny, tmp_path):
    out = tmp_path / "one.parquet"
    targets = [word for name in ("cam b", "côté") for word in ("--target", files / "videos" / f"{name}.mp4")]
    done = predict(files, tiny, out, *targets, "--direction", "exo2ego", "--every", "10")
    assert done.status == 0, done.err
    rows = read_results(out).to_pylist()
    assert {row["target_cam"] for row in rows} == {"cam b", "côté"}
    assert {row["direction"] for row in rows} == {"exo2ego"}
    assert {row["frame"] for row in rows} <= {0, 10}


@pytest.mark.parametrize(
    ("words", "masks", "expected"),
    [
        ((), "masks/cam a", "give all three"),
        (("--target", "side.mp4"), "masks", "holds no PNG files"),
        (("--target", "side.mp4"), "nowhere", "there is no such file or folder of masks"),
        (("takes", "--target", "side.mp4"), "masks/cam a", "in place of TAKES"),
    ],
)
def test_what_is_no_pair_is_refused(files, tiny, tmp_path, words, masks, expected):
    done = predict(files, tiny, tmp_path / "one.parquet", *words, masks=masks)
    assert done.status in (1, 2)
    assert expected in " ".join(done.err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())


def test_a_target_that_is_gone_fails_by_name(files, tiny, tmp_path):
    done = predict(files, tiny, tmp_path / "one.parquet", "--target", tmp_path / "nowhere.mp4")
    assert done.status == 1
    assert "nowhere.mp4" in done.err


def test_another_manifest_is_not_replaced(files, tiny, tmp_path):
    (tmp_path / "one.recordings.yaml").write_text("takes: mine")
    done = predict(files, tiny, tmp_path / "one.parquet", "--target", files / "videos" / "cam b.mp4")
    assert done.status == 1
    assert "--overwrite" in done.err
    assert (tmp_path / "one.recordings.yaml").read_text() == "takes: mine"


@pytest.mark.parametrize(
    ("wider", "number", "expected"),
    [(50, 0, "of another shape"), (0, 400, "none of the 1 frames with masks, 400 to 400, is in")],
)
def test_masks_that_are_not_of_the_query_are_named(files, tiny, tmp_path, wider, number, expected):
    (tmp_path / "masks").mkdir()
    with Image.open(next((files / "masks" / "cam a").rglob("*.png"))) as drawn:
        shape = drawn.height, drawn.width + wider
    Image.fromarray(np.full(shape, 255, np.uint8)).save(tmp_path / "masks" / f"{number}.png")
    target = files / "videos" / "cam b.mp4"
    done = predict(files, tiny, tmp_path / "one.parquet", "--target", target, masks=tmp_path / "masks")
    assert done.status == 1
    assert expected in done.err
