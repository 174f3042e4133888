"""The report in a real browser: light, dark and printed, with names that try to break out."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from lmeec.data.takes import find_takes
from lmeec.report import write_report
from lmeec.report.numbers import collect
from lmeec.tables import PartWriter, list_parts, merge_parts, parts_directory, read_results
from lmeec.tables.coverage import Coverage, Source
from lmeec.tables.track_names import TrackNames
from tests.support import naive_fusion as naive
from tests.support.browser import Elements, brightness, run_browser, scroll_width
from tests.support.command import lmeec
from tests.support.drawn_runs import drawn_run
from tests.support.places import ASSETS
from tests.support.predictions import predict_fairly
from tests.support.rows import RUN, missing_row, row, square, write_results

EVIL = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>$x^2$&amp;"


@pytest.fixture(scope="module")
def page(rendered_takes, tmp_path_factory):
    """The report of a run over the synthetic takes, in which objects and scenarios have a hostile name."""
    folder = tmp_path_factory.mktemp("report")
    results = predict_fairly(rendered_takes.root, folder / "results.parquet", scenario=EVIL)
    failure = {"take_uid": "t", "take_name": EVIL, "direction": "ego2exo", "error": f"broken {EVIL}"}
    (folder / "results.parquet.failures.json").write_text(json.dumps([failure]))
    done = lmeec("report", results, rendered_takes.root, "--out", folder / "report.html")
    assert (done.status, done.out) == (0, ""), done.err
    return folder / "report.html"


def test_browser_shows_everything_and_runs_nothing_of_the_names(page, tmp_path):
    elements = Elements(run_browser(page, tmp_path, "--dump-dom"))
    assert elements.text.count(EVIL) >= 2
    assert "script" not in {tag for tag, _ in elements.found}
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)
    assert elements.count("svg") == 8
    assert sum(attributes.get("class") == "strip" for _, attributes in elements.found) == 6
    frames = sum(len(one.split(",")) for one in re.findall(r"frames ([\d, ]+)", elements.text))
    assert elements.count("img") == 2 * frames  # cut to the object, and whole
    for tag, attributes in elements.found:  # it works offline
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    ids = re.findall(r'\bid="([^"]+)"', page.read_text())
    assert {"metrics", "dependence", "calibration", "trust", "tracks", "failures", "run"} <= set(ids)


def test_it_is_legible_in_light_and_dark(page, tmp_path):
    light = brightness(page, tmp_path, "light")
    dark = brightness(page, tmp_path, "dark", "--blink-settings=preferredColorScheme=0")
    paper = light[5, 5], dark[5, 5]
    assert paper[0] > 240
    assert paper[1] < 40
    # Text and drawings stand out from the paper in every stretch of the page before the pictures.
    for image, background in zip((light, dark), paper, strict=True):
        for top in range(0, 1000, 250):
            stretch = image[top : top + 250].astype(int)
            assert (abs(stretch - int(background)) > 110).mean() > 0.002


def test_it_prints(page, tmp_path):
    run_browser(page, tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'report.pdf'}")
    data = (tmp_path / "report.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) >= 2


def test_without_ground_truth_it_says_so(rendered_takes, tmp_path):
    results = predict_fairly(rendered_takes.root, tmp_path / "blind.parquet", ground_truth=False)
    done = lmeec("report", results, rendered_takes.root, "--out", tmp_path / "report.html")
    assert done.status == 0
    assert "no ground truth" in done.err
    elements = Elements((tmp_path / "report.html").read_text())
    assert "has no ground truth" in elements.text
    assert "By mean confidence" in elements.text
    assert elements.count("svg") == 0
    assert elements.count("img") >= 2 * 6
    assert "est and worst" not in elements.text


def test_numbers_are_those_of_the_table(rendered_takes, tmp_path):
    results = predict_fairly(rendered_takes.root, tmp_path / "results.parquet")
    numbers = collect(results)
    rows = read_results(results).to_pandas()
    for score in numbers.scores:
        mine = rows[rows.direction == score.group["direction"]]
        assert score.iou.value == pytest.approx(mine.iou.mean())
        points = numbers.by_time[score.group["direction"]]
        pooled = sum(point.value.value * point.count for point in points) / sum(point.count for point in points)
        assert pooled == pytest.approx(mine.iou.mean())
        assert [point.position for point in points] == sorted({point.position for point in points})
    tracks = rows.groupby(["take_uid", "object", "query_cam", "target_cam"]).iou.mean().dropna()
    assert [track.score for track in numbers.ranking] == pytest.approx(sorted(tracks, reverse=True))


def test_time_along_a_take_is_that_of_its_own_rate(tmp_path):
    seen = {"gt_state": "visible", "gt": square(10, 30)}
    sources = {"aria01": Source("frames", 9), "cam01": Source("full", 9, counted=5.0)}
    parts = parts_directory(tmp_path / "r.parquet")
    for uid, coverage in (("slow", Coverage((("aria01", "cam01"),), sources)), ("usual", None)):
        with PartWriter(parts, RUN, uid, "ego2exo", coverage=coverage) as part:
            part.write([row(60, take_uid=uid, **seen)])
    merge_parts(list_parts(parts), tmp_path / "r.parquet")
    points = collect(tmp_path / "r.parquet").by_time["ego2exo"]
    assert [point.position for point in points] == [2, 12]


def test_reliability_counts_annotated_frames_by_confidence(tmp_path):
    rows = [row(frame, object_score=-3.0, gt_state="absent") for frame in range(3)]
    rows += [row(frame, object_score=-3.0, gt_state="visible", gt=square(10, 30)) for frame in range(3, 4)]
    rows += [row(frame, object_score=4.0) for frame in range(4, 9)]
    curve = collect(write_results(tmp_path / "results.parquet", rows)).reliability["ego2exo"]
    assert curve.frames.tolist() == [4, *[0] * 9]
    assert curve.found[0] == 0.25
    assert curve.said[0] == pytest.approx(0.0474, abs=1e-4)
    assert curve.error == pytest.approx(0.25 - 0.0474, abs=1e-4)


def test_without_ground_truth_tracks_are_ranked_by_the_frames_that_have_a_prediction(tmp_path):
    rows = [row(0, object_score=2.0), missing_row(30), missing_row(0, target_cam="cam02")]
    (track,) = collect(write_results(tmp_path / "results.parquet", rows)).ranking
    assert (track.score, track.frames) == (pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6), 1)


def test_of_a_table_of_an_earlier_version_it_is_told(tmp_path):
    results = ASSETS / "results_v1.parquet"
    done = lmeec("report", results, "--out", tmp_path / "report.html")
    assert done.status == 0
    assert "Frames without a prediction are not in it" in done.err


def test_bad_inputs_are_explained(tmp_path):
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    done = lmeec("report", tmp_path / "cut.parquet", "--out", tmp_path / "report.html")
    assert done.status == 1
    assert "cut.parquet is not a whole Parquet file" in done.err
    results = write_results(tmp_path / "results.parquet", [row(0)])
    (tmp_path / "report.html").write_text("mine")
    done = lmeec("report", results, "--out", tmp_path / "report.html")
    assert done.status == 1
    assert "exists already" in done.err
    assert (tmp_path / "report.html").read_text() == "mine"


def test_it_tells_of_frames_without_a_prediction_and_of_too_few_absent_ones(tmp_path):
    seen = {"gt_state": "visible", "gt": square(10, 40)}
    rows = [row(0, **seen), missing_row(30, **seen), missing_row(60, missing="camera", gt_state="absent")]
    rows += [row(frame, direction="exo2ego", **seen) for frame in (0, 30)]
    results = write_results(tmp_path / "r.parquet", rows)
    assert lmeec("report", results, "--out", tmp_path / "report.html").status == 0
    text = " ".join(Elements((tmp_path / "report.html").read_text()).text.split())
    assert "3 predicted frames" in text
    assert "2 frames of ego2exo have ground truth but no prediction (video 1, camera 1)" in text
    assert "exo2ego have ground truth but no prediction" not in text
    assert "75.00 %*" in text  # one absent frame
    assert "100.00 %" not in text  # exo2ego has visible frames only
    assert "A star marks one of fewer than 5 absent frames." in text


def test_a_name_with_a_nul_character(tmp_path):
    rows = [row(30 * at, object="cup\0 1", gt_state="visible", gt=square(10, 40)) for at in range(3)]
    numbers, _ = write_report(write_results(tmp_path / "r.parquet", rows), tmp_path / "r.html")
    assert numbers.ranking[0].object == "cup\0 1"


def test_it_shows_what_signs_are_worth_and_says_what_a_selection_is(tmp_path):
    results = write_results(tmp_path / "r.parquet", drawn_run(0))
    assert lmeec("select", results, "--where", "area > 50", "--out", tmp_path / "kept.parquet").status == 0
    done = lmeec("report", tmp_path / "kept.parquet", "--out", tmp_path / "report.html")
    assert done.status == 0, done.err
    text = " ".join(Elements((tmp_path / "report.html").read_text()).text.split())
    assert f"This table is a selection (area > 50) from {len(drawn_run(0))} rows" in text
    assert "IoU by cycle IoU" in text
    rows = read_results(tmp_path / "kept.parquet").to_pylist()
    for direction in ("ego2exo", "exo2ego"):
        seen = [row for row in rows if row["direction"] == direction and row["gt_state"] == "visible"]
        ious = [row["iou"] for row in seen]
        for sign, words in (
            ("cycle_iou", "cycle IoU"),
            ("predicted_iou", "predicted IoU"),
            ("confidence", "confidence"),
        ):
            signs = [row[sign] for row in seen]
            half = 100 * float(naive.risk_coverage(signs, ious)[(len(seen) + 1) // 2 - 1])
            shown = re.search(rf"{direction}{words}[\d.% ]*?(\d+\.\d+) %(\d+\.\d+) %(\d+\.\d+) %", text)
            assert shown, (direction, sign)
            assert float(shown[3]) == pytest.approx(half, abs=0.006)
            assert f"{naive.aurc(signs, ious):.3f}" in text


def test_iou_by_sign_is_that_of_visible_frames_in_its_bins(tmp_path):
    results = write_results(tmp_path / "r.parquet", drawn_run(0, takes=1))
    told = collect(results).iou_told
    assert list(told) == ["cycle_iou", "predicted_iou"]
    rows = read_results(results).to_pylist()
    for sign, curves in told.items():
        for direction, curve in curves.items():
            distance = 0.0
            for place in range(10):
                low, high = place / 10, (place + 1) / 10 if place < 9 else 2
                seen = [
                    row
                    for row in rows
                    if row["direction"] == direction
                    and (row["missing"], row["gt_state"]) == (None, "visible")
                    and low <= row[sign] < high
                ]
                assert curve.frames[place] == len(seen)
                if seen:
                    said, found = (sum(row[name] for row in seen) / len(seen) for name in (sign, "iou"))
                    assert (curve.said[place], curve.found[place]) == pytest.approx((said, found))
                    distance += abs(said - found) * len(seen)
            assert curve.error == pytest.approx(distance / curve.frames.sum())
    without = write_results(tmp_path / "w.parquet", drawn_run(0, takes=1, cycle=False))
    assert list(collect(without).iou_told) == ["predicted_iou"]


def test_a_chart_by_itself_is_no_wider_than_one_of_two(page):
    """It took all of the page, and its letters were twice as large as the others'."""
    assert "grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr))" in page.read_text()


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_wider_than_the_window(page, tmp_path, width):
    assert scroll_width(page, tmp_path, width) == width


