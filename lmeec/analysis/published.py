"""Published numbers, with what they are of, so that nobody compares unlike things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Published:
    """A method's numbers.

    Attributes:
        method: its name.
        source: where they were published.
        split: which takes they are of.
        protocol: how they were computed, in words.
        directions: metrics by direction: IoU and balanced accuracy from 0 to 1, as tables have them.
    """

    method: str
    source: str
    split: str
    protocol: str
    directions: Mapping[str, Mapping[str, float]]


LM_EEC = Published(
    method="LM-EEC",
    source='"Robust Ego-Exo Correspondence with Long-Term Memory", NeurIPS 2025, arXiv:2510.11417',
    split="test split of Ego-Exo4D's relations",
    protocol=(
        "protocol as printed there (the authors' own scripts score as the protocol paper does, otherwise than the "
        "benchmark; the test split's ground truth is with the challenge's server alone)"
    ),
    directions={
        "ego2exo": {
            "iou": 0.5498,
            "location_error": 0.017,
            "contour_accuracy": 0.778,
            "balanced_accuracy": 0.6422,
        },
        "exo2ego": {
            "iou": 0.6577,
            "location_error": 0.031,
            "contour_accuracy": 0.774,
            "balanced_accuracy": 0.5814,
        },
    },
)
