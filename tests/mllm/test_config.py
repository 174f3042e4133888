"""Configurations: what they allow, and that they come back from JSON as they were."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lmeec.errors import ConfigError, DataError
from lmeec.mllm.batch import Example, TextTokens, collate
from lmeec.mllm.config import PRESETS, EncoderConfig, MappingConfig, MllmConfig


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_come_back_from_json(preset):
    config = PRESETS[preset]()
    assert MllmConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_papers_clip_becomes_3042_tokens():
    paper = MllmConfig.paper()
    assert paper.encoder.grid == 24
    assert paper.visual_tokens == 2 * 1521
    assert replace(paper, frames=8, join="alone").visual_tokens == 845


def test_unknown_settings_are_named_with_their_place():
    values = MllmConfig.nano().to_dict()
    values["mapping"]["widht"] = 3
    with pytest.raises(ConfigError, match=r"mapping\.widht"):
        MllmConfig.from_dict(values)


@pytest.mark.parametrize(
    ("mapping", "patches", "named"),
    [
        (MappingConfig(downs=2), 4, r"mapping\.downs"),  # one place would be left
        (MappingConfig(downs=2, norm="group"), 6, r"mapping\.downs"),  # 6 is no multiple of 4
        (MappingConfig(downs=0), 3, "patches a side"),
    ],
)
def test_mappings_that_a_grid_does_not_allow_are_refused(mapping, patches, named):
    encoder = EncoderConfig(image_size=8 * patches, patch_size=8, width=16, heads=2)
    with pytest.raises(ConfigError, match=named):
        replace(MllmConfig.nano(), encoder=encoder, mapping=mapping)


def test_group_norm_allows_a_grid_of_one_place():
    encoder = EncoderConfig(image_size=32, patch_size=8, width=16, heads=2)
    replace(MllmConfig.nano(), encoder=encoder, mapping=MappingConfig(downs=2, norm="group"))


def frames(count, side=4):
    return np.zeros((count, side, side, 3), np.uint8)


def test_a_batch_has_frames_of_both_views_and_texts_as_long_as_they_are():
    texts = TextTokens((1,), (), (5, 6, 2)), TextTokens((1,), (7,), (2,))
    batch = collate([Example(text, frames(2), frames(2)) for text in texts])
    assert batch.ego.shape == batch.exo.shape == (2, 2, 3, 4, 4)
    assert batch.texts == texts
    assert batch.answer_tokens == 4
    assert collate([Example(texts[0], frames(2))]).exo is None


def test_clips_without_frames_and_of_other_shapes_are_named():
    text = TextTokens((1,))
    with pytest.raises(DataError, match="clip 7: has no ego frames"):
        collate([Example(text, frames(0), origin="clip 7")])
    with pytest.raises(DataError, match="clip 8: has no exo frames"):
        collate([Example(text, frames(2), frames(2)), Example(text, frames(2), origin="clip 8")])
    with pytest.raises(DataError, match=r"clip 9.*\[3, 4, 4, 3\]"):
        collate([Example(text, frames(2)), Example(text, frames(3), origin="clip 9")])