def test_worst_median_and_best_are_of_different_objects(rendered_takes, tmp_path):
    results = predict_fairly(rendered_takes.root, tmp_path / "r.parquet")
    _, strips = write_report(results, tmp_path / "r.html", takes=find_takes(rendered_takes.root))
    ranking = collect(results).ranking
    objects = {(track.take_uid, track.object) for track in ranking}
    shown = [(strip.track.take_uid, strip.track.object) for strip in strips]
    assert len(set(shown)) == min(len(shown), len(objects))
    assert strips[0].track == ranking[0]
    assert any(strip.track == ranking[-1] for strip in strips)


def test_videos_that_were_rendered_are_linked(rendered_takes, tmp_path):
    results = predict_fairly(rendered_takes.root, tmp_path / "r.parquet")
    first = collect(results).ranking[0]
    names = TrackNames.of([results])
    video = tmp_path / "videos" / names.folder(first.take_uid, first.object)
    video.mkdir(parents=True)
    (video / f"{names.pair(first.query_cam, first.target_cam)}.mp4").touch()
    _, strips = write_report(results, tmp_path / "r.html", takes=find_takes(rendered_takes.root))
    links = [strip.video for strip in strips]
    assert links[0] is not None
    assert (tmp_path / links[0]).is_file()
    assert links[1:] == [None] * (len(links) - 1)


def test_a_video_of_all_views_is_linked_where_there_is_none_of_the_track(rendered_takes, tmp_path):
    results = predict_fairly(rendered_takes.root, tmp_path / "r.parquet")
    first = collect(results).ranking[0]
    video = tmp_path / "videos" / TrackNames.of([results]).folder(first.take_uid, first.object)
    video.mkdir(parents=True)
    (video / f"{first.direction}.mp4").touch()
    _, strips = write_report(results, tmp_path / "r.html", takes=find_takes(rendered_takes.root))
    assert strips[0].video is not None
    assert (tmp_path / strips[0].video).is_file()


def test_metrics_are_explained_and_digests_are_behind_a_fold(page):
    text = page.read_text()
    assert "divided by the diagonal of 480 x 480 pixels" in text
    before, fold, after = text.partition("<summary>All settings and digests</summary>")
    assert fold
    assert "annotation_digest" not in before
    assert "annotation_digest" in after
