"""Clips cut to files: just their frames, each video decoded once, whole or not at all."""

from __future__ import annotations

import io
import json
import shutil
from fractions import Fraction

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset

from lmeec.clips import ClipsConfig, LengthConfig, make_clips, read_source
from lmeec.clips.cutting import Cut, clip_size, cut_video
from lmeec.clips.extract import ExtractConfig, extract_clips
from lmeec.clips.shards import sample_key
from lmeec.errors import ConfigError, DataError, OutputError
from lmeec.runs.stop import Stop
from lmeec.runs.tasks import TasksInProcess
from lmeec.video import instants
from lmeec.video.file import VideoReader
from tests.support.described import annotation, description, spoken, write_descriptions
from tests.support.full import little_room
from tests.support.rates import double_rate

SHARDS = ExtractConfig(("webdataset",))
HALF_SECOND = ClipsConfig(length=LengthConfig("fixed", 0.5))


def images(source):
    with av.open(source if isinstance(source, io.BytesIO) else str(source)) as video:
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def table(takes, tmp_path):
    """Makes a clips table; gives its path."""

    def table(descriptions, name="clips.parquet"):
        write_descriptions(takes.root, descriptions)
        config = ClipsConfig(length=LengthConfig("fixed", 0.8))
        make_clips(read_source(takes.root, config), tmp_path / name, config, overwrite=True)
        return tmp_path / name

    return table


def test_a_clip_has_just_its_frames(rendered_takes, tmp_path):
    """Every frame of the clips is nearer to its own frame of the video than to any other."""
    video = rendered_takes.video(0, "aria01_214-1")
    whole = np.array(images(video), np.float32)
    cuts = [Cut(*bounds, tmp_path / f"{bounds}.mp4") for bounds in ((3, 8), (0, 4), (5, 6), (15, 20), (7, 12))]
    cut_video(video, cuts, 256, Fraction(5))
    for cut in cuts:
        clip = np.array(images(cut.path), np.float32)
        distance = np.abs(clip[:, None] - whole[None]).mean(axis=(2, 3, 4))
        assert distance.argmin(axis=1).tolist() == list(range(cut.start, cut.end))
        with av.open(str(cut.path)) as file:
            stream = file.streams.video[0]
            assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
            assert stream.average_rate == 5
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".mp4"]


def test_each_frame_is_decoded_once_and_no_others(rendered_takes, tmp_path, monkeypatch):
    decoded = []

    class Counting(VideoReader):
        def read(self, indices):
            for number, image in super().read(indices):
                decoded.append(number)
                yield number, image

    monkeypatch.setattr(instants, "VideoReader", Counting)
    cuts = [Cut(start, start + 4, tmp_path / f"{start}.mp4") for start in (12, 0, 1, 2, 14)]
    cut_video(rendered_takes.video(0, "gp01"), cuts, 32, Fraction(5))
    assert decoded == [*range(6), *range(12, 18)]
    assert len(images(tmp_path / "14.mp4")) == 4


def test_clips_of_a_camera_with_another_frame_rate_show_the_same_moments(takes, tmp_path):
    """Every other frame of the faster camera is black: clips at the rate of its own frames would show it."""
    write_descriptions(takes.root, {takes.uids[0]: [spoken(1.0)]})
    clips = {}
    for name in ("before", "after"):
        source = read_source(takes.root, HALF_SECOND)
        make_clips(source, tmp_path / f"{name}.parquet", HALF_SECOND)
        assert (
            extract_clips(tmp_path / f"{name}.parquet", tmp_path / name, ExtractConfig(), TasksInProcess()).failures
            == []
        )
        clips[name] = files(tmp_path / name / "videos")
        notices = source.notices
        if name == "before":
            assert notices == []
            double_rate(takes.video(0, "gp02"))
    assert clips["after"] == clips["before"]
    assert len(clips["after"]) == 3
    (notice,) = notices
    assert "gp02.mp4: has 10 frames a second where the take counts 5" in notice


