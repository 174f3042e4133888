"""The second implementation of the protocols, by itself, against the benchmark code's own numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive_protocols as naive
from tests.support.places import ASSETS

REFERENCE = json.loads((ASSETS / "reference/metrics.json").read_text())


@pytest.mark.parametrize("number", range(len(REFERENCE["pairs"])))
def test_it_has_the_benchmarks_numbers_for_each_pair_of_masks(number):
    pair = REFERENCE["pairs"][number]
    truth, prediction = (naive.decode({"size": pair["size"], "counts": pair[name]}) for name in ("gt", "pred"))
    for name in ("iou", "location_error", "contour_accuracy"):
        assert getattr(naive, name)(prediction, truth) == pytest.approx(pair[name], abs=1e-9, rel=0)


@pytest.mark.parametrize("number", range(len(REFERENCE["resized"])))
def test_it_resizes_as_the_benchmark_does(number):
    example = REFERENCE["resized"][number]
    mask = naive.decode({"size": example["size"], "counts": example["mask"]})
    size = naive.evaluation_size(*mask.shape)
    assert list(size) == example["resized_size"]
    expected = naive.decode({"size": example["resized_size"], "counts": example["resized"]})
    assert (naive.resized(mask, *size) == expected).all()


def test_it_imports_nothing_of_the_package():
    assert "lmeec" not in Path(naive.__file__).read_text()


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.3, 1.0]))
def test_its_contours_are_those_of_the_definition_pixel_by_pixel(height, width, seed, density):
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < density
    line = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            others = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            line[y, x] = any(mask[y, x] != mask[o] for o in others if o[0] < height and o[1] < width)
    assert (naive.boundary(mask) == line).all()
    points, within = np.argwhere(line), naive.near(line, 3)
    for y in range(height):
        for x in range(width):
            assert within[y, x] == any((py - y) ** 2 + (px - x) ** 2 <= 9 for py, px in points)
