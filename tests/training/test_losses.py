"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from lmeec.errors import ConfigError
from lmeec.model.lmeec import Decoded
from lmeec.training.losses import LossWeights, balanced_loss, dice_loss, focal_loss, mask_iou, near_loss, step_losses

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)
ONE_OF_FOUR = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
# Probabilities 3/4 where the object is, and 1/2 elsewhere.
LOGITS = torch.tensor([[[LN3, 0.0], [0.0, 0.0]]])


def test_focal_loss():
    # alpha 0.25 and gamma 2: 0.25 * (1/4)^2 * ln(4/3) for the object's pixel, 0.75 * (1/2)^2 * ln 2 for the others.
    expected = (0.25 / 16 * (LN4 - LN3) + 3 * 0.75 / 4 * LN2) / 4
    assert_close(focal_loss(LOGITS, ONE_OF_FOUR), torch.tensor([expected]))


def test_dice_loss():
    # overlap 3/4, probabilities add up to 9/4, truth to 1: 1 - (3/2 + 1) / (9/4 + 1 + 1).
    assert_close(dice_loss(LOGITS, ONE_OF_FOUR), torch.tensor([1 - 2.5 / 4.25]))


def test_balanced_loss():
    # The one pixel of the object weighs as much as the three others.
    assert_close(balanced_loss(LOGITS, ONE_OF_FOUR), torch.tensor([((LN4 - LN3) + LN2) / 2]))


def test_mask_iou():
    logits = torch.tensor([[[1.0, 1.0], [-1.0, -1.0]], [[-1.0, -1.0], [-1.0, -1.0]]])
    assert_close(mask_iou(logits, ONE_OF_FOUR.expand(2, 2, 2)), torch.tensor([0.5, 0.0]))


@pytest.fixture
def three_objects():
    """One that is visible, one that is annotated as not visible, and one that nobody looked for."""
    decoded = Decoded(
        mask_logits=LOGITS.expand(3, 2, 2),
        object_score=torch.tensor([LN3, LN3, 5.0]),
        predicted_iou=torch.tensor([0.25, 0.9, 0.9]),
        object_pointer=torch.zeros(3, 4),
    )
    masks = torch.zeros(3, 2, 2, dtype=torch.bool)
    masks[0, 0, 0] = masks[2, 0, 0] = True
    return decoded, masks, torch.tensor([True, True, False])


def test_only_visible_objects_have_mask_losses_and_only_annotated_ones_any(three_objects):
    losses = step_losses(*three_objects)
    assert_close(losses.focal, focal_loss(LOGITS, ONE_OF_FOUR)[0] / 2)
    assert_close(losses.dice, dice_loss(LOGITS, ONE_OF_FOUR)[0] / 2)
    assert_close(losses.balanced, balanced_loss(LOGITS, ONE_OF_FOUR)[0] / 2)
    assert_close(losses.iou, torch.tensor(0.75 / 2))  # reached 1, predicted 1/4
    # ln(4/3) for the visible object, ln 4 for the one that is not, both with a probability of 3/4.
    assert_close(losses.object_score, torch.tensor((LN4 - LN3 + LN4) / 2))
    assert_close(losses.reached, torch.tensor(1.0))
    weights = LossWeights(balanced=2)
    by_hand = 20 * losses.focal + losses.dice + losses.iou + losses.object_score + 2 * losses.balanced
    assert_close(losses.total(weights), by_hand)


def test_a_piece_of_a_batch_counts_by_the_objects_of_the_whole(three_objects):
    whole, piece = step_losses(*three_objects), step_losses(*three_objects, objects=torch.tensor(8.0))
    assert_close(piece.object_score, whole.object_score / 4)
    assert_close(piece.focal, whole.focal / 4)


def test_nothing_annotated_is_no_loss(three_objects):
    decoded, masks, _ = three_objects
    losses = step_losses(decoded, masks, torch.zeros(3, dtype=torch.bool))
    assert losses.total(LossWeights(balanced=1)) == 0


def test_stride_compares_shares_of_pixels(three_objects):
    decoded, masks, annotated = three_objects
    # One cell, a quarter of it the object; logits are interpolated to its centre.
    logit = LN3 / 4
    losses = step_losses(decoded, masks, annotated, stride=2)
    assert_close(losses.dice, dice_loss(torch.full((1, 1, 1), logit), torch.full((1, 1, 1), 0.25))[0] / 2)


def test_negative_weights_are_refused():
    with pytest.raises(ConfigError, match=r"`losses\.dice` is -1"):
        LossWeights(dice=-1)


def test_the_near_loss_counts_edges_of_small_and_large_objects_alike():
    """A mask that is too large by a quarter of its side costs the same at every size; balanced losses let it pass."""
    found = []
    for side in (8, 16, 32):
        truth = torch.zeros(1, 128, 128)
        truth[:, 40 : 40 + side, 40 : 40 + side] = 1
        bold = torch.full_like(truth, -4.0)
        bold[:, 40 - side // 4 : 40 + side + side // 4, 40 - side // 4 : 40 + side + side // 4] = 4
        found.append(float(near_loss(bold, truth)))
        assert found[-1] > 10 * float(near_loss(8 * truth - 4, truth))
    assert max(found) < 1.3 * min(found)
