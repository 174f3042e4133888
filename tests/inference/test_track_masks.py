"""Masks of a track at the size of the frames, as `lmeec predict` makes them."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from lmeec.inference.track import Track


def test_masks_have_the_frames_shape_and_undo_the_squashing():
    """A disc in a wide frame, squashed to the square that the network sees: it comes back as a disc."""
    height, width, side = 90, 160, 96
    rows, columns = np.mgrid[:height, :width]
    disc = ((rows - 40) ** 2 + (columns - 100) ** 2 < 25**2).astype(np.float32)
    squashed = cv2.resize(disc, (side, side), interpolation=cv2.INTER_LINEAR) - 0.5
    logits = torch.from_numpy(np.stack([squashed, -np.ones_like(squashed)]))
    found = Track(logits, torch.ones(2), torch.ones(2), torch.ones(2, 8)).masks(height, width)
    assert found.dtype == bool
    assert found.shape == (2, height, width)
    assert (found[0] & disc.astype(bool)).sum() / (found[0] | disc.astype(bool)).sum() > 0.97
    assert not found[1].any()
