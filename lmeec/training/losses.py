"""Losses of a step: focal and dice on the mask, L1 on the predicted IoU, cross entropy on the object score.

Sources: SAM 2 (section D.2.2) for the four losses and their weights 20, 1, 1, 1; focal loss of Lin et al. 2017, dice
loss of Milletari et al. 2016. Training from scratch adds a cross entropy that gives a small object's pixels as much
weight as all others together: focal and dice losses of an untrained network are happiest with empty masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lmeec.errors import require

if TYPE_CHECKING:
    from lmeec.model.lmeec import Decoded

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0
NEAR_FROM, NEAR_AT_LEAST = 0.25, 4
"""Share of a pixel that makes it the object's, and the least margin about it, in pixels."""


@dataclass(frozen=True)
class LossWeights:
    """Share of each loss in the sum; those from `balanced` on are for training from scratch.

    `dense` is for models with embeddings of pixels and scenes that know what each pixel shows.
    """

    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    object_score: float = 1.0
    balanced: float = 0.0
    correspondence: float = 0.0
    near: float = 0.0
    dense: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            require(weight >= 0, f"losses.{name}", weight, "zero or more")


@dataclass(frozen=True)
class StepLosses:
    """Losses of one instant, means over its R objects; those of the mask are zero where it is not visible.

    Attributes:
        focal: on the mask; likewise `dice`, `balanced` and `near`.
        iou: distance of the predicted IoU to the one that was reached.
        object_score: cross entropy of visibility.
        reached: IoU of the masks, the sum over visible objects; no loss, but worth knowing.
    """

    focal: Tensor
    dice: Tensor
    iou: Tensor
    object_score: Tensor
    balanced: Tensor
    near: Tensor
    reached: Tensor

    def total(self, weights: LossWeights) -> Tensor:
        """The weighted sum."""
        return (
            weights.focal * self.focal
            + weights.dice * self.dice
            + weights.iou * self.iou
            + weights.object_score * self.object_score
            + weights.balanced * self.balanced
            + weights.near * self.near
        )


def focal_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Focal loss of each mask, mean over its pixels.

    Args:
        logits: [R, H, W].
        masks: 0 to 1, [R, H, W].

    Returns:
        [R].
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    probability = logits.sigmoid()
    miss = probability + masks - 2 * probability * masks
    balance = (1 - FOCAL_ALPHA) + (2 * FOCAL_ALPHA - 1) * masks
    return (balance * miss**FOCAL_GAMMA * entropy).flatten(1).mean(1)


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """One minus the dice coefficient of each mask, smoothed by one pixel; see `focal_loss`."""
    probability = logits.sigmoid().flatten(1)
    truth = masks.flatten(1)
    overlap = (probability * truth).sum(1)
    return 1 - (2 * overlap + 1) / (probability.sum(1) + truth.sum(1) + 1)


def balanced_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy of each mask, half of it the mean over the object's pixels and half over the others.

    See `focal_loss`.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none").flatten(1)
    inside = masks.flatten(1)
    return (_mean(entropy, inside) + _mean(entropy, 1 - inside)) / 2


def near_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy of each mask, mean over a box about the object that is larger by half of its sides on each side.

    There about a third of the pixels are the object's, whatever its size, so that edges count alike in small and large
    objects, and no more on the one side than on the other. See `focal_loss`.
    """
    inside = (masks >= NEAR_FROM).float()
    box = _span(inside.amax(2))[:, :, None] * _span(inside.amax(1))[:, None]
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none").flatten(1)
    return _mean(entropy, box.flatten(1))


def _span(shown: Tensor) -> Tensor:
    """Whether each of the places [R, n] lies in the reach of those that are 1, or near: float [R, n]."""
    places = torch.arange(shown.shape[1], device=shown.device)
    first = torch.where(shown > 0, places, shown.shape[1]).amin(1, keepdim=True)
    last = torch.where(shown > 0, places, -1).amax(1, keepdim=True)
    margin = ((last - first + 1) / 2).clamp(min=NEAR_AT_LEAST)
    return ((places >= first - margin) & (places <= last + margin)).float()


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum(1) / weights.sum(1).clamp(min=1)


def mask_iou(logits: Tensor, masks: Tensor) -> Tensor:
    """IoU of thresholded masks, [R]; see `focal_loss`."""
    predicted, truth = (logits > 0).flatten(1), (masks >= 0.5).flatten(1)
    union = (predicted | truth).sum(1)
    return (predicted & truth).sum(1) / union.clamp(min=1)


def step_losses(
    decoded: Decoded, masks: Tensor, annotated: Tensor, *, stride: int = 1, objects: Tensor | None = None
) -> StepLosses:
    """Losses of one instant.

    Args:
        decoded: predictions, R rows.
        masks: the truth at the image size, bool [R, S, S]; empty where the object is not visible.
        annotated: whether the object was annotated here, bool [R]; the rest is left out.
        stride: compare masks at a resolution of S / stride; 1 as in SAM 2, 2 for a quarter of the time.
        objects: what to divide the sums by; None means the annotated objects. Where a batch is computed in pieces,
            those of the whole batch.
    """
    truth = masks[:, None].float()
    if stride > 1:
        truth = F.avg_pool2d(truth, stride)
    logits = F.interpolate(decoded.mask_logits[:, None], truth.shape[-2:], mode="bilinear", align_corners=False)
    logits, truth = logits[:, 0], truth[:, 0]
    visible = masks.flatten(1).any(1)
    shown = (visible & annotated).float()
    judged = annotated.float()
    objects = judged.sum().clamp(min=1) if objects is None else objects
    with torch.no_grad():
        reached = mask_iou(logits, truth)
    entropy = F.binary_cross_entropy_with_logits(decoded.object_score, visible.float(), reduction="none")
    return StepLosses(
        focal=(focal_loss(logits, truth) * shown).sum() / objects,
        dice=(dice_loss(logits, truth) * shown).sum() / objects,
        iou=((decoded.predicted_iou - reached).abs() * shown).sum() / objects,
        object_score=(entropy * judged).sum() / objects,
        balanced=(balanced_loss(logits, truth) * shown).sum() / objects,
        near=(near_loss(logits, truth) * shown).sum() / objects,
        reached=(reached * shown).sum(),
    )
