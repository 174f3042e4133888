"""The four metrics from sums a take, and their spread when takes are drawn again.

Frames of one take are alike, so that intervals over frames would be far too narrow. Takes are drawn with replacement
(cluster bootstrap; Efron and Tibshirani, 1993), which needs only sums a take, however many frames there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmeec.analysis.frames import ABSENT, VISIBLE, FrameTable
from lmeec.metrics import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lmeec.config import Average


RESAMPLES = 2_000
SEED = 0
ALL_METRICS = (*METRICS, "balanced_accuracy")

SUMS = ("visible", *METRICS, "visible_right", "absent", "absent_right")
"""What is summed: visible frames, their three metrics, those called visible, absent frames, those called absent."""


def frame_sums(frames: FrameTable) -> NDArray[np.float64]:
    """What every frame adds to `SUMS`, float64 [7, frames]."""
    visible, absent = frames.state == VISIBLE, frames.state == ABSENT
    return np.stack(
        [
            visible,
            *np.nan_to_num(frames.metrics),
            visible & frames.predicted,
            absent,
            absent & ~frames.predicted,
        ]
    ).astype(np.float64)


def metrics_of(sums: NDArray[np.float64], average: Average = "frame") -> NDArray[np.float64]:
    """Compute the four metrics from sums.

    Args:
        sums: float64 [takes, 7], in the order of `SUMS`.
        average: over frames pooled over takes, as the benchmark does, or over takes, each with its own mean.

    Returns:
        float64 [4], in the order of `ALL_METRICS`; NaN where there is nothing to average.

    Example:
        >>> metrics_of(np.array([[2, 1.5, 0.1, 1.0, 2, 2, 1], [1, 0, 0.5, 0, 1, 0, 0]])).round(3).tolist()
        [0.5, 0.2, 0.333, 0.75]
        >>> metrics_of(np.array([[2, 1.5, 0.1, 1.0, 2, 2, 1], [1, 0, 0.5, 0, 1, 0, 0]]), "take").round(3).tolist()
        [0.375, 0.275, 0.25, 0.875]
    """
    metrics: NDArray[np.float64] = drawn_metrics(sums, np.ones((1, len(sums))), average)[0]
    return metrics


def drawn_metrics(
    sums: NDArray[np.float64], times: NDArray[np.float64], average: Average = "frame"
) -> NDArray[np.float64]:
    """Compute the four metrics of several draws of the same takes.

    Args:
        sums: float64 [takes, 7].
        times: float64 [draws, takes], how often each take was drawn.
        average: as for `metrics_of`.

    Returns:
        float64 [draws, 4]. A draw without absent frames of takes that have some has no balanced accuracy (and the
        same for visible ones): what is left would be another measure.
    """
    if average == "frame":
        has = sums.sum(axis=0)
        return _metrics(times @ sums, (has[0] > 0, has[5] > 0))
    single = np.stack([_metrics(one[None], (one[0] > 0, one[5] > 0))[0] for one in sums])
    known = ~np.isnan(single)
    return _ratio(times @ np.nan_to_num(single), times @ known.astype(np.float64))


def draws(takes: int, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """Draw as many takes as there are, with replacement: how often each was, float64 [resamples, takes]."""
    generator = np.random.default_rng([seed, takes])
    return generator.multinomial(takes, np.full(takes, 1 / takes), size=resamples).astype(np.float64)


def interval_of(values: NDArray[np.float64], level: float = 0.95) -> NDArray[np.float64]:
    """Percentile interval of each column, float64 [2, columns]; NaN where no draw has a value."""
    tail = 50 * (1 - level)
    result = np.full((2, values.shape[1]), np.nan)
    for column, one in enumerate(values.T):
        known = one[~np.isnan(one)]
        if known.size:
            result[:, column] = np.percentile(known, [tail, 100 - tail])
    return result


def _metrics(sums: NDArray[np.float64], has: tuple[bool, bool]) -> NDArray[np.float64]:
    visible, *values, visible_right, absent, absent_right = sums.T
    shares = [_ratio(visible_right, visible), _ratio(absent_right, absent)]
    counted = [share for share, wanted in zip(shares, has, strict=True) if wanted]
    balanced = np.mean(counted, axis=0) if counted else np.full(len(sums), np.nan)
    return np.stack([*(_ratio(value, visible) for value in values), balanced], axis=1)


def _ratio(value: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(value, count, out=np.full(np.shape(value), np.nan), where=count > 0)
    return ratio
