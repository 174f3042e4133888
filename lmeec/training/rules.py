"""What a training does where its settings are no numbers: the rules of the released recipe, and those of `finetune`.

The released recipe is not always what a fine-tuning wants. Every choice in which the two differ is a field here, so
that code which trains asks for the choice and never for a recipe's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from lmeec.model.lmeec import LMEEC, Decoded

Preset: TypeAlias = Literal["finetune", "released"]


@dataclass(frozen=True)
class Rules:
    """How a step is computed.

    Attributes:
        slots_by_recency: whether the position codes of a bank that is filling count from its newest entry instead of
            from slot 0.
        seen_by_losses: what the losses see of a step's predictions, which are there also where the object is predicted
            absent.
        over_steps: joins the losses [T] of a clip's instants.
    """

    slots_by_recency: bool
    seen_by_losses: Callable[[LMEEC, Decoded], Decoded]
    over_steps: Callable[[Tensor], Tensor]


def _as_decoded(_model: LMEEC, decoded: Decoded) -> Decoded:
    return decoded


RELEASED = Rules(slots_by_recency=True, seen_by_losses=LMEEC.gate, over_steps=torch.sum)

FINETUNE = Rules(
    # As inference counts them, with every policy but fifo.
    slots_by_recency=False,
    # Masks are learned also where the object is taken to be absent: behind the gate they have no gradient, and what is
    # wrongly absent could only come back through its score.
    seen_by_losses=_as_decoded,
    # The loss, and with it what clipping cuts, does not depend on the length of the clips.
    over_steps=torch.mean,
)

RULES: dict[Preset, Rules] = {"finetune": FINETUNE, "released": RELEASED}
