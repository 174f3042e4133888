"""Random numbers that depend on a training's seed and a step's number alone, so that it can be taken up anywhere."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

_MEMORY = 2
"""Sets draws about memories apart from those of the clip sources."""


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed what dropout and the like draw from in a step of a process."""
    number = int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])
    torch.manual_seed(number)
    np.random.seed(number % (1 << 32))
    random.seed(number)


def memory_generator(seed: int, step: int, place: int) -> np.random.Generator:
    """Draws which memories of a clip are made from annotations; `place` is the clip's in the whole batch."""
    return np.random.default_rng([seed, _MEMORY, step, place])


def random_state() -> dict[str, Any]:
    """State of the global generators, as plain values and tensors."""
    numpy = np.random.get_state(legacy=False)
    words = numpy["state"]
    version, internal, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (
            numpy["bit_generator"],
            words["key"].tolist(),
            int(words["pos"]),
            int(numpy["has_gauss"]),
            float(numpy["gauss"]),
        ),
        "python": (version, list(internal), gauss_next),
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """The inverse of `random_state`; the GPUs' part is left out where their number differs."""
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    np.random.set_state(state["numpy"])
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
