"""What is true of a drawn clip, as classes, by which encoders that begin from nothing learn to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmeec.mllm.synthetic.facts import ACTIONS, FOLLOWING
from lmeec.mllm.synthetic.marks import COLOURS, SHAPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.mllm.synthetic.facts import Facts

CLASSES: tuple[int, ...] = (len(COLOURS), len(SHAPES), len(ACTIONS), 2, 2, len(FOLLOWING))
"""How many there are: colour and shape of what is handled, actions, hands, whose they are, and what comes next."""

UNKNOWN = 255
"""Stands for what is open, or is not asked of a clip: the hand of another person, or whose it is where one is alone."""


def classes_of(facts: Facts) -> NDArray[np.uint8]:
    """The classes of a clip, uint8 [6], in the order of `CLASSES`."""
    colour, shape = facts.thing.split(" ", 1)
    return np.array(
        [
            COLOURS.index(colour),
            SHAPES.index(shape),
            ACTIONS.index(facts.action),
            ("left", "right").index(facts.hand) if facts.wearer else UNKNOWN,
            int(facts.wearer) if facts.people > 1 else UNKNOWN,
            UNKNOWN if facts.following is None else FOLLOWING.index(facts.following),
        ],
        np.uint8,
    )
