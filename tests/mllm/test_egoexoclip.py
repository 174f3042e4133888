"""Ego-ExoClip out of takes, files and shards, and conversations: the same clips by every way, of one instant."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lmeec.clips import ClipsConfig, LengthConfig, make_clips, read_source
from lmeec.clips.extract import ExtractConfig, extract_clips
from lmeec.clips.instruct import InstructConfig, write_instructions
from lmeec.errors import DataError
from lmeec.mllm.data.conversations import read_conversations
from lmeec.mllm.data.egoexoclip import PairConfig, ShardClips, read_pairs
from lmeec.mllm.data.reading import VideoClips
from lmeec.runs.tasks import TasksInProcess
from lmeec.video.file import VideoReader
from tests.support.described import annotation, description, write_descriptions


@pytest.fixture(scope="module")
def folder(rendered_takes, tmp_path_factory):
    """A clips table of real takes, its clips as files and in shards, and conversations."""
    folder = tmp_path_factory.mktemp("pairs")
    root = shutil.copytree(rendered_takes.root, folder / "takes")
    texts = [
        description("C lifts the lid.", 1.0),
        description("O hands C the pan.", 1.6, subject="O"),
        description("C looks for O.", 2.2, ego_visible=False),
        description("C puts it down.", 2.8),
    ]
    write_descriptions(root, {rendered_takes.uids[0]: [annotation(*texts)]})
    config = ClipsConfig(length=LengthConfig("fixed", 0.8))
    make_clips(read_source(root, config), folder / "clips.parquet", config)
    extract_clips(folder / "clips.parquet", folder / "cut", ExtractConfig(("mp4", "webdataset")), TasksInProcess())
    write_instructions(folder / "clips.parquet", folder / "data.jsonl", InstructConfig(val_share=0))
    return folder


def test_pairs_are_what_the_wearer_does_and_the_ego_camera_shows(folder):
    pairs = read_pairs(folder / "clips.parquet")
    exos = len(pairs) // 2
    assert Counter(pair.answer for pair in pairs) == {
        "The camera wearer lifts the lid.": exos,
        "The camera wearer puts it down.": exos,
    }
    everything = read_pairs(folder / "clips.parquet", PairConfig(wearer_only=False, ego_visible_only=False))
    assert len(everything) == 4 * exos
    assert "Another person hands the camera wearer the pan." in {pair.answer for pair in everything}
    assert len({pair.id for pair in everything}) == len(everything)


def test_frames_of_takes_are_those_of_the_videos_by_number_in_both_views(folder):
    pairs = read_pairs(folder / "clips.parquet")
    source = VideoClips(pairs, None, 4)
    for place in (0, len(pairs) - 1):
        clip, (first, past) = source.read(place), pairs[place].frames
        wanted = [first + round((i + 0.5) * (past - first - 1) / 4) for i in range(4)]
        for pictures, video in ((clip.ego, pairs[place].video), (clip.exo, pairs[place].exo_video)):
            with VideoReader(Path(video)) as reader:
                frames = dict(reader.read(sorted(set(wanted))))
            np.testing.assert_array_equal(pictures, np.stack([frames[number] for number in wanted]))


def test_files_and_shards_hold_the_same_pairs_as_takes(folder):
    of_takes = VideoClips(read_pairs(folder / "clips.parquet"), None, 4)
    of_files = VideoClips(read_pairs(folder / "clips.parquet", media="mp4"), folder / "cut", 4)
    of_shards = ShardClips(folder / "cut", 4)
    assert [s.id for s in of_takes.samples] == [s.id for s in of_files.samples] == [s.id for s in of_shards.samples]
    for place in range(len(of_takes)):
        by_take, by_file, by_shard = (source.read(place) for source in (of_takes, of_files, of_shards))
        assert by_take.sample.answer == by_file.sample.answer == by_shard.sample.answer
        for view in ("ego", "exo"):
            pictures = getattr(by_file, view)
            np.testing.assert_array_equal(pictures, getattr(by_shard, view))
            # Cutting encodes anew, which changes pixels a little.
            assert pictures.shape == getattr(by_take, view).shape
            assert np.abs(pictures.astype(float) - getattr(by_take, view)).mean() < 8


def test_conversations_are_on_the_takes_own_frames_of_the_ego_camera(folder):
    samples = read_conversations(folder / "data.jsonl", folder / "clips.parquet")
    everything = read_conversations(folder / "data.jsonl", folder / "clips.parquet", ego_only=False)
    assert 0 < len(samples) < len(everything)
    assert all("aria" in sample.video for sample in samples)
    assert all("<video>" not in sample.question for sample in everything)
    assert VideoClips(samples, None, 4).read(0).ego.shape[0] == 4
    cut = read_conversations(folder / "data.jsonl", ego_only=False)
    assert VideoClips(cut, folder / "cut", 4).read(0).ego.shape[0] == 4


def test_conversations_of_another_table_and_other_turns_are_named(folder, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text((folder / "data.jsonl").read_text().replace("videos/", "elsewhere/"))
    with pytest.raises(DataError, match=r"data\.jsonl, line 1: key video: .* is no clip of"):
        read_conversations(path, folder / "clips.parquet")
    path.write_text('{"id": "a", "video": "b", "conversations": [{"from": "human", "value": "x"}]}')
    with pytest.raises(DataError, match=r"line 1: key conversations: has other turns"):
        read_conversations(path, ego_only=False)


def test_damaged_and_missing_shards_are_named(folder, tmp_path):
    with pytest.raises(DataError, match="holds no shards"):
        ShardClips(tmp_path, 4)
    shard = next((folder / "cut" / "shards").glob("*.tar"))
    (tmp_path / shard.name).write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"is not a shard that can be read|lacks ego\.mp4"):
        ShardClips(tmp_path, 4)


def test_a_table_without_pairs_to_be_taken_says_what_to_change(folder, rendered_takes, tmp_path):
    root = shutil.copytree(folder / "takes", tmp_path / "takes")
    write_descriptions(root, {rendered_takes.uids[0]: [annotation(description("O sings.", 1.0, subject="O"))]})
    config = ClipsConfig(length=LengthConfig("fixed", 0.8))
    make_clips(read_source(root, config), tmp_path / "clips.parquet", config)
    with pytest.raises(DataError, match="wearer_only"):
        read_pairs(tmp_path / "clips.parquet")
