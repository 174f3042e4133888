"""How far a mask can be trusted without ground truth: the rule for "IoU over 0.5", and what it and signs are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmeec.analysis.bootstrap import draws, interval_of
from lmeec.analysis.groups import Estimate, number
from lmeec.analysis.ranking import auroc
from lmeec.analysis.rule import Rule, fit_rule, folds_of, out_of_fold
from lmeec.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GOOD_IOU = 0.5
"""A mask with a larger IoU counts as good."""


@dataclass(frozen=True, slots=True)
class TrustScores:
    """How well masks are told good from bad, over frames that show the object, with intervals over takes.

    Attributes:
        rule: area under the ROC curve of the fitted rule, each frame by a fit without its fold of takes.
        signs: that of each sign alone, on the same frames; one that a row lacks counts as its mean.
        best_half: mean IoU of the half of the frames that the rule, fitted likewise, trusts most.
        all: mean IoU of all.
        gain: the first less the second.
        frames: how many there are.
    """

    rule: Estimate
    signs: dict[str, Estimate]
    best_half: Estimate
    all: Estimate
    gain: Estimate
    frames: int


def fit_trust(
    values: NDArray[np.float64],
    iou: NDArray[np.float64],
    take: NDArray[np.int64],
    features: Sequence[str],
    resamples: int,
    seed: int,
) -> tuple[Rule, TrustScores]:
    """Fit the rule on frames that show the object.

    Args:
        values: signs, float64 [frames, features]; NaN where a frame lacks one.
        iou: float64 [frames].
        take: number of each frame's take, int64 [frames].
        features: names of the signs.
        resamples: draws of takes for the intervals.
        seed: of the draws.

    Raises:
        DataError: too few takes have good and bad masks.
    """
    good = iou > GOOD_IOU
    for kind, words in ((True, "over"), (False, "up to")):
        if np.unique(take[good == kind]).size < 2:
            raise DataError(f"fewer than two takes have masks with an IoU {words} {GOOD_IOU}")
    folds = folds_of(good, take)
    trusted = out_of_fold(values, good, folds, features, balanced=False)
    means = np.nanmean(values, axis=0)
    filled = np.where(np.isnan(values), means, values)

    def area(one: NDArray[np.float64]) -> Estimate:
        return auroc(one, good, take, resamples=resamples, seed=seed)

    best = best_half(trusted)
    scores = TrustScores(
        rule=area(trusted),
        signs={name: area(column) for name, column in zip(features, filled.T, strict=True)},
        best_half=mean_over_takes(iou, take, best, resamples=resamples, seed=seed),
        all=mean_over_takes(iou, take, resamples=resamples, seed=seed),
        gain=mean_over_takes(iou, take, best, less=np.ones_like(best), resamples=resamples, seed=seed),
        frames=good.size,
    )
    return fit_rule(values, good, features, balanced=False), scores


def best_half(trusted: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The half of the frames with the largest values; of equal ones, the earlier."""
    best = np.zeros(trusted.size, dtype=bool)
    best[np.argsort(-trusted, kind="stable")[: trusted.size // 2]] = True
    return best


def mean_over_takes(
    values: NDArray[np.float64],
    take: NDArray[np.int64],
    chosen: NDArray[np.bool_] | None = None,
    less: NDArray[np.bool_] | None = None,
    *,
    resamples: int,
    seed: int,
) -> Estimate:
    """Mean over frames with its interval over takes.

    Args:
        values: float64 [frames].
        take: number of each frame's take, int64 [frames].
        chosen: which of them, bool [frames]; None means all.
        less: others, whose mean is subtracted.
        resamples: draws of takes for the interval.
        seed: of the draws.
    """
    takes, take = np.unique(take, return_inverse=True)
    parts = [np.ones(take.size, dtype=bool) if chosen is None else chosen, *([] if less is None else [less])]
    sums = [[np.bincount(take, weight, takes.size) for weight in (values * part, part)] for part in parts]

    def means(times: NDArray[np.float64]) -> NDArray[np.float64]:
        found: list[NDArray[np.float64]] = [
            np.divide(times @ total, times @ count, out=np.full(len(times), np.nan), where=times @ count > 0)
            for total, count in sums
        ]
        return found[0] if less is None else np.subtract(found[0], found[1])

    value = number(means(np.ones((1, takes.size)))[0])
    if takes.size < 2 or not resamples:
        return Estimate(value)
    low, high = interval_of(means(draws(takes.size, resamples, seed))[:, None])[:, 0]
    return Estimate(value, number(low), number(high))
