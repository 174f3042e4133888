"""Asking a tiny model: every clip in its row, alone as in a batch, and failures told in their rows."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from lmeec.errors import DataError
from lmeec.mllm.answers import SCHEMA
from lmeec.mllm.batch import Example, collate
from lmeec.mllm.data.sample import Clip, Sample
from lmeec.mllm.data.words import words_of
from lmeec.mllm.evaluation.asking import AskConfig, Asker
from lmeec.mllm.evaluation.marks import mark
from lmeec.mllm.pixels import squares
from tests.support.mllm import TINY, prompter
from tests.support.mllm import tiny as tiny_model

SAMPLES = [
    Sample("0", "a", "mine", "object", "Look.", "What is held?", "a cup"),
    Sample("1", "a", "mine", "choice", "", "Which?", "a cup", ("a pan", "a cup", "the bread")),
    Sample("2", "b", "mine", "caption", "Describe.", answer="The camera wearer picks up a red cup."),
    Sample("3", "b", "mine", "object", "Look.", "What is cut?", "the bread"),
    Sample("4/0", "c", "mine", "match", answer="The camera wearer cuts the bread.", group="4", right=True),
    Sample("4/1", "c", "mine", "match", answer="The camera wearer cuts the bread.", group="4", right=False),
]


ROOM = replace(TINY, text_limit=200)


def tiny(**changes):
    return tiny_model(text_limit=200, **changes)


class Noise:
    """A clip of noise for each sample; one of them cannot be read."""

    samples = SAMPLES

    def __init__(self, broken=None):
        self.broken = broken

    def __len__(self):
        return len(self.samples)

    def read(self, place):
        if place == self.broken:
            raise DataError(f"{self.samples[place]}: a.mp4 is broken")
        pictures = np.random.default_rng(place).integers(0, 256, (4, 40, 30, 3), dtype=np.uint8)
        return Clip(self.samples[place], pictures, pictures[::-1])


@pytest.fixture(scope="module")
def words():
    return prompter(ROOM)


def asked(model, words, clips=None, batch=8, places=None):
    config = AskConfig(batch=batch, open_tokens=6, choice_tokens=3)
    return [row for rows in Asker(model, words, config).ask(clips or Noise(), places) for row in rows]


@pytest.fixture(scope="module")
def rows(words):
    return asked(tiny(), words)


def test_every_sample_has_what_its_kind_is_judged_by(rows):
    assert [row["id"] for row in rows] == [sample.id for sample in SAMPLES]
    assert all(isinstance(row["reply"], str) for row in rows[:4])
    assert "reply" not in rows[4]
    assert [len(row.get("option_likelihoods", ())) for row in rows] == [0, 3, 0, 0, 0, 0]
    assert all(row["truth_likelihood"] < 0 for row in rows[4:])
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    assert {measure for task in mark(table) for measure in task.marks} >= {
        "letter",
        "likelihood",
        "exact_match",
        "choice",
    }


def test_a_clip_is_answered_alone_as_in_a_batch(rows, words):
    for alone, together in zip(asked(tiny(), words, batch=1), rows, strict=True):
        assert alone.get("reply") == together.get("reply")
        for name in ("option_likelihoods", "truth_likelihood"):
            assert alone.get(name) == pytest.approx(together.get(name), abs=1e-4)


def test_only_the_real_exo_view_looks_at_exo_frames(words):
    class Blind(Noise):
        def read(self, place):
            return replace(super().read(place), exo=None)

    assert asked(tiny(), words, Blind(), places=[0]) == asked(tiny(), words, places=[0])
    with pytest.raises(DataError, match="have no exo frames"):
        asked(tiny(join="real"), words, Blind(), places=[0])
    assert asked(tiny(join="real"), words, places=[0])[0]["reply"] is not None


def test_a_clip_that_cannot_be_read_is_told_in_its_row_and_stops_no_other(rows, words):
    told = asked(tiny(), words, Noise(broken=1))
    assert told[1]["failure"] == "mine '1': a.mp4 is broken"
    assert "reply" not in told[1]
    assert [row.get("reply") for row in told[2:]] == [row.get("reply") for row in rows[2:]]


def test_a_question_that_is_too_long_is_told_in_its_row(words):
    clips = Noise()
    clips.samples = [replace(SAMPLES[0], question="Which one " * 200), *SAMPLES[1:]]
    told = asked(tiny(), words, clips)
    assert "over the limit" in told[0]["failure"]
    assert told[1]["reply"] is not None


def test_the_likelihood_of_an_option_is_the_mean_over_its_tokens_after_the_bare_question(rows, words):
    model, sample = tiny(), SAMPLES[1]
    pictures = squares(Noise().read(1).ego, model.config)
    question = words.question(words_of(replace(sample, options=())))
    with torch.inference_mode():
        visual = model.see(collate([Example(question, pictures)]))
        for option, told in zip(sample.options, rows[1]["option_likelihoods"], strict=True):
            naive = model.answer_log_probabilities(visual, [words.candidate(question, option)])
            assert told == pytest.approx(float(naive.mean()), abs=1e-4)
