"""Areas under ROC curves against plain loops, with intervals over takes."""

from __future__ import annotations

import numpy as np
import pytest

from lmeec.analysis.bootstrap import draws, interval_of
from lmeec.analysis.ranking import auroc, roc
from tests.support import naive_trust as naive


@pytest.fixture
def frames():
    """Values with ties, of seven takes, two of which have frames of one kind only."""
    rng = np.random.default_rng(3)
    take = np.repeat(np.arange(7) * 10, [9, 14, 3, 20, 8, 5, 11])
    truth = rng.random(take.size) < 0.6
    truth[take == 20], truth[take == 50] = True, False
    values = np.round(rng.normal(size=take.size) + truth, 1)
    return values, truth, take


def test_it_is_the_share_of_pairs_that_are_won(frames):
    values, truth, take = frames
    found = auroc(values, truth, take)
    assert found.value == pytest.approx(naive.auroc(values, truth), abs=1e-12)
    assert found.low < found.value < found.high


def test_intervals_are_of_takes_drawn_again(frames):
    values, truth, take = frames
    areas = []
    for times in draws(7, 200, seed=5).astype(int):
        rows = [
            row
            for place, uid in enumerate(np.unique(take))
            for row in np.flatnonzero(take == uid).tolist() * times[place]
        ]
        areas.append(naive.auroc(values[rows], truth[rows]))
    low, high = interval_of(np.array(areas)[:, None])[:, 0]
    found = auroc(values, truth, take, resamples=200, seed=5)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


def test_differences_are_paired(frames):
    values, truth, take = frames
    noise = np.random.default_rng(0).normal(size=take.size)
    found = auroc(values, truth, take, noise)
    assert found.value == pytest.approx(naive.auroc(values, truth) - naive.auroc(noise, truth), abs=1e-12)
    same = auroc(values, truth, take, values)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_what_there_is_nothing_to_tell_of(frames):
    values, truth, take = frames
    assert auroc(values, np.ones_like(truth), take).value is None
    alone = auroc(values[take == 0], truth[take == 0], take[take == 0])
    assert alone.value is not None
    assert alone.low is None


def test_the_curve_is_that_of_all_thresholds(frames):
    values, truth, _ = frames
    for share, hits in roc(values, truth, 11):
        reached = [
            (values[truth] > threshold).mean()
            for threshold in [*np.unique(values), -np.inf]
            if (values[~truth] > threshold).mean() <= share + 1e-12
        ]
        assert hits == pytest.approx(max(reached), abs=1e-12)
