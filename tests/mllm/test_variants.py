"""What is compared: what a variant says is changed, all else as it was."""

import pytest

from lmeec.mllm.config import MllmConfig
from lmeec.mllm.settings import MllmTrainConfig
from lmeec.mllm.variants import VARIANTS

MODEL, TRAINING = MllmConfig.nano(), MllmTrainConfig.nano()


def flat(values, above=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("full", {}),
        ("without-kl", {"losses.kl": 0.0}),
        ("without-ccl", {"losses.cycle": "none"}),
        ("mlp-mapping", {"mapping.kind": "mlp"}),
        ("alone", {"join": "alone"}),
        ("twice", {"join": "twice"}),
        ("real", {"join": "real"}),
        ("without-lora", {"lora": None}),
        ("plain", {"join": "alone", "losses.kl": 0.0, "losses.cycle": "none"}),
    ],
)
def test_a_variant_changes_what_it_says_and_the_seed(name, changed):
    model, training = VARIANTS[name].of(MODEL, TRAINING, 7)
    before = dict(flat(MODEL.to_dict())) | dict(flat(TRAINING.to_dict()))
    after = dict(flat(model.to_dict())) | dict(flat(training.to_dict()))
    told = {key: value for key, value in after.items() if before.get(key, "none") != value}
    assert told == changed | {"seed": 7}


def test_every_variant_is_told():
    assert all(variant.about for variant in VARIANTS.values())
    assert len(VARIANTS) == 9
