"""What judges a training is what users get: the prediction's own defaults."""

from __future__ import annotations

import inspect

from lmeec.config import MemoryConfig
from lmeec.data.takes import find_takes
from lmeec.inference.predictor import predict_take
from lmeec.model.build import build_model
from lmeec.training.config import TrainConfig
from lmeec.training.group import Group
from lmeec.training.output.progress import Silent
from lmeec.training.validation import TakeValidator
from lmeec_cli.predict import predict
from tests.support.tiny import TINY


def test_a_validation_keeps_memories_as_prediction_does_by_default(rendered_takes, monkeypatch):
    policies = []

    def watched(model, take, direction, config):
        policies.append(config.memory.policy)
        return predict_take(model, take, direction, config)

    monkeypatch.setattr("lmeec.training.validation.predict_take", watched)
    validate = TakeValidator(find_takes(rendered_takes.root), TrainConfig(), Group(), Silent())
    assert validate(build_model(TINY, seed=1).train(), lambda: False).keys() == {"ego2exo", "exo2ego"}
    assert set(policies) == {MemoryConfig().policy}
    assert inspect.signature(predict).parameters["memory_policy"].default == MemoryConfig().policy
