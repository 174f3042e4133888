"""Rules for trust and presence against a second implementation, fold by fold."""

from __future__ import annotations

import numpy as np
import pytest

from lmeec.analysis.rule import STRENGTH, Rule, fit_rule, folds_of, known_features, out_of_fold
from lmeec.errors import DataError
from tests.support import naive_trust as naive

FEATURES = ("predicted_iou", "cycle_iou", "overlap_near")


@pytest.fixture
def frames():
    rng = np.random.default_rng(1)
    take = np.repeat(np.arange(6), [20, 8, 30, 15, 12, 25])
    truth = rng.random(take.size) < 0.7
    values = rng.normal(size=(take.size, 3)) * [1, 5, 0.1] + truth[:, None] * [1.0, 2.0, 0.0]
    values[rng.random(take.size) < 0.2, 2] = np.nan
    return values, truth, take


@pytest.mark.parametrize("balanced", [True, False])
def test_every_frame_is_judged_by_a_fit_without_its_take(frames, balanced):
    values, truth, take = frames
    folds = folds_of(truth, take)
    assert all(len(set(folds[take == one])) == 1 for one in range(6))
    assert len(set(folds)) == 5
    found = out_of_fold(values, truth, folds, FEATURES, balanced=balanced)
    for fold in range(5):
        train, test = folds != fold, folds == fold
        expected = naive.logistic(values[train], truth[train], values[test], strength=STRENGTH, balanced=balanced)
        assert found[test] == pytest.approx(expected, abs=1e-4)
    said = found > 0.5
    shares = [(said == truth)[truth == kind].mean() for kind in (True, False)]
    assert naive.balanced_accuracy(said, truth) == pytest.approx(sum(shares) / 2)


def test_a_sign_that_a_frame_lacks_says_nothing(frames):
    values, truth, _ = frames
    rule = fit_rule(values, truth, FEATURES, balanced=True)
    lacking = np.array([[0.5, 1.0, np.nan], [0.5, 1.0, rule.mean[2]]])
    assert rule.probability(lacking)[0] == rule.probability(lacking)[1]
    assert known_features(FEATURES, values) == FEATURES
    values[:, 1] = np.nan
    assert known_features(FEATURES, values) == ("predicted_iou", "overlap_near")


def test_takes_that_cannot_be_divided_are_an_error(frames):
    _, truth, take = frames
    with pytest.raises(DataError, match="too few takes"):
        folds_of(truth, np.zeros_like(take))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((("colour",), (0.0,), (1.0,), (1.0,)), "unknown feature"),
        ((("cycle_iou",), (0.0, 1.0), (1.0,), (1.0,)), "not of one length"),
        (((), (), (), ()), "not of one length"),
        ((("cycle_iou",), (0.0,), (0.0,), (1.0,)), "a scale is zero"),
    ],
)
def test_rules_that_cannot_be(parts, words):
    with pytest.raises(ValueError, match=words):
        Rule(*parts, 0.0)
