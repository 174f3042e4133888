"""From a description's time stamp to its clip: how long, from where to where, and which frames that is.

Times are seconds from the beginning of the take, lengths are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lmeec.errors import ConfigError, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from fractions import Fraction

    from lmeec.config import ClipRule

_ROUNDING = 1e-6
"""Of a frame: a time that is so near to a frame's is taken for it, as seconds in floating point are not exact."""


@dataclass(frozen=True, slots=True)
class LengthConfig:
    """How long clips are.

    Attributes:
        rule: `context` goes by how densely the take is described, `fixed` takes `seconds` for all.
        seconds: Length of every clip with `fixed`.
        shortest: Clips are lengthened to this about their time stamp.
        longest: Clips are shortened to this about their time stamp; None leaves them as long as they are.

    Raises:
        ConfigError: A value is outside of what it may be.
    """

    rule: ClipRule = "context"
    seconds: float | None = None
    shortest: float = 0.0
    longest: float | None = None

    def __post_init__(self) -> None:
        if (self.rule == "fixed") != (self.seconds is not None):
            raise ConfigError(
                '`seconds` goes with `rule="fixed"`, which needs it; leave out both or give both',
                settings=["seconds", "rule"],
            )
        require(self.seconds is None or 0 < self.seconds < float("inf"), "seconds", self.seconds, "over 0")
        require(0 <= self.shortest < float("inf"), "shortest", self.shortest, "0 or more")
        if self.longest is not None and not max(self.shortest, 1e-9) <= self.longest:
            raise ConfigError(
                f"`longest` is {self.longest}, but must be over 0 and not under `shortest`",
                settings=["longest", "shortest"],
            )


def mean_gap(times: Sequence[float]) -> float | None:
    """Mean time between one description and the next, in whatever order they come; None for fewer than two.

    Example:
        >>> mean_gap([1.0, 4.0, 2.0])
        1.5
    """
    return (max(times) - min(times)) / (len(times) - 1) if len(times) > 1 else None


def mean_of_gaps(gaps: Iterable[float | None]) -> float | None:
    """The mean over all passes of annotators over takes, the `a` of the context rule; None if no pass has a gap."""
    known = [gap for gap in gaps if gap is not None]
    return sum(known) / len(known) if known else None


def clip_length(config: LengthConfig, gap: float | None, mean: float | None) -> float:
    """How long the clips of one annotator's pass over a take are.

    By context (EgoVLP, section 3.2): with b the mean gap between the pass's descriptions and a the mean of b over all
    passes, a clip is the time stamp plus and minus b/(2a) seconds. Without a gap, b is taken to be a.

    Args:
        config: The rule, and the shortest and longest length.
        gap: b, in seconds; None for a pass of one description.
        mean: a, in seconds; None if no pass has a gap.

    Example:
        >>> clip_length(LengthConfig(), gap=3.0, mean=4.0)
        0.75
        >>> clip_length(LengthConfig(shortest=1.0), gap=3.0, mean=4.0)
        1.0
    """
    by_context = gap / mean if gap is not None and mean else 1.0
    length = max(by_context if config.seconds is None else config.seconds, config.shortest)
    return length if config.longest is None else min(length, config.longest)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Clips of one video, or of two that share frame numbers; arrays of one length.

    Attributes:
        start: float64, seconds.
        end: float64, seconds.
        start_frame: int64, the first frame.
        end_frame: int64, one past the last frame.
        inside: bool, the time stamp lies within the video; the rest means nothing where it does not.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    start_frame: NDArray[np.int64]
    end_frame: NDArray[np.int64]
    inside: NDArray[np.bool_]


def clip_bounds(
    times: NDArray[np.float64], lengths: NDArray[np.float64], frames: int | NDArray[np.int64], rate: Fraction
) -> Bounds:
    """Lay clips about their time stamps, clipped to the video.

    A frame belongs to a clip if the frame's time, its number over the rate, is at or after the start and before the
    end. A clip between two frames is given the frame that is shown then.

    Args:
        times: Time stamps, float64 [N], seconds.
        lengths: Lengths, float64 [N], seconds.
        frames: Frames of the video, one number or int64 [N].
        rate: Frames a second.

    Example:
        >>> from fractions import Fraction
        >>> bounds = clip_bounds(np.array([2.0, 0.1]), np.array([1.0, 0.5]), 60, Fraction(30))
        >>> bounds.start_frame.tolist(), bounds.end_frame.tolist(), bounds.end.tolist()
        ([45, 0], [60, 11], [2.0, 0.35])
    """
    per_second = float(rate)
    duration = frames / per_second
    inside = (times >= 0) & (times <= duration)
    start = np.maximum(times - lengths / 2, 0.0)
    end = np.minimum(times + lengths / 2, duration)
    place = np.where(inside, start * per_second, 0.0)
    first = np.ceil(place - _ROUNDING).astype(np.int64)
    past = np.ceil(np.where(inside, end * per_second, 0.0) - _ROUNDING).astype(np.int64)
    between = past <= first
    shown = np.floor(place + _ROUNDING).astype(np.int64)
    first = np.minimum(np.where(between, shown, first), frames - 1)
    return Bounds(start, end, first, np.where(between, first + 1, past), inside)
