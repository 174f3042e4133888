"""The delay between two signals of one event, and how it grows: the difference and the drift of two clocks.

A first guess comes from the whole of both, by cross-correlation of how suddenly they grow louder. It is refined in
windows, each by itself: of sound with the phase alone (GCC-PHAT: C. Knapp, G. Carter, "The generalized correlation
method for estimation of time delay", IEEE TASSP 1976), which echoes and the places of microphones hardly change. A line
through the windows' delays, which most of them have to lie on, is the delay and its drift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal as scipy_signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.video.sync.signals import Signal

_ONSETS = 100  # numbers a second of the first guess
_GUESSES = 5
_STEEPEST = 2e-3  # drift; clocks of cameras differ by less than a tenth of it
_LEAST_OVERLAP = 4.0  # seconds
_FRAME = 1 / 30  # second
_APART = 0.1  # seconds between delays that are not the same
_RIVAL = 0.4  # certainty from which another delay is no chance


@dataclass(frozen=True)
class _How:
    """How a kind of signal is looked at, in seconds."""

    shortest: float  # windows
    longest: float
    reach: float  # around the guess
    near: float  # a window's delay and the line
    phase_only: bool


_SOUND = _How(1.0, 15.0, 0.25, 0.004, phase_only=True)
_MOTION = _How(4.0, 30.0, 0.6, 0.025, phase_only=False)
_WINDOWS = 12


@dataclass(frozen=True)
class Delay:
    """How the clock of a second video goes by that of a first: an event at s of the second is at `at(s)` of the first.

    Attributes:
        seconds: delay at the second's first frame.
        drift: seconds that the delay grows a second.
        certainty: share of the windows that tell the same, beyond the two that always do; 0 to 1.
        windows: how many windows were asked.
    """

    seconds: float
    drift: float
    certainty: float
    windows: int

    def at(self, seconds: float) -> float:
        """The first's time of an event."""
        return self.seconds + seconds * (1 + self.drift)


def delay_between(first: Signal, second: Signal, *, sound: bool) -> Delay | None:
    """Estimate how the clock of a second video goes by that of a first.

    Args:
        first: of one video.
        second: of the other; of the same kind and rate.
        sound: whether they are sounds, or motion.

    Returns:
        None where they are too short to tell.
    """
    how = _SOUND if sound else _MOTION
    guesses = _guesses(first, second, sound=sound)
    found = [one for guess in guesses if (one := _refined(first, second, guess, how)) is not None]
    if not found:
        return None
    best = max(found, key=lambda one: one.certainty)
    others = [one.certainty for one in found if abs(one.seconds - best.seconds) > _APART]
    rival = max(others, default=0.0)
    # What repeats itself, as a machine does, is alike at several delays, and tells none of them.
    return replace(best, certainty=best.certainty - rival) if rival >= _RIVAL else best


