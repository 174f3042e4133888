"""What stages learn from: pairs, then questions, out of files or drawn; settings that do not fit are named."""

import json

import pytest
from PIL import Image

from lmeec.errors import ConfigError
from lmeec.mllm.synthetic.questions import TASKS
from lmeec.mllm.synthetic.world import World
from lmeec.mllm.training_data import QuestionSet, TrainingData, clips_of_stage


def test_synthetic_takes_give_captions_and_then_questions(tmp_path):
    data = TrainingData(synthetic=True, takes=2, world=World(size=32))
    captions, questions = (clips_of_stage(data, stage, 4, tmp_path) for stage in (1, 3))
    assert {sample.task for sample in captions.samples} == {"caption"}
    assert {sample.task for sample in questions.samples} <= set(TASKS)
    assert captions.read(0).exo.shape == (4, 32, 32, 3)
    with pytest.raises(ConfigError, match=r"data\.world\.frames.* those of the model, 8"):
        clips_of_stage(data, 0, 8, tmp_path)


def test_files_of_questions_are_joined(tmp_path):
    (tmp_path / "videos" / "a").mkdir(parents=True)
    Image.new("RGB", (6, 4)).save(tmp_path / "videos" / "a" / "0.png")
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(json.dumps([{"video": "a", "question": "?", "answer": "x"}]))
    two.write_text(json.dumps([{"id": "7", "template": "Moving [something]"}]))
    videos = tmp_path / "videos"
    sets = (QuestionSet(one, videos), QuestionSet(two, videos, "something-something-v2"))
    clips = clips_of_stage(TrainingData(questions=sets), 3, 2, tmp_path)
    assert [sample.source for sample in clips.samples] == ["one", "something-something-v2"]
    assert clips.read(0).ego.shape == (2, 4, 6, 3)


@pytest.mark.parametrize(
    ("settings", "stage", "said"),
    [
        ({}, 3, r"stage 3 learns from questions: .*data\.questions"),
        ({}, 1, r"stage 1 learns from pairs: .*data\.pairs"),
        ({"media": "shards"}, 2, r"data\.clips"),
        ({"media": "mp4", "pairs": "clips.parquet"}, 2, r"data\.media` is mp4, so `data\.clips"),
        ({"synthetic": True, "pairs": "clips.parquet"}, 2, r"data\.synthetic` takes the place"),
        ({"synthetic": True, "takes": 9999}, 2, r"data\.takes"),
    ],
)
def test_what_is_missing_or_does_not_go_together_is_named(tmp_path, settings, stage, said):
    with pytest.raises(ConfigError, match=said):
        clips_of_stage(TrainingData(**settings), stage, 4, tmp_path)
