"""A step of training and a validation on torch's meta device: no tensor left on the host, no transfer that hides.

Left out is the correspondence loss of training from nothing, which asks the device how many objects both views show.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lmeec.data.takes import find_takes
from lmeec.model.build import build_model
from lmeec.training.config import ScratchConfig, TrainConfig
from lmeec.training.group import Group
from lmeec.training.output.progress import Silent
from lmeec.training.trainer import Trainer
from lmeec.training.validation import TakeValidator
from tests.support.meta import META, OneDevice
from tests.support.moving import MovingClips
from tests.support.tiny import TINY

PLAIN = TrainConfig(micro_batch=2, recompute=False)
CONFIGS = {
    "plain": PLAIN,
    "recompute": replace(PLAIN, recompute=True),
    "scratch": replace(PLAIN, scratch=ScratchConfig(annotated_memory=0.5)),
    "presence": replace(PLAIN, only="presence"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_crosses_to_the_host_once_for_its_losses_and_once_for_their_gradients(name, monkeypatch):
    """Four clips, two at a time."""
    trainer = Trainer(build_model(TINY, seed=1).to(META).train(), CONFIGS[name], steps=1)
    clips = MovingClips(4).batch(0)
    with OneDevice().seam(monkeypatch) as device:
        values = trainer._update(clips, lambda: False)
    assert values is not None
    assert [len(shape) for shape in device.brought] == [1, 0]
    assert len({shape for shape in device.sent if len(shape) == 5}) == 1, "frames of both views, in one shape"


def test_a_validation_crosses_to_the_host_once_a_batch(monkeypatch, rendered_takes):
    validate = TakeValidator(find_takes(rendered_takes.root), TrainConfig(), Group(), Silent())
    model = build_model(TINY, seed=1).to(META)
    with OneDevice().seam(monkeypatch) as device:
        scores = validate(model, lambda: False)
    assert scores
    assert {len(shape) for shape in device.brought} == {1}, "packed masks and scores, and nothing else"
