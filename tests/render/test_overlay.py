"""Overlays: what is where, and what is told apart without colour."""

from __future__ import annotations

import numpy as np
import pytest

from lmeec.render.overlay import draw_ground_truth, draw_prediction, draw_query

DRAWERS = [draw_query, draw_prediction, draw_ground_truth]


def drawn(draw, size=(200, 200)):
    image = np.full((*size, 3), 100, dtype=np.uint8)
    mask = np.zeros((100, 100), dtype=bool)
    mask[20:60, 30:80] = True
    draw(image, mask)
    return image


@pytest.mark.parametrize("draw", DRAWERS)
def test_masks_land_where_they_are_whatever_the_image_size(draw):
    image = drawn(draw, (400, 300))
    changed = (image != 100).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert [rows[0], rows[-1]] == pytest.approx([80, 239], abs=4)
    assert [columns[0], columns[-1]] == pytest.approx([90, 239], abs=4)


def test_patterns_differ_in_grey():
    inside = {draw: drawn(draw)[50:110, 70:150].mean(axis=2) for draw in DRAWERS}
    assert inside[draw_query].std() > 10  # hatched
    assert inside[draw_prediction].std() < 1
    assert inside[draw_prediction].mean() != 100
    assert (inside[draw_ground_truth] == 100).all()  # an outline only
    edge = drawn(draw_ground_truth)[40, 70:150].mean(axis=1)
    assert edge.min() < 60
    assert edge.max() > 200


@pytest.mark.parametrize("draw", DRAWERS)
def test_empty_and_full_masks(draw):
    image = np.full((40, 40, 3), 100, dtype=np.uint8)
    draw(image, np.zeros((20, 20), dtype=bool))
    assert (image == 100).all()
    draw(image, np.ones((20, 20), dtype=bool))
    assert (image != 100).any()
