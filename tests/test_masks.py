"""Run-length masks: the format as pycocotools has it, refusal of bad counts, resizing as OpenCV has it."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from lmeec.errors import DataError
from lmeec.masks import MAX_PIXELS, RunLengthMask, evaluation_size, resize_nearest
from tests.support.places import ASSETS

REFERENCE = json.loads((ASSETS / "reference/metrics.json").read_text())

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
noise = sizes.flatmap(lambda size: arrays(bool, size))


@st.composite
def blobs(draw):
    """Masks of a few rectangles: long runs, which noise never has."""
    height, width = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    mask = np.zeros((height, width), dtype=bool)
    for _ in range(draw(st.integers(0, 3))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : top + draw(st.integers(1, 300)), left : left + draw(st.integers(1, 300))] ^= True
    return mask


masks = st.one_of(noise, blobs())


def coco_encode(mask):
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))


@given(masks)
def test_encoding_equals_pycocotools_and_comes_back(mask):
    encoded = RunLengthMask.encode(mask)
    theirs = coco_encode(mask)
    assert encoded.counts == theirs["counts"].decode()
    np.testing.assert_array_equal(encoded.decode(), mask)
    assert encoded.area == mask.sum()
    assert encoded.bbox == tuple(coco.toBbox(theirs))


@pytest.mark.parametrize(
    ("mask", "bbox"),
    [
        (np.zeros((3, 5), bool), (0, 0, 0, 0)),
        (np.ones((3, 5), bool), (0, 0, 5, 3)),
        (np.array([[True]]), (0, 0, 1, 1)),
        (np.array([[False]]), (0, 0, 0, 0)),
        (np.array([[0, 1, 1, 0, 1]], bool), (1, 0, 4, 1)),
        (np.array([[0], [1], [1], [0]], bool), (0, 1, 1, 2)),
        (np.pad(np.ones((1, 1), bool), ((4, 0), (6, 0))), (6, 4, 1, 1)),
    ],
)
def test_edge_masks(mask, bbox):
    encoded = RunLengthMask.encode(mask)
    np.testing.assert_array_equal(encoded.decode(), mask)
    assert encoded.bbox == bbox
    assert encoded.area == mask.sum()


def test_a_large_mask_uses_long_lengths():
    mask = np.zeros((8000, 8000), dtype=bool)
    mask[-1, -1] = True
    encoded = RunLengthMask.encode(mask)
    assert RunLengthMask.from_counts(encoded.counts, 8000, 8000).bbox == (7999, 7999, 1, 1)
    assert encoded.counts == coco_encode(mask)["counts"].decode()


def test_runs_of_length_zero_are_read():
    # 2 background, 0 foreground, 3 background, 1 foreground: how some writers join two runs.
    counts = "2031"
    mask = RunLengthMask.from_counts(counts, 3, 2)
    assert mask.decode().T.ravel().tolist() == [False] * 5 + [True]
    assert mask.bbox == (1, 2, 1, 1)
    assert mask.toggles().tolist() == [5]


@pytest.mark.parametrize(
    ("counts", "height", "width", "words"),
    [
        ("", 2, 3, "empty"),
        ("5", 2, 3, "cover 5 pixels"),
        ("7", 2, 3, "cover 7 pixels"),
        ("3é", 2, 3, "ASCII"),
        ("3\n3", 2, 3, "illegal character '\\n' at position 1"),
        ("3p", 2, 3, "illegal character 'p'"),
        ("6Q", 2, 3, "middle of a run length"),
        ("3O4", 2, 3, "negative"),
        ("ooooooo0", 2, 3, "more than 6 characters"),
        ("oooo?" * 30, 10, 10, "cover"),
        ("0" * 1000, 2, 3, "too long"),
        ("6", 0, 3, "at least one pixel"),
        ("6", -2, -3, "at least one pixel"),
        ("6", 100_000, 100_000, f"over the limit of {MAX_PIXELS}"),
        ("6", 2.0, 3, "whole numbers"),
        (b"6", 2, 3, "text"),
        (None, 2, 3, "text"),
    ],
)
def test_bad_counts_are_refused(counts, height, width, words):
    with pytest.raises(DataError, match="(?s)" + words.replace("\\", "\\\\")):
        RunLengthMask.from_counts(counts, height, width)


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=40), sizes)
@settings(max_examples=300)
def test_any_text_is_a_mask_of_its_size_or_refused(counts, size):
    try:
        mask = RunLengthMask.from_counts(counts, *size)
    except DataError:
        return
    assert mask.decode().shape == size
    assert mask.area == mask.decode().sum()
    np.testing.assert_array_equal(RunLengthMask.encode(mask.decode()).toggles(), mask.toggles())


def test_a_bad_mask_built_directly_is_refused_when_read():
    with pytest.raises(DataError, match="cover"):
        RunLengthMask(2, 3, "7").decode()


def test_only_two_dimensions_are_encoded():
    with pytest.raises(DataError, match="two dimensions"):
        RunLengthMask.encode(np.zeros((1, 2, 3), bool))
    with pytest.raises(DataError, match="at least one pixel"):
        RunLengthMask.encode(np.zeros((0, 3), bool))


@pytest.mark.parametrize("example", REFERENCE["resized"], ids=lambda example: str(example["size"]))
def test_resizing_equals_the_reference(example):
    mask = RunLengthMask.from_counts(example["mask"], *example["size"])
    assert evaluation_size(*example["size"]) == tuple(example["resized_size"])
    resized = resize_nearest(mask, tuple(example["resized_size"]))
    assert resized == RunLengthMask(*example["resized_size"], example["resized"])
    np.testing.assert_array_equal(resize_nearest(mask.decode(), tuple(example["resized_size"])), resized.decode())


@given(masks, sizes)
def test_resizing_equals_opencv(mask, size):
    theirs = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST).astype(bool)
    np.testing.assert_array_equal(resize_nearest(mask, size), theirs)
    assert resize_nearest(RunLengthMask.encode(mask), size) == RunLengthMask.encode(theirs)


def test_resizing_to_the_same_size_is_the_mask_itself():
    mask = RunLengthMask.from_counts("2031", 3, 2)
    assert resize_nearest(mask, (3, 2)) == mask


def test_resizing_refuses_absurd_sizes():
    mask = RunLengthMask.encode(np.ones((2, 2), bool))
    for size in [(0, 3), (100_000, 100_000)]:
        with pytest.raises(DataError):
            resize_nearest(mask, size)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((2160, 3840), (270, 480)),
        ((1408, 1408), (480, 480)),
        ((796, 448), (480, 270)),
        ((1079, 1920), (269, 480)),  # 269.75 is cut, as the benchmark does
        ((240, 480), (240, 480)),
        ((1, 5000), (1, 480)),
    ],
)
def test_evaluation_size(size, expected):
    assert evaluation_size(*size) == expected


def test_evaluation_size_refuses_nothing_to_scale():
    with pytest.raises(DataError):
        evaluation_size(0, 10)


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_sizes_of_thousands_of_digits_are_not_quoted_whole(digits):
    with pytest.raises(DataError, match=rf"a mask of 24x10\^{digits} \(height x width\) is over the limit"):
        RunLengthMask.from_counts(b"0", 24, 10**digits)