def test_clips_past_a_damage_are_not_there_and_those_before_it_are(rendered_takes, tmp_path):
    cuts = [Cut(0, 4, tmp_path / "whole.mp4"), Cut(2, 8, tmp_path / "a.mp4"), Cut(16, 24, tmp_path / "b.mp4")]
    with pytest.raises(DataError, match="frame 20 is asked for"):
        cut_video(rendered_takes.video(0, "gp01"), cuts, 32, Fraction(5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "whole.mp4"]


@pytest.fixture
def damaged(monkeypatch):
    """Makes videos of some cameras undecodable at frame 6."""

    class Damaged(VideoReader):
        def read(self, indices):
            for number, image in super().read(indices):
                if number == 6 and self.path.stem in cameras:
                    raise DataError("frame 6 cannot be decoded")
                yield number, image

    cameras = set()
    monkeypatch.setattr(instants, "VideoReader", Damaged)
    return cameras


def test_only_clips_with_the_damage_in_them_are_missing(rendered_takes, tmp_path, damaged):
    damaged.add("gp01")
    cuts = [Cut(*bounds, tmp_path / f"{bounds[0]}.mp4") for bounds in ((0, 4), (4, 8), (5, 7), (7, 11), (12, 16))]
    with pytest.raises(DataError, match="frame 6 cannot"):
        cut_video(rendered_takes.video(0, "gp01"), cuts, 32, Fraction(5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "12.mp4", "7.mp4"]
    assert len(images(tmp_path / "7.mp4")) == 4


@pytest.mark.parametrize("formats", [("webdataset",), ("mp4", "webdataset")])
def test_a_damaged_take_has_a_shard_of_what_there_is_until_it_is_whole(formats, table, takes, tmp_path, damaged):
    path, config = table({takes.uids[0]: [spoken(1.0, 3.0)]}), ExtractConfig(formats)
    extract_clips(path, tmp_path / "undisturbed", config, TasksInProcess())
    damaged.add("gp01")
    for _ in range(2):
        done = extract_clips(path, tmp_path / "out", config, TasksInProcess())
        assert done.takes == 0
        assert len(done.failures) == 1
        (shard,) = (tmp_path / "out" / "shards").iterdir()
        assert shard.name == "clips-000000.partial.tar"
        there = [sample["json"] for sample in webdataset.WebDataset(str(shard), shardshuffle=False).decode()]
        assert [(row["timestamp"], row["exo_cam"]) for row in there] == [(1.0, "gp02"), (3.0, "gp01"), (3.0, "gp02")]
    damaged.clear()
    assert extract_clips(path, tmp_path / "out", config, TasksInProcess()).failures == []
    assert files(tmp_path / "out") == files(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [((448, 796), 256, (256, 454)), ((1408, 1408), 224, (224, 224)), ((64, 114), 256, (64, 114)), ((9, 5), 32, (8, 4))],
)
def test_sizes(size, side, expected):
    assert clip_size(*size, side) == expected


def test_files_are_where_the_table_says_and_of_the_size_asked_for(table, takes, tmp_path):
    path = table({uid: [spoken(1.0, 2.0, 2.0)] for uid in takes.uids})
    done = extract_clips(path, tmp_path / "out", ExtractConfig(short_side=48), TasksInProcess())
    assert (done.takes, done.cut, done.kept, done.failures) == (2, 2 * 2 * 3, 0, []), "equal bounds share a file"
    for row in pq.read_table(path).to_pylist():
        for view, width in (("ego", 48), ("exo", 86)):
            clip = images(tmp_path / "out" / row[f"{view}_clip"])
            assert len(clip) == row["end_frame"] - row["start_frame"] == 4
            assert clip[0].shape == (48, width, 3)


def test_shards_are_read_by_webdataset(table, takes, tmp_path):
    said = annotation(description("C lifts a cup", 1.0), description("他拿起茶碗", 2.0, best_exo=None))
    path = table({takes.uids[0]: [said], takes.uids[1]: [spoken(2.0)], "gone": [spoken(1)]})
    assert extract_clips(path, tmp_path / "out", SHARDS, TasksInProcess()).failures == []
    shards = sorted(str(shard) for shard in (tmp_path / "out" / "shards").iterdir())
    assert [shard.rsplit("/", 1)[1] for shard in shards] == ["clips-000000.tar", "clips-000001.tar"]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    assert len(samples) == 6
    assert len({sample["__key__"] for sample in samples}) == 6
    for sample in samples:
        row = sample["json"]
        assert sample["__key__"] == sample_key(row["clip_id"], row["exo_cam"])
        assert sample["txt"] == row["text"]
    by_text = {(sample["txt"], sample["json"]["exo_cam"]): sample for sample in samples}
    raw = {s["__key__"]: s for s in webdataset.WebDataset(shards, shardshuffle=False)}
    one = by_text["他拿起茶碗", "gp02"]
    assert one["json"]["is_best_exo"] is None
    assert one["json"]["timestamp"] == 2.0
    for view, camera in (("ego", one["json"]["ego_cam"]), ("exo", one["json"]["exo_cam"])):
        clip = images(io.BytesIO(raw[one["__key__"]][f"{view}.mp4"]))
        number = takes.uids.index(one["json"]["take_uid"])
        frames = range(one["json"]["start_frame"], one["json"]["end_frame"])
        whole = images(takes.video(number, camera))
        assert len(clip) == len(frames)
        assert np.abs(clip[0].astype(int) - whole[frames[0]]).mean() < 8
    assert not (tmp_path / "out" / ".work").exists()
    assert not (tmp_path / "out" / "videos").exists()


def test_what_is_there_is_kept_and_both_formats_agree(table, takes, tmp_path):
    path = table({uid: [spoken(1.0, 2.0)] for uid in takes.uids})
    extract_clips(path, tmp_path / "shards", SHARDS, TasksInProcess())
    both = ExtractConfig(("mp4", "webdataset"))
    extract_clips(path, tmp_path / "both", both, TasksInProcess())
    before = files(tmp_path / "both")
    shard = "shards/clips-000000.tar"
    assert before[shard] == files(tmp_path / "shards")[shard]
    lost = next(name for name in before if name.endswith(".mp4"))
    (tmp_path / "both" / lost).unlink()
    (tmp_path / "both" / shard).unlink()
    again = extract_clips(path, tmp_path / "both", both, TasksInProcess())
    assert (again.cut, again.kept) == (1, 11)
    assert files(tmp_path / "both") == before


def test_a_stopped_run_goes_on(table, takes, tmp_path):
    path = table({uid: [spoken(1.0, 2.0)] for uid in takes.uids})
    stop = Stop()
    done = extract_clips(
        path, tmp_path / "out", SHARDS, TasksInProcess(), stop=stop, on_result=lambda _result: stop.request()
    )
    assert (done.takes, done.waiting) == (1, 1)
    ways = []
    again = extract_clips(path, tmp_path / "out", SHARDS, TasksInProcess(), on_way=ways.append)
    assert (again.takes, again.waiting, again.cut, again.kept) == (2, 0, 6, 6)
    half = ways[-1].frames // 2
    assert {(way.done, way.read) for way in ways if way.done in (half, 2 * half)} == {(half, 0), (2 * half, half)}


def test_one_damaged_video_does_not_stop_the_rest(table, takes, tmp_path):
    path = table({uid: [spoken(1.0, 2.0)] for uid in takes.uids})
    first = sorted(takes.uids)[0]
    number = takes.uids.index(first)
    shutil.copy(takes.video(number, "gp01"), tmp_path / "whole.mp4")
    takes.video(number, "gp01").write_bytes(b"no video")
    config = ExtractConfig(("mp4", "webdataset"))
    done = extract_clips(path, tmp_path / "out", config, TasksInProcess())
    assert done.takes == 1
    (failure,) = done.failures
    assert takes.names[number] in failure
    assert "'gp01'" in failure
    shards = {path.name for path in (tmp_path / "out" / "shards").iterdir()}
    assert shards == {"clips-000000.partial.tar", "clips-000001.tar"}
    assert len(list((tmp_path / "out" / "videos" / takes.names[number]).rglob("*.mp4"))) == 4
    shutil.copy(tmp_path / "whole.mp4", takes.video(number, "gp01"))
    again = extract_clips(path, tmp_path / "out", config, TasksInProcess())
    assert (again.takes, again.cut, again.failures) == (2, 2, [])


def test_clips_of_another_table_are_not_mixed(table, takes, tmp_path):
    path, out = table({takes.uids[0]: [spoken(1.0)]}), tmp_path / "out"
    extract_clips(path, out, SHARDS, TasksInProcess())
    for change in (ExtractConfig(short_side=64), None):
        other = path if change else table({takes.uids[0]: [spoken(2.0)]}, "other.parquet")
        with pytest.raises(OutputError, match="overwrite=True"):
            extract_clips(other, out, change or SHARDS, TasksInProcess())
    extract_clips(other, out, ExtractConfig(), TasksInProcess(), overwrite=True)
    assert not (out / "shards").exists()
    assert len(list(out.rglob("*.mp4"))) == 3
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="other things"):
        extract_clips(path, tmp_path / "thesis", SHARDS, TasksInProcess())


def test_two_runs_do_not_share_a_folder(table, takes, tmp_path):
    path = table({takes.uids[0]: [spoken(1.0)]})

    def again(result):
        with pytest.raises(OutputError, match="another run"):
            extract_clips(path, tmp_path / "out", SHARDS, TasksInProcess())
        result_seen.append(result)

    result_seen = []
    extract_clips(path, tmp_path / "out", SHARDS, TasksInProcess(), on_result=again)
    assert result_seen


def test_odd_names_make_sound_keys():
    assert sample_key("take-0-1", "cam01") == "take-0-1_cam01"
    odd = {sample_key(uid, "cam01") for uid in ("a.b-0-1", "a/b-0-1", "a-b-0-1", "茶碗-0-1", "../x-0-1")}
    assert len(odd) == 5
    assert not any(set("./") & set(key) for key in odd)


@pytest.mark.parametrize("values", [{"formats": ()}, {"short_side": 0}, {"short_side": 9999}])
def test_impossible_settings_are_named(values):
    with pytest.raises(ConfigError):
        ExtractConfig(**values)


def test_the_marker_is_json(table, takes, tmp_path):
    extract_clips(table({takes.uids[0]: [spoken(1.0)]}), tmp_path / "out", SHARDS, TasksInProcess())
    assert json.loads((tmp_path / "out" / "extract.json").read_text())["short_side"] == 256


@pytest.mark.parametrize("room", [20, 3000])
def test_where_there_is_no_room_it_is_told_and_nothing_half_is_left(takes, tmp_path, table, room):
    """For the marker of the folder, which is written at once, and for clips."""
    clips, folder = table({takes.uids[0]: [spoken(1.0)]}), tmp_path / "clips"
    with little_room(room):
        try:
            told = "; ".join(extract_clips(clips, folder, ExtractConfig(("mp4",)), TasksInProcess()).failures)
        except OutputError as error:
            told = str(error)
    assert f"cannot write {folder}" in told
    assert "File too large" in told
    assert not list(folder.rglob("*.mp4"))
    assert not extract_clips(clips, folder, ExtractConfig(("mp4",)), TasksInProcess()).failures
    assert list(folder.rglob("*.mp4"))
