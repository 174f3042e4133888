"""Tiny Exo2Ego models, vocabularies and batches."""

from dataclasses import replace

import numpy as np
import torch

from lmeec.mllm.batch import Example, collate
from lmeec.mllm.config import EncoderConfig, LanguageConfig, LoraSettings, MappingConfig, MllmConfig
from lmeec.mllm.model import ALL_PARTS, Exo2Ego
from lmeec.mllm.prompt import Prompter
from lmeec.mllm.vocabulary import make_vocabulary

SENTENCES = [
    "The camera wearer picks up a red cup.",
    "The camera wearer cuts the bread with a knife.",
    "What am I doing? I wash the pan.",
]

TINY = MllmConfig(
    frames=4,
    encoder=EncoderConfig(image_size=32, patch_size=4, width=16, layers=1, heads=2, hidden=32),
    language=LanguageConfig(
        vocabulary=300,
        width=24,
        layers=2,
        heads=4,
        kv_heads=2,
        hidden=32,
        positions=512,
        rope_theta=1e4,
        pad_token=None,
    ),
    mapping=MappingConfig(width=4, blocks=2, downs=1),
    lora=LoraSettings(rank=2, alpha=4, dropout=0.0),
    text_limit=64,
)


def tiny(seed=0, parts=ALL_PARTS, **changes):
    """A model with random weights."""
    torch.manual_seed(seed)
    return Exo2Ego(replace(TINY, **changes), parts).eval()


def prompter(config=TINY):
    """Makes texts of a vocabulary that fits the model."""
    return Prompter(make_vocabulary(SENTENCES, config.language.vocabulary), config)


def examples(count=2, seed=0, config=TINY, exo=True):
    """Clips of noise, each with a sentence of another length."""
    drawn, made = np.random.default_rng(seed), prompter(config)
    side = config.encoder.image_size

    def frames():
        return drawn.integers(0, 256, (config.frames, side, side, 3), dtype=np.uint8)

    return [
        Example(made.caption(SENTENCES[place % 3]), frames(), frames() if exo else None, f"clip {place}")
        for place in range(count)
    ]


def batch(count=2, **settings):
    """`examples`, joined."""
    return collate(examples(count, **settings))
