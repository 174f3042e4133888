"""Clip bounds against examples that were worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lmeec.clips.bounds import LengthConfig, clip_bounds, clip_length, mean_gap, mean_of_gaps
from lmeec.errors import ConfigError


def test_context_rule_by_hand():
    """Gaps of 1 and 3 s give b = 2; with b = 6 of another annotator a is 4; so t plus and minus 0.25 and 0.75 s."""
    gaps = [mean_gap([5.0, 6.0, 9.0]), mean_gap([0.0, 6.0]), mean_gap([7.0])]
    assert gaps == [2.0, 6.0, None]
    mean = mean_of_gaps(gaps)
    assert mean == 4.0
    lengths = [clip_length(LengthConfig(), gap, mean) for gap in gaps]
    assert lengths == [0.5, 1.5, 1.0]
    bounds = clip_bounds(np.array([5.0, 6.0, 7.0]), np.array(lengths), 300, Fraction(30))
    # 4.75 s is frame 142.5, so the first frame at or after it is 143; 5.25 s is 157.5: 157 is the last before it.
    assert bounds.start_frame.tolist() == [143, 158, 195]
    assert bounds.end_frame.tolist() == [158, 203, 225]
    assert bounds.start.tolist() == [4.75, 5.25, 6.5]
    assert bounds.end.tolist() == [5.25, 6.75, 7.5]


@pytest.mark.parametrize(
    ("time", "length", "first", "past"),
    [
        (2.0, 1.0, 45, 75),
        (0.1, 0.6, 0, 12),  # begins before the video: 0 to 0.4 s
        (9.9, 1.0, 282, 300),  # ends after it: 9.4 s to 10 s
        (1.1, 0.2, 30, 36),  # 1.1 - 0.1 is 1.0000000000000002 in floating point
        (0.7, 0.2, 18, 24),
        (5.0, 0.0, 150, 151),  # no length: the frame that is shown then
        (5.02, 0.01, 150, 151),  # between two frames: the one that is shown
        (10.0, 0.0, 299, 300),  # at the very end: the last frame
        (10.0, 0.2, 297, 300),
    ],
)
def test_frames_of_a_video_of_ten_seconds(time, length, first, past):
    bounds = clip_bounds(np.array([time]), np.array([length]), 300, Fraction(30))
    assert bounds.inside.all()
    assert (bounds.start_frame[0], bounds.end_frame[0]) == (first, past)


def test_other_frame_rates_and_lengths_of_videos():
    bounds = clip_bounds(np.array([2.0, 2.0]), np.array([1.0, 1.0]), np.array([200, 58]), Fraction(24000, 1001))
    # At 23.976 frames a second 1.5 s is frame 35.96 and 2.5 s is frame 59.94; the second video ends at frame 58.
    assert bounds.start_frame.tolist() == [36, 36]
    assert bounds.end_frame.tolist() == [60, 58]
    assert bounds.end[1] == pytest.approx(58 * 1001 / 24000)


def test_time_stamps_outside_the_video():
    bounds = clip_bounds(np.array([-0.1, 0.0, 10.0, 10.1, 1e300]), np.ones(5), 300, Fraction(30))
    assert bounds.inside.tolist() == [False, True, True, False, False]


def test_lengths_are_kept_between_the_shortest_and_the_longest():
    config = LengthConfig(shortest=0.4, longest=2.0)
    assert [clip_length(config, gap, 1.0) for gap in (0.1, 1.0, 9.0)] == [0.4, 1.0, 2.0]
    assert clip_length(LengthConfig("fixed", 3.0), 0.1, 1.0) == 3.0
    assert clip_length(LengthConfig(), 0.0, 0.0) == 1.0, "all descriptions at one time"


@pytest.mark.parametrize(
    ("values", "setting"),
    [
        ({"rule": "fixed"}, "`seconds`"),
        ({"seconds": 1.0}, "`seconds`"),
        ({"rule": "fixed", "seconds": 0.0}, "`seconds`"),
        ({"shortest": -1.0}, "`shortest`"),
        ({"shortest": float("nan")}, "`shortest`"),
        ({"shortest": 2.0, "longest": 1.0}, "`longest`"),
    ],
)
def test_impossible_lengths_name_the_setting(values, setting):
    with pytest.raises(ConfigError, match=setting):
        LengthConfig(**values)
