"""The built-in Exo2Ego model: made of a training, found by its name, and its card's tables."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks.exo2ego_card import by_task, by_variant, verdicts
from benchmarks.exo2ego_weights import compared, write_small
from lmeec.mllm.built_in import BUILT_IN
from lmeec.mllm.checkpoint import load_mllm, save_mllm
from lmeec.mllm.data.reading import VideoClips
from lmeec.mllm.data.sample import CAPTION, Sample
from lmeec.mllm.evaluation.scores import TaskScore
from lmeec.mllm.model import ALL_PARTS, parts_of_inference
from lmeec.mllm.synthetic.marks import COLOURS, SHAPES
from tests.support.command import lmeec
from tests.support.mllm import TINY, batch, prompter, tiny
from tests.support.videos import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "0.mp4", 12)


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """What stage 3 leaves, with adapters that do something."""
    model = tiny(parts=parts_of_inference(TINY), text_limit=200)
    model.add_adapters()
    for name, value in model.named_parameters():
        if "lora_B" in name:
            value.data.normal_(0, 0.1)
    folder = tmp_path_factory.mktemp("training") / "model"
    save_mllm(folder, model, prompter(TINY).tokenizer)
    return folder


@pytest.fixture(scope="module")
def small(training, tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "small"
    write_small(training, folder)
    return folder


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def test_what_is_shipped_is_small_whole_and_computes_the_same(training, small):
    assert size(small) < 0.55 * size(training)
    assert not (small / "lora").exists()
    before, after = (load_mllm(folder, merge=True).model for folder in (training, small))
    assert after.parts == parts_of_inference(TINY) != ALL_PARTS
    seen = batch(2, exo=False)
    one, other = (
        model.answer_log_probabilities(model.see(seen), seen.texts).detach().numpy() for model in (before, after)
    )
    np.testing.assert_allclose(one, other, atol=2e-2)
    assert {path.stat().st_mode for path in small.rglob("*") if path.is_file()} == {
        (small / "config.json").stat().st_mode
    }


def test_replies_of_both_are_compared_by_task(training, small, video):
    samples = [
        Sample("0", str(video), "mine", "object", question="Which?", answer="red cup"),
        Sample("1", str(video), "mine", CAPTION, answer="The camera wearer picks up a red cup."),
    ]
    found = compared(training, small, VideoClips(samples, None, TINY.frames))
    assert {task: count for task, (_, count) in found["equal_replies"].items()} == {"object": 1, CAPTION: 1}
    assert found["scores"]["trained"].keys() == {"object", CAPTION}


def test_a_model_is_named_or_a_folder(small, video, monkeypatch):
    monkeypatch.setattr("lmeec.mllm.built_in.BUILT_IN", {"nano": small})
    done = lmeec("mllm", "answer", video, "Which object is handled here?", "--tokens", 4)
    assert done.status == 0, done.err
    assert "none for real video" in done.err
    own = lmeec("mllm", "answer", video, "Which object is handled here?", "--tokens", 4, "--model", small)
    assert own.out == done.out
    assert "real video" not in own.err
    monkeypatch.setattr("lmeec.mllm.built_in.BUILT_IN", {"nano": small / "lost"})
    lost = lmeec("mllm", "answer", video, "Which?")
    assert (lost.status, "--model" in lost.err) == (1, True)
    odd = lmeec("mllm", "answer", video, "Which?", "--model", "nanno")
    assert (odd.status, "neither a folder of a model of Exo2Ego nor a built-in one (nano)" in odd.err) == (1, True)


def test_the_built_in_model_answers_out_of_the_box(video):
    """Of noise it can say nothing true, but a colour and a thing that it knows."""
    done = lmeec("mllm", "answer", video, "Which object is handled here?")
    assert done.status == 0, done.err
    colour, shape = done.out.strip().split(" ", 1)
    assert colour in COLOURS
    assert shape in SHAPES
    folder = BUILT_IN["nano"]
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 10e6
    assert folder.with_name("exo2ego-nano.md").is_file()


def one(value, interval, measure="exact_match", task="object"):
    return asdict(TaskScore("synthetic", task, measure, value, interval, 1017, 299))


@pytest.mark.parametrize(
    ("value", "over", "said"),
    [
        (
            0.31,
            [(0.1, (0.02, 0.2)), (0.05, (-0.01, 0.1))],
            ["yes (31.0 (28.0 to 32.0) and 10.0", "yes (+10.0", "no (+5.0"],
        ),
        (0.29, [(0.1, (0.0, 0.2)), None], ["no (29.0", "no (+10.0 (+0.0 to +20.0))", "not measured"]),
    ],
)
def test_the_cards_verdicts_are_those_that_were_set(value, over, said):
    scores = json.loads(
        json.dumps(
            {
                "scores": {"full": [one(value, (0.28, 0.32)), one(0.5, (0.4, 0.6), "rougeL", "caption")], "alone": []},
                "blank": [one(0.1, (0.08, 0.12))],
                "over": {
                    name: [one(*found)]
                    for name, found in zip(("alone", "twice"), over, strict=True)
                    if found is not None
                },
            }
        )
    )
    assert all(part in verdict for part, verdict in zip(said, verdicts(scores), strict=True))
    assert "| which object | 1,017 |" in by_task(scores)
    assert "| caption (ROUGE-L) | 1,017 | 50.0 (40.0 to 60.0) | - |" in by_task(scores)
    assert by_variant(scores).count("\n") == 3
