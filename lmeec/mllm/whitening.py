"""A beginning for encoders that begin from nothing: patches whose channels vary independently, and all alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from lmeec.errors import DataError
from lmeec.mllm.colours import DEVIATION, MEAN
from lmeec.mllm.pixels import squares

if TYPE_CHECKING:
    from lmeec.mllm.data.source import ClipSource
    from lmeec.mllm.model import Exo2Ego

_CLIPS = 48
_LEAST = 0.01
"""Added to variances, as a share of their mean: what hardly varies is noise."""

_SCALE = 0.5


def whiten_patches(model: Exo2Ego, clips: ClipSource, seed: int) -> None:
    """Let the patch embedding of the exo encoder begin with the directions in which patches vary most.

    Without that, edges, which are small beside a patch's mean colour, are learned late.

    Args:
        model: Its encoder is changed; the ego encoder is the same one.
        clips: Some of their frames say how patches vary.
        seed: Of a rotation, which lets every channel have a share of all directions.
    """
    if model.exo_encoder is None:
        return
    weight = model.exo_encoder.embeddings.patch_embedding.weight
    width, patch = weight.shape[0], weight.shape[-1]
    frames = []
    for place in np.linspace(0, len(clips) - 1, min(_CLIPS, len(clips))).astype(int).tolist():
        try:
            clip = clips.read(place)
        except DataError:  # the training tells of it
            continue
        frames += [view[len(view) // 2] for view in (clip.ego, clip.exo) if view is not None and len(view)]
    if not frames:
        return
    pictures = torch.from_numpy(squares(frames, model.config)).permute(0, 3, 1, 2).float() / 255
    pictures = (pictures - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).view(1, 3, 1, 1)
    patches = F.unfold(pictures, patch, stride=patch).transpose(1, 2).flatten(0, 1)
    variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
    most = min(width, len(variances))
    variances, directions = variances.flip(0)[:most], directions.flip(1)[:, :most]
    whitened = (directions / (variances + _LEAST * variances.mean()).sqrt()).T
    mixed = torch.linalg.qr(torch.randn(width, most, generator=torch.Generator().manual_seed(seed)))[0]
    with torch.no_grad():
        weight.copy_((_SCALE * mixed @ whitened).view_as(weight))
