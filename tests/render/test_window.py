"""Parts of frames that are shown larger, legends of what is there, and outlines that leave small objects to be seen."""

from __future__ import annotations

import numpy as np

from lmeec.render import overlay
from lmeec.render.window import Window, window_about


def disc(height, width, row, column, radius):
    rows, columns = np.mgrid[:height, :width]
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def test_a_window_holds_its_masks_has_the_frames_shape_and_stays_inside():
    random = np.random.default_rng(0)
    for _ in range(50):
        height, width = (270, 480) if random.uniform() < 0.5 else (480, 480)
        mask = disc(height, width, random.integers(height), random.integers(width), random.integers(2, 60))
        window = window_about([mask, np.zeros((3, 5), bool)])
        assert window.cut(mask).sum() == mask.sum()
        assert 0 <= window.top <= 1 - window.side + 1e-4
        assert 0 <= window.left <= 1 - window.side + 1e-4
        rows, columns = window.cut(mask).shape
        assert abs(columns / rows - width / height) < 0.05
    assert window_about([np.zeros((9, 9), bool)]) is None
    assert window_about([np.ones((9, 9), bool)]) == Window(0, 0, 1)


def test_the_truths_outline_leaves_most_of_a_small_object_to_be_seen():
    image = np.full((480, 480, 3), 90, np.uint8)
    mask = disc(480, 480, 240, 240, 7)
    overlay.draw_prediction(image, mask)
    before = image.copy()
    overlay.draw_ground_truth(image, mask)
    changed = (image != before).any(-1)
    assert changed.any()
    assert (changed & mask).sum() < 0.5 * mask.sum()
