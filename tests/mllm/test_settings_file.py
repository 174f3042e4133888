"""Settings of Exo2Ego in a file: over a preset's, and mistakes with key and line."""

import pytest

from lmeec.errors import ConfigError
from lmeec.mllm.config import MllmConfig
from lmeec.mllm.settings import MllmTrainConfig
from lmeec_cli.mllm_file import read_mllm_settings


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "exo2ego.yaml"
        path.write_text(text)
        return read_mllm_settings(path)

    return read


def test_a_file_says_what_differs_from_its_preset(read):
    settings = read(
        "preset: nano\nmodel: {join: alone, lora: null}\ntraining: {losses: {kl: 0}, stage2: {steps: 30}}\n"
    )
    assert (settings.model.join, settings.model.lora, settings.model.encoder) == (
        "alone",
        None,
        MllmConfig.nano().encoder,
    )
    assert (settings.training.losses.kl, settings.training.stage2.steps) == (0, 30)
    assert settings.training.stage2.lr == MllmTrainConfig.nano().stage2.lr
    assert read("").model == MllmConfig.paper()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("preset: nano\nmodel: {join: alon}\n", "line 2: model.join: Input should be 'mapped'"),
        ("training:\n  stage2:\n    stepz: 3\n", "line 3: training.stage2.stepz: this key is not known"),
        ("training:\n  losses: {kl: -1}\n", "line 2: training.losses: `losses.kl` is -1.0"),
        ("data:\n  synthetic: true\n  pairs: x\n", "line 1: data: `data.synthetic` takes the place"),
        ("preset: small\n", "line 1: preset: Input should be 'paper' or 'nano'"),
        ("model: 3\n", "line 1: model"),
        ("- 1\n", "holds no settings"),
        (
            "data: {questions: [{file: a.json, kind: mine}]}\n",
            "line 1: data.questions.0.kind: Input should be 'questions'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(read, text, said):
    with pytest.raises(ConfigError) as error:
        read(text)
    assert said in str(error.value)
