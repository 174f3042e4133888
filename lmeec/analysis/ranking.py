"""How well a number tells two kinds of frames apart, whatever its threshold, with intervals over takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lmeec.analysis.bootstrap import RESAMPLES, SEED, draws, interval_of
from lmeec.analysis.groups import Estimate, number

if TYPE_CHECKING:
    from numpy.typing import NDArray


def auroc(
    values: NDArray[np.float64],
    truth: NDArray[np.bool_],
    take: NDArray[np.int64],
    less: NDArray[np.float64] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """Area under the ROC curve: the chance that a true frame has the larger value; equal values count half.

    Args:
        values: float64 [frames].
        truth: bool [frames].
        take: number of each frame's take, int64 [frames].
        less: other values of the same frames; the estimate is then the difference to their area.
        resamples: draws of takes for the interval; 0 for none.
        seed: of the draws.

    Returns:
        Without a value where all frames are of one kind.

    Example:
        >>> auroc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False]), np.zeros(4, int)).value
        0.875
    """
    takes, take = np.unique(take, return_inverse=True)
    counts = np.stack([np.bincount(take[truth == kind], minlength=takes.size) for kind in (True, False)])
    wins = [_wins(one, truth, take, takes.size) for one in (values, less) if one is not None]

    def areas(times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of draws of takes, float64 [draws, takes]."""
        pairs = np.prod(times @ counts.T, axis=1)
        won = [np.einsum("da,ab,db->d", times, one, times, optimize=True) for one in wins]
        area = won[0] if len(won) == 1 else won[0] - won[1]
        ratio: NDArray[np.float64] = np.divide(area, pairs, out=np.full(len(times), np.nan), where=pairs > 0)
        return ratio

    value = number(areas(np.ones((1, takes.size)))[0])
    if takes.size < 2 or not resamples:
        return Estimate(value)
    low, high = interval_of(areas(draws(takes.size, resamples, seed))[:, None])[:, 0]
    return Estimate(value, number(low), number(high))


def _wins(
    values: NDArray[np.float64], truth: NDArray[np.bool_], take: NDArray[np.int64], takes: int
) -> NDArray[np.float64]:
    """Pairs that the true frame wins, by the take of the true and that of the other frame, float64 [takes, takes].

    Areas of any draw of takes follow from them, without the frames.
    """
    won = np.zeros((takes, takes))
    true_values, true_take = values[truth], take[truth]
    for other in range(takes):
        below = np.sort(values[(take == other) & ~truth])
        won_by_frame = (np.searchsorted(below, true_values, "left") + np.searchsorted(below, true_values, "right")) / 2
        won[:, other] = np.bincount(true_take, won_by_frame, takes)
    return won


def roc(values: NDArray[np.float64], truth: NDArray[np.bool_], points: int = 51) -> list[tuple[float, float]]:
    """The ROC curve: at each of evenly spaced shares of false alarms, the largest share of hits.

    Args:
        values: float64 [frames].
        truth: bool [frames], of both kinds.
        points: how many.

    Returns:
        Pairs of the share of other frames over a threshold, and that of true frames, from (0, ...) to (1, 1).

    Example:
        >>> roc(np.array([0.9, 0.4, 0.4, 0.1]), np.array([True, True, False, False]), 3)
        [(0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]
    """
    order = np.argsort(-values, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(values[order])), values.size - 1)  # thresholds lie between different values
    hits, alarms = (np.concatenate([[0], np.cumsum(truth[order] == kind)[ends]]) for kind in (True, False))
    shares = np.linspace(0, 1, points)
    places = np.searchsorted(alarms / alarms[-1], shares, "right") - 1
    return [(float(share), float(hits[place] / hits[-1])) for share, place in zip(shares, places, strict=True)]
