"""What Exo2Ego is compared with: its own training with one thing changed, from the same state of stage 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lmeec.mllm.config import MllmConfig, settings_from_dict
from lmeec.mllm.settings import MllmTrainConfig
from lmeec.training.settings import over

VariantName = Literal[
    "full", "without-kl", "without-ccl", "mlp-mapping", "alone", "twice", "real", "without-lora", "plain"
]


@dataclass(frozen=True)
class Variant:
    """What is changed.

    Attributes:
        about: In words.
        model: Settings of the model, as plain values.
        training: Settings of the training, as plain values.
    """

    about: str
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def of(self, model: MllmConfig, training: MllmTrainConfig, seed: int) -> tuple[MllmConfig, MllmTrainConfig]:
        """Settings with the change, and with another seed."""
        changed = settings_from_dict(MllmConfig, over(model.to_dict(), self.model))
        trained = settings_from_dict(MllmTrainConfig, over(over(training.to_dict(), self.training), {"seed": seed}))
        return changed, trained


VARIANTS: Mapping[VariantName, Variant] = {
    "full": Variant("(x, F(x)), KL and both cycles"),
    "without-kl": Variant("without KL", training={"losses": {"kl": 0.0}}),
    "without-ccl": Variant("without G and cycles", training={"losses": {"cycle": "none"}}),
    "mlp-mapping": Variant("a mapping of fully connected layers", model={"mapping": {"kind": "mlp"}}),
    "alone": Variant("x alone", model={"join": "alone"}),
    "twice": Variant("(x, x), equally many tokens", model={"join": "twice"}),
    "real": Variant("(x, y), the real exo features in place of F(x)", model={"join": "real"}),
    "without-lora": Variant("the language model as stage 2 leaves it", model={"lora": None}),
    "plain": Variant(
        "x alone, and no exo view in stage 2",
        model={"join": "alone"},
        training={"losses": {"kl": 0.0, "cycle": "none"}},
    ),
}
"""The paper's ablations, and what tells what F(x) adds: x alone, as many tokens, what it estimates, and no exo view.

`alone` and `twice` are trained with the same losses as `full`, so that they differ in what the language model sees.
"""
