"""Risk against coverage: plain loops in exact fractions say the same."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmeec.analysis.risk import risk_coverage
from tests.support import naive_fusion as naive

SIGNS = st.none() | st.sampled_from([0.0, 0.25, 0.5]) | st.floats(-5, 5, width=32)


@settings(derandomize=True, max_examples=200, deadline=None, database=None)
@given(st.lists(st.tuples(SIGNS, st.floats(0, 1)), min_size=1, max_size=30))
def test_the_curve_is_that_of_a_naive_implementation(pairs):
    signs, ious = map(list, zip(*pairs, strict=True))
    curve = risk_coverage(np.array([np.nan if sign is None else sign for sign in signs]), np.array(ious))
    np.testing.assert_allclose(curve.iou, np.array(naive.risk_coverage(signs, ious), dtype=float), atol=1e-9)
    assert curve.aurc == pytest.approx(naive.aurc(signs, ious), abs=1e-9)
    assert curve.at(1.0) == pytest.approx(np.mean(ious))


def test_equal_signs_count_as_the_mean_over_all_orders():
    ious = [0.1, 0.9, 0.4, 0.6]
    orders = [np.cumsum(order) / np.arange(1, 5) for order in itertools.permutations(ious)]
    np.testing.assert_allclose(risk_coverage(np.zeros(4), np.array(ious)).iou, np.mean(orders, axis=0))


def test_shares_round_up_to_whole_masks():
    curve = risk_coverage(np.arange(10.0)[::-1], np.linspace(1, 0.1, 10))
    assert [curve.at(share) for share in (0.0, 0.1, 0.11, 0.3, 1.0)] == pytest.approx([1, 1, 0.95, 0.9, 0.55])
    nothing = risk_coverage(np.zeros(0), np.zeros(0))
    assert np.isnan(nothing.aurc)
    assert np.isnan(nothing.at(0.5))