def _guesses(first: Signal, second: Signal, *, sound: bool) -> list[float]:
    """The delays at which both grow louder at the same moments, the best first."""
    one, other = (_onsets(signal) if sound else _standard(_changes(signal)) for signal in (first, second))
    rate = _ONSETS if sound else first.rate
    if min(len(one), len(other)) < _LEAST_OVERLAP * rate:
        return []
    alike = scipy_signal.correlate(one, other, method="fft")
    lags = np.arange(len(alike)) - (len(other) - 1)
    overlap = np.minimum(len(one), lags + len(other)) - np.maximum(lags, 0)
    least = max(_LEAST_OVERLAP * rate, min(len(one), len(other)) / 4)
    alike = np.where(overlap >= least, alike / np.sqrt(np.maximum(overlap, 1)), -np.inf)
    guesses = []
    for _ in range(_GUESSES):
        best = int(alike.argmax())
        if not np.isfinite(alike[best]):
            break
        guesses.append(float(lags[best] / rate))
        alike[max(best - rate // 5, 0) : best + rate // 5 + 1] = -np.inf
    return guesses


def _onsets(sound: Signal) -> NDArray[np.float64]:
    step = sound.rate // _ONSETS
    whole = len(sound.values) // step * step
    power = (sound.values[:whole].astype(np.float64).reshape(-1, step) ** 2).mean(1)
    loud = np.log(power + 1e-3 * power.mean() + 1e-12)
    return _standard(np.maximum(np.diff(loud, prepend=loud[:1]), 0))


def _changes(motion: Signal) -> NDArray[np.float64]:
    """Quick changes of motion: what is steady, as a camera that is carried, tells nothing of when."""
    values = np.log(motion.values.astype(np.float64) + 0.05 * float(motion.values.mean()) + 1e-9)
    slow = np.convolve(np.pad(values, motion.rate, mode="edge"), np.ones(2 * motion.rate + 1), "valid")
    return values - slow / (2 * motion.rate + 1)


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def _refined(first: Signal, second: Signal, guess: float, how: _How) -> Delay | None:
    """The line through the windows' delays around a guess."""
    one, other = (
        (signal.values.astype(np.float64) if how.phase_only else _changes(signal)) for signal in (first, second)
    )
    rate = first.rate
    begin, end = max(0.0, -guess), min(second.seconds, first.seconds - guess)
    length = min(max((end - begin) / _WINDOWS, how.shortest), how.longest)
    starts = np.arange(begin, end - length, max(length, (end - begin) / (8 * _WINDOWS)))
    times, delays = [], []
    quiet = 0.02 * float(np.abs(other).mean())
    for start in starts:
        piece = other[round(start * rate) : round((start + length) * rate)]
        if float(np.abs(piece).mean()) <= quiet:
            continue
        away = _window_delay(one, piece, round((start + guess) * rate), round(how.reach * rate), how)
        if away is not None:
            times.append(start + length / 2)
            delays.append(round((start + guess) * rate) / rate - round(start * rate) / rate + away / rate)
    if len(times) < 3:
        return None
    return _line(np.array(times), np.array(delays), how.near)


def _window_delay(
    one: NDArray[np.float64], piece: NDArray[np.float64], place: int, reach: int, how: _How
) -> float | None:
    """How far from its expected place a window of the second is found in the first, in numbers."""
    first, last = place - reach, place + len(piece) + reach
    around = np.zeros(last - first)
    there = slice(max(first, 0), min(last, len(one)))
    if there.stop - there.start < len(piece):
        return None
    around[there.start - first : there.stop - first] = one[there]
    size = 1 << (len(around) - 1).bit_length()
    cross = np.fft.rfft(around - around.mean(), size) * np.conj(np.fft.rfft(piece - piece.mean(), size))
    if how.phase_only:
        strength = np.abs(cross)
        cross = cross / (strength + 1e-3 * strength.max() + 1e-30)
    alike = np.fft.irfft(cross, size)[: 2 * reach + 1]
    best = int(alike.argmax())
    if not 0 < best < 2 * reach or alike[best] <= 0:
        return None
    before, at, after = alike[best - 1 : best + 2]
    bend = before - 2 * at + after
    return best - reach + (0.5 * float(before - after) / float(bend) if bend < 0 else 0.0)


def _line(times: NDArray[np.float64], delays: NDArray[np.float64], near: float) -> Delay:
    """The line that most windows lie on; a level one unless they tell of drift."""
    i, j = np.triu_indices(len(times), 1)
    slopes = np.append((delays[j] - delays[i]) / (times[j] - times[i]), np.zeros(len(times)))
    through = np.append(i, np.arange(len(times)))
    possible = np.abs(slopes) <= _STEEPEST
    slopes, through = slopes[possible], through[possible]
    away = np.abs(delays[through, None] + slopes[:, None] * (times - times[through, None]) - delays)
    agree = away <= near
    best = int(np.lexsort((np.where(agree, away, 0).sum(1), -agree.sum(1)))[0])
    on = agree[best]
    certainty = max(0.0, (int(on.sum()) - 2) / (len(times) - 2))
    drift = _drift(times[on], delays[on])
    return Delay(float(np.median(delays[on] - drift * times[on])), drift, certainty, len(times))


def _drift(times: NDArray[np.float64], delays: NDArray[np.float64]) -> float:
    """The slope, where it is beyond its own error and makes a difference of half a frame."""
    if len(times) < 4:
        return 0.0
    centred = times - times.mean()
    spread = float((centred**2).sum())
    slope = float((centred * delays).sum() / spread)
    left = delays - delays.mean() - slope * centred
    error = float(np.sqrt((left**2).sum() / (len(times) - 2) / spread))
    matters = abs(slope) * float(np.ptp(times)) >= _FRAME / 2
    return slope if matters and abs(slope) > 4 * error else 0.0
