"""Videos that are missing, cut or broken: what does not need them is predicted, and a rerun does just the rest."""

from __future__ import annotations

import hashlib
import json
import re
import shutil

import pyarrow.compute as pc
import pytest

from lmeec.data.take import Camera, Take
from lmeec.runs.sources import sources_of
from lmeec.tables import parts_directory, read_coverage, read_results
from lmeec.tables.coverage import Coverage, Source
from tests.support.command import lmeec
from tests.support.rendered import EGO
from tests.support.tables import assert_same, names_left
from tests.support.trees import write_processed

NO_NAMES = hashlib.sha256().hexdigest()[:12]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results.parquet"


@pytest.fixture
def predict(tiny, takes, out):
    def run(*arguments, root=takes.root):
        return lmeec("predict", root, "--out", out, "--checkpoint", tiny, "--workers", 0, *arguments)

    return run


@pytest.fixture(scope="module")
def undisturbed(rendered_takes, tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "results.parquet"
    done = lmeec("predict", rendered_takes.root, "--out", path, "--checkpoint", tiny, "--workers", 0)
    assert done.status == 0, done.err
    return read_results(path)


def failures(out):
    listed = json.loads(out.with_name(out.name + ".failures.json").read_text())
    return {(one["take_uid"], one["direction"], one["camera"]): one["error"] for one in listed}


def started(done):
    """Jobs that were begun, without their estimates."""
    return sorted(line.split(" ", 1)[1].split(":")[0] for line in done.err.splitlines() if ": started" in line)


def both_directions(take, camera):
    return [f"{take} {direction} {camera}" for direction in ("ego2exo", "exo2ego")]


def cut_short(path):
    """A download that ended early, of a video whose index is at its beginning: some frames are there."""
    import av

    source = path.with_name("source.mp4")
    path.rename(source)
    with av.open(str(source)) as whole, av.open(str(path), "w", options={"movflags": "faststart"}) as short:
        stream = whole.streams.video[0]
        copied = short.add_stream_from_template(stream)
        for number, packet in enumerate(packet for packet in whole.demux(stream) if packet.dts is not None):
            if number < 12:
                packet.stream = copied
                short.mux(packet)
    source.unlink()


def fragment(path):
    """The same video in fragments, as streams have it: without a list of all its frames, by which a loss would show."""
    import av

    source = path.with_name("source.mp4")
    path.rename(source)
    fragments = {"movflags": "frag_every_frame+empty_moov+default_base_moof"}
    with av.open(str(source)) as whole, av.open(str(path), "w", format="mp4", options=fragments) as fragmented:
        stream = whole.streams.video[0]
        copied = fragmented.add_stream_from_template(stream)
        for packet in whole.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                fragmented.mux(packet)
    source.unlink()


def pad_with_zeros(path):
    """As downloaders that claim the space beforehand leave a video whose end never came."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2].ljust(len(data), b"\0"))


def damage_the_middle(path):
    """Opens and gives frames, until one that does not decode."""
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + len(data) // 3
    data[start : start + len(data) // 4] = bytes(len(data) // 4)
    path.write_bytes(data)


def test_a_video_that_was_missing_is_done_when_it_is_there(predict, takes, out, undisturbed, tmp_path):
    video = takes.video(0, "gp02")
    video.rename(tmp_path / "aside.mp4")
    assert predict().status == 0
    rows = read_results(out)
    assert set(rows.filter(pc.equal(rows["missing"], "camera"))["take_uid"].to_pylist()) == {takes.uids[0]}
    assert "nothing to do" in predict().err
    assert read_coverage(out)[takes.uids[0], "ego2exo"].sources["gp02"] is None
    (tmp_path / "aside.mp4").rename(video)
    done = predict()
    assert done.status == 0, done.err
    assert "not what they were" in done.err
    assert f"take '{takes.names[0]}', camera 'gp02' (not on disk then, full size" in done.err
    assert started(done) == both_directions(takes.names[0], "gp02")
    assert "2 takes and directions to predict, 2 done before" in done.err
    assert_same(read_results(out), undisturbed)
    assert "nothing to do" in predict().err
    assert not parts_directory(out).exists()


def test_a_video_that_was_cut_short_is_done_again_when_it_is_whole(predict, takes, out, undisturbed):
    video = takes.video(1, "gp01")
    whole = video.read_bytes()
    cut_short(video)
    assert predict().status == 0
    rows = read_results(out)
    assert set(rows["missing"].to_pylist()) == {None, "video"}
    assert "nothing to do" in predict().err
    video.write_bytes(whole)
    done = predict()
    assert done.status == 0, done.err
    assert started(done) == both_directions(takes.names[1], "gp01")
    assert_same(read_results(out), undisturbed)


def test_a_video_that_was_padded_to_its_full_size_is_done_again_when_it_is_whole(predict, takes, out, undisturbed):
    video = takes.video(1, "gp01")
    fragment(video)
    whole = video.read_bytes()
    pad_with_zeros(video)
    assert video.stat().st_size == len(whole)
    assert predict().status == 0
    assert set(read_results(out)["missing"].to_pylist()) == {None, "video"}
    assert "nothing to do" in predict().err
    video.write_bytes(whole)
    done = predict()
    assert done.status == 0, done.err
    assert re.search(r"full size, ([\d,]+ bytes), digest \w+, .* then, full size, \1, digest \w+, .* now", done.err)
    assert started(done) == both_directions(takes.names[1], "gp01")
    assert_same(read_results(out), undisturbed)
    assert "nothing to do" in predict().err


def test_a_video_that_is_gone_after_it_was_predicted_is_not_missed(predict, takes, out, undisturbed):
    assert predict().status == 0
    takes.video(1, "gp01").unlink()
    done = predict()
    assert "nothing to do" in done.err
    assert read_results(out).equals(undisturbed)


@pytest.mark.parametrize("damage", [damage_the_middle, lambda path: path.write_text("<html>503</html>")])
def test_a_broken_exo_video_takes_nothing_else_with_it(damage, predict, takes, out, undisturbed):
    video = takes.video(0, "gp01")
    whole = video.read_bytes()
    damage(video)
    done = predict()
    assert done.status == 1
    assert f"failed: {takes.names[0]} ego2exo gp01" in done.err
    assert done.out.startswith(f"{out}: ")
    assert "predictions from 2 whole takes and directions" in done.out
    assert "Traceback" not in done.err
    listed = failures(out)
    assert set(listed) == {(takes.uids[0], direction, "gp01") for direction in ("ego2exo", "exo2ego")}
    assert all(str(video) in reason for reason in listed.values())
    if damage is damage_the_middle:
        assert all(re.search(r"frame ([5-9]|1\d) cannot be decoded", reason) for reason in listed.values())
    rows, expected = read_results(out), undisturbed
    lost = pc.equal(rows["missing"], "failed").fill_null(False)
    broken = pc.and_(
        pc.equal(expected["take_uid"], takes.uids[0]),
        pc.or_(pc.equal(expected["query_cam"], "gp01"), pc.equal(expected["target_cam"], "gp01")),
    )
    assert lost.to_pylist() == broken.to_pylist()
    assert_same(rows.filter(pc.invert(lost)), expected.filter(pc.invert(broken)))
    again = predict()
    assert again.status == 1
    assert started(again) == both_directions(takes.names[0], "gp01")
    assert read_results(out).equals(rows)
    video.write_bytes(whole)
    mended = predict()
    assert mended.status == 0, mended.err
    assert started(mended) == both_directions(takes.names[0], "gp01")
    assert_same(read_results(out), undisturbed)
    assert names_left(out.parent) == ["results.parquet", "takes"]


def test_other_jpeg_files_in_the_place_of_as_many_are_told_from_them(predict, out, tmp_path):
    frames = write_processed(tmp_path / "processed", "take-1") / "cam01"
    (frames / "30.jpg").rename(frames / "31.jpg")
    assert predict(root=tmp_path / "processed").status == 0
    assert read_results(out)["missing"].to_pylist() == [None, "video", None, "video"]
    (frames / "31.jpg").rename(frames / "30.jpg")
    done = predict(root=tmp_path / "processed")
    assert "camera 'cam01' (frames, 3 files with names" in done.err
    assert read_results(out)["missing"].null_count == 4


def test_a_broken_jpeg_file_is_not_read_again_and_again(predict, out, tmp_path):
    frames = write_processed(tmp_path / "processed", "take-1") / "cam01"
    whole = (frames / "30.jpg").read_bytes()
    (frames / "30.jpg").write_bytes(whole[: len(whole) // 2])
    done = predict("--direction", "ego2exo", root=tmp_path / "processed")
    assert done.status == 1
    assert "30.jpg: is not a JPEG file that can be read" in done.err
    assert "will be tried again" not in done.err


def test_a_failed_camera_is_done_from_the_table_alone(predict, takes, out, undisturbed):
    """Also when somebody tidied the parts away."""
    video = takes.video(0, "gp01")
    whole = video.read_bytes()
    video.write_text("no video")
    assert predict().status == 1
    shutil.rmtree(parts_directory(out))
    video.write_bytes(whole)
    done = predict()
    assert done.status == 0, done.err
    assert started(done) == both_directions(takes.names[0], "gp01")
    assert_same(read_results(out), undisturbed)


def test_without_the_ego_video_all_of_the_take_fails(predict, takes, out, undisturbed):
    takes.video(0, EGO).write_text("no video")
    assert predict().status == 1
    assert set(failures(out)) == {(takes.uids[0], direction, EGO) for direction in ("ego2exo", "exo2ego")}
    rows = read_results(out).to_pandas()
    assert len(rows) == undisturbed.num_rows
    assert set(rows.missing[rows.take_uid == takes.uids[0]]) == {"failed"}
    assert rows.missing[rows.take_uid == takes.uids[1]].isna().all()


def small_videos(takes, number):
    """The videos of 448 pixels of a take, for the moment in their place."""
    folder = takes.videos(number) / "downscaled" / "448"
    folder.mkdir(parents=True)
    for path in takes.videos(number).glob("*.mp4"):
        other = takes.videos(1 - number) / path.name
        shutil.copy(other, folder / path.name)  # other frames, to tell them by


def test_a_video_that_is_as_it_was_leaves_no_trace_of_a_failure(predict, takes, out):
    call = ("--take", takes.names[0])
    assert predict(*call).status == 0
    before = read_results(out)
    whole = takes.video(0, EGO).read_bytes()
    takes.video(0, EGO).write_text("no video")
    failed = predict(*call)
    assert failed.status == 1
    assert f"{out} is still the table of an earlier run" in failed.err
    takes.video(0, EGO).write_bytes(whole)
    done = predict(*call)
    assert (done.status, "nothing to do" in done.err) == (0, True), done.err
    assert read_results(out).equals(before)
    assert names_left(out.parent) == ["results.parquet", "takes"]
    assert "failed" not in lmeec("status", out).out


def test_a_take_whose_frames_are_counted_otherwise_now_is_done_again(predict, takes, out):
    """As the notice of a video of another frame rate says to do."""
    call = ("--take", takes.names[0], "--direction", "ego2exo")
    assert predict(*call).status == 0
    before = read_results(out)
    path = takes.root / "takes.json"
    records = json.loads(path.read_text())
    for record in records:
        record["frame_rate"] = 60
    path.write_text(json.dumps(records))
    done = predict(*call)
    assert done.status == 0, done.err
    assert "60 frames a second counted now" in done.err
    assert read_results(out)["target_frame"] != before["target_frame"]


def test_a_resumed_run_does_not_mix_videos(predict, takes, out, tiny, tmp_path):
    """Small videos that come in the middle of a run are used for what was predicted from large ones too."""
    takes.video(1, "gp01").write_text("no video")
    assert predict("--direction", "ego2exo").status == 1
    for number in (0, 1):
        small_videos(takes, number)
    for number in (0, 1):  # whole again, as copies were
        shutil.copy(takes.videos(number) / "gp02.mp4", takes.videos(number) / "downscaled" / "448" / "gp01.mp4")
    done = predict("--direction", "ego2exo")
    assert done.status == 0, done.err
    assert "5 cameras are not what they were" in done.err
    assert f"take '{takes.names[0]}', camera '{EGO}' (full size" in done.err
    assert "then, 448 pixels" in done.err
    fresh = tmp_path / "fresh.parquet"
    call = ["--out", fresh, "--checkpoint", tiny, "--direction", "ego2exo", "--workers", 0]
    assert lmeec("predict", takes.root, *call).status == 0
    assert_same(read_results(out), read_results(fresh))
    sources = read_coverage(out)[takes.uids[0], "ego2exo"].sources
    assert {source.kind for source in sources.values()} == {"448"}
    size = (takes.videos(0) / "downscaled" / "448" / f"{EGO}.mp4").stat().st_size
    assert (sources[EGO].size, sources[EGO].counted) == (size, 5)


def test_a_folder_of_frames_is_another_source_when_it_has_more(tmp_path):
    camera = Camera("cam01", "exo", tmp_path)
    take = Take("uid", "take", None, {"cam01": camera, "cam02": Camera("cam02", "exo", None)}, {}, (), "")
    before = sources_of(take, ["cam01", "cam02"])
    assert before == {"cam01": Source("frames", 0, NO_NAMES), "cam02": None}
    (tmp_path / "0.jpg").write_bytes(b"")
    now = sources_of(take, ["cam01", "cam02"])
    pairs = (("aria01", "cam01"), ("aria01", "cam02"))
    covered = Coverage(pairs, {"aria01": Source("frames", 9, "a1"), **before})
    assert covered.changed(now) == ["cam01"]
    assert covered.current(now).pairs == (("aria01", "cam02"),)


def test_other_frames_of_the_same_names_and_sizes_are_another_source(tmp_path):
    take = Take("uid", "take", None, {"cam01": Camera("cam01", "exo", tmp_path)}, {}, (), "")
    for name in ("0.jpg", "30.jpg"):
        (tmp_path / name).write_bytes(b"some")
    covered = Coverage((("aria01", "cam01"),), sources_of(take, ["cam01"]))
    assert covered.changed(sources_of(take, ["cam01"])) == []
    (tmp_path / "30.jpg").write_bytes(b"same")
    assert covered.changed(sources_of(take, ["cam01"])) == ["cam01"]


@pytest.mark.parametrize("place", [0, 0.3, 0.5, 0.99])
def test_a_video_that_was_replaced_within_is_another_source(tmp_path, place):
    video = tmp_path / "cam01.mp4"
    take = Take("uid", "take", None, {"cam01": Camera("cam01", "exo", video)}, {}, (), "")
    content = bytearray(1_000_000)
    video.write_bytes(content)
    covered = Coverage((("aria01", "cam01"),), sources_of(take, ["cam01"]))
    assert covered.changed(sources_of(take, ["cam01"])) == []
    start = int(place * len(content))
    content[start : start + 20_000] = b"x" * len(content[start : start + 20_000])
    video.write_bytes(content)
    assert covered.changed(sources_of(take, ["cam01"])) == ["cam01"]


def test_what_was_noted_without_a_digest_is_compared_by_the_rest():
    now = {"cam01": Source("full", 9, content="1f"), "cam02": Source("full", 9, content="2f")}
    earlier = Coverage((("cam01", "cam02"),), {"cam01": Source("full", 9), "cam02": Source("full", 8)})
    assert earlier.changed(now) == ["cam02"]
