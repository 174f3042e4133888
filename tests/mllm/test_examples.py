"""Batches out of clips: every sample once a pass, the same for the same step, as squares and words."""

from dataclasses import replace

import numpy as np
import pytest

from lmeec.errors import DataError
from lmeec.mllm.batch import TextTokens
from lmeec.mllm.config import MllmConfig, PromptConfig
from lmeec.mllm.data.examples import Examples
from lmeec.mllm.data.sample import CAPTION, Clip, Sample
from lmeec.training.group import Group

CONFIG = replace(MllmConfig.nano(), prompt=PromptConfig())
ALONE = Group(0, 1)


class Numbered:
    """Ten clips of 20x30 pixels, whose pictures have the number of the clip; some are broken."""

    def __init__(self, broken=()):
        self.broken = broken
        self.samples = [Sample(str(n), f"v{n}", "mine", "t", "Look.", f"What {n}?", str(n)) for n in range(10)]

    def __len__(self):
        return len(self.samples)

    def read(self, place):
        if place in self.broken:
            raise DataError(f"{self.samples[place]}: broken")
        pictures = np.full((4, 20, 30, 3), place, np.uint8)
        return Clip(self.samples[place], pictures, pictures + 100)


class Characters:
    """Stands for the tokenizer: a token a character."""

    def caption(self, text):
        return TextTokens((1,), (), tuple(map(ord, text)))

    def question(self, instruction, answer):
        return TextTokens((1,), tuple(map(ord, instruction)), tuple(map(ord, answer)))


def examples(clips=None, config=CONFIG, **more):
    given = {"form": "question", "batch": 4, "seed": 0, "group": ALONE} | more
    return Examples(Numbered() if clips is None else clips, Characters(), config, **given)


def numbers(batch):
    return [int(one.ego[0, 64, 64, 0]) for one in batch]


def test_a_pass_has_every_sample_once_in_an_order_of_its_own():
    with examples() as source:
        seen = [number for step in range(5) for number in numbers(source.batch(step))]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_a_step_is_the_same_whenever_it_is_asked_for_and_another_for_another_seed():
    with examples() as one, examples() as again, examples(seed=1) as other:
        later = numbers(again.batch(7))
        assert [numbers(one.batch(step)) for step in range(8)][7] == later
        assert numbers(other.batch(7)) != later


def test_workers_share_a_batch():
    whole = examples().batch(3)
    parts = [examples(group=Group(rank, 2)).batch(3) for rank in range(2)]
    assert sorted(numbers(whole)) == sorted(numbers(parts[0]) + numbers(parts[1]))
    assert len(parts[0]) == len(parts[1]) == 2


def test_both_views_are_squares_of_one_clip():
    for one in examples().batch(0):
        assert one.ego.shape == one.exo.shape == (4, 128, 128, 3)
        assert one.exo[0, 64, 64, 0] == one.ego[0, 64, 64, 0] + 100
        assert one.origin == f"mine '{one.ego[0, 64, 64, 0]}'"


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ({}, "The video is my own first-person view.\nLook.\nWhat {}?"),
        ({"task": False}, "The video is my own first-person view.\nWhat {}?"),
        ({"first_person": False}, "Look.\nWhat {}?"),
    ],
)
def test_parts_of_the_prompt_are_put_in_words(prompt, said):
    config = replace(CONFIG, prompt=replace(CONFIG.prompt, **prompt))
    (one,) = examples(config=config, batch=1).batch(0)
    number = one.ego[0, 64, 64, 0]
    assert "".join(map(chr, one.text.after)) == said.format(number)
    assert "".join(map(chr, one.text.answer)) == str(number)


def test_a_caption_is_the_answer_alone_and_a_choice_its_letter():
    clips = Numbered()
    (one,) = examples(clips, form="caption", batch=1).batch(0)
    assert (one.text.after, "".join(map(chr, one.text.answer))) == ((), str(one.ego[0, 64, 64, 0]))
    clips.samples = [replace(sample, options=("x", sample.answer)) for sample in clips.samples]
    (one,) = examples(clips, batch=1).batch(0)
    asked = "".join(map(chr, one.text.after)).splitlines()
    assert asked[-3:] == ["(A) x", f"(B) {one.origin[6:-1]}", "Answer with the letter of the right option only."]
    assert "".join(map(chr, one.text.answer)) == "B"


def test_either_form_is_the_one_of_the_sample():
    clips = Numbered()
    clips.samples = [replace(one, task=CAPTION if place % 2 else one.task) for place, one in enumerate(clips.samples)]
    asked = [bool(one.text.after) for one in examples(clips, form="either", batch=len(clips)).batch(0)]
    assert sum(asked) == len(clips.samples[::2])


def test_a_clip_that_cannot_be_read_is_told_and_replaced_or_ends_the_training():
    told = []
    with examples(Numbered(broken={3, 4}), batch=10, on_problem=told.append) as source:
        assert not {3, 4} & set(numbers(source.batch(0)))
    assert {line.split(": ", 1)[0] for line in told} == {"mine '3'", "mine '4'"}
    assert all(line.endswith("broken; the next clip stands in for it") for line in told)
    with pytest.raises(DataError, match="broken"):
        examples(Numbered(broken=range(10))).batch(0)
    with pytest.raises(DataError, match="8 clips after one another cannot be read"):
        examples(Numbered(broken=range(10)), on_problem=told.append).batch(0)


def test_what_cannot_be_learned_is_named():
    clips = Numbered()
    clips.samples = [replace(sample, answer=None) for sample in clips.samples]
    with pytest.raises(DataError, match=r"mine '\d': its answer is not known"):
        examples(clips).batch(0)
    clips.samples = []
    with pytest.raises(DataError, match="there is no clip to train on"):
        examples(clips)
