"""What a training does where its settings are no numbers: the rules of the released recipe, and those of `finetune`.

The released recipe is not always what a fine-tuning wants. Every choice in which the two differ is a field here, so
that code which trains asks for the choice and never for a recipe's name. The numbers of the released recipe are with
the settings (`lmeec.training.config.released`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lmeec.model.lmeec import LMEEC, Decoded
from lmeec.training.clips.augment import AugmentConfig, augment, augment_as_one
from lmeec.training.clips.cache import Reading
from lmeec.training.clips.clip import Clip
from lmeec.training.clips.tracks import FindTracks, doubly_annotated_tracks, predicted_tracks
from lmeec.video.pixels import BICUBIC, BILINEAR

Preset: TypeAlias = Literal["finetune", "released"]


@dataclass(frozen=True)
class Rules:
    """How clips are cut and a step is computed.

    Attributes:
        tracks: finds what clips are cut from: their frames, where they may begin, and what their pointers are timed by.
        reading: how frames become the network's square.
        half: whether what a resized mask covers by exactly one half belongs to the object.
        judges_lost: whether an object that is so small that resizing leaves nothing of it counts as not visible;
            else nothing is learned from its frame.
        augment: changes a clip.
        slots_by_recency: whether the position codes of a bank that is filling count from its newest entry instead of
            from slot 0.
        seen_by_losses: what the losses see of a step's predictions, which are there also where the object is predicted
            absent.
        over_steps: joins the losses [T] of a clip's instants.
    """

    tracks: FindTracks
    reading: Reading
    half: bool
    judges_lost: bool
    augment: Callable[[Clip, AugmentConfig, np.random.Generator], Clip]
    slots_by_recency: bool
    seen_by_losses: Callable[[LMEEC, Decoded], Decoded]
    over_steps: Callable[[Tensor], Tensor]


def _as_decoded(_model: LMEEC, decoded: Decoded) -> Decoded:
    return decoded


RELEASED = Rules(
    tracks=doubly_annotated_tracks,
    reading=Reading("released", BILINEAR),
    half=False,
    judges_lost=True,
    augment=augment_as_one,
    slots_by_recency=True,
    seen_by_losses=LMEEC.gate,
    over_steps=torch.sum,
)

FINETUNE = Rules(
    # Clips are pieces of the tracks that inference has, with its frames, pixels, masks and codes: what is trained is
    # what predicts. Where annotators looked and found nothing, the object's absence is learned.
    tracks=predicted_tracks,
    reading=Reading("fast", BICUBIC),
    half=True,
    judges_lost=False,
    # Two cameras turn, shine and fade each for itself.
    augment=augment,
    # As inference counts them, with every policy but fifo.
    slots_by_recency=False,
    # Masks are learned also where the object is taken to be absent: behind the gate they have no gradient, and what is
    # wrongly absent could only come back through its score.
    seen_by_losses=_as_decoded,
    # The loss, and with it what clipping cuts, does not depend on the length of the clips.
    over_steps=torch.mean,
)

RULES: dict[Preset, Rules] = {"finetune": FINETUNE, "released": RELEASED}
