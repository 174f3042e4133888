"""Rules that weigh signs of a row (`lmeec.analysis.signs`): logistic regressions, fitted over takes, kept as numbers.

Signs are standardised, and one that a row lacks counts as its mean: it says nothing. What a rule is worth is told by
cross-validation over takes, as frames of one take are alike.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lmeec.analysis.signs import IN_TIME, OWN, SHAPE, SIGNS, VIEWS, own_signs, signs_of
from lmeec.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

CALIBRATION_SIGNS = (*OWN, *IN_TIME, *SHAPE, *VIEWS)
"""Those that one run's table tells by itself."""

FOLDS = 5

STRENGTH = 0.25
"""Inverse of the penalty on squared weights, chosen on takes that nothing is published of: takes may be few, and signs
tell much the same."""

_CONSTANT = 1e-9  # spread of a sign that says nothing, but for rounding


@dataclass(frozen=True)
class Rule:
    """Logistic regression on standardised signs.

    Attributes:
        features: names out of `SIGNS`.
        mean: of each sign.
        scale: of each sign.
        coefficients: of the standardised signs.
        intercept: added to them.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        lengths = {len(self.features), len(self.mean), len(self.scale), len(self.coefficients)}
        if len(lengths) != 1 or not self.features:
            raise ValueError("features, mean, scale and coefficients are not of one length")
        if unknown := [name for name in self.features if name not in SIGNS]:
            raise ValueError(f"unknown feature {unknown[0]!r}")
        if 0 in self.scale:
            raise ValueError("a scale is zero")

    @property
    def needs_takes(self) -> bool:
        """Whether it weighs signs of other rows than a row's own, so that it must see whole takes."""
        return any(name not in OWN for name in self.features)

    def probability(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of what the rule was fitted to tell.

        Args:
            values: float64 [rows, features]; NaN where a row lacks a sign.
        """
        standard = np.nan_to_num((values - self.mean) / self.scale, nan=0.0, posinf=0.0, neginf=0.0)
        logit = standard @ np.asarray(self.coefficients) + self.intercept
        probability: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(logit, -700, 700)))
        return probability

    def of_rows(self, rows: pa.Table) -> NDArray[np.float64]:
        """The same of rows; NaN of those without a prediction.

        Args:
            rows: of one take in one direction, all of them if the rule `needs_takes`, with the columns in
                `lmeec.analysis.signs.SIGN_COLUMNS`.

        Raises:
            DataError: predicted rows lack a sign of their own that the rule weighs.
        """
        found = self.probability(sign_values(rows, self.features))
        return np.where(np.asarray(rows["missing"].is_valid()), np.nan, found)


def sign_values(rows: pa.Table, features: Sequence[str]) -> NDArray[np.float64]:
    """Signs of the rows of one take in one direction, float64 [rows, features]; NaN where there is nothing to tell.

    Raises:
        DataError: predicted rows lack a sign of their own, though the table has a column for it.
    """
    signs = own_signs(rows) if all(name in OWN for name in features) else signs_of(rows)
    there = np.asarray(rows["missing"].is_null())
    for name in dict.fromkeys(own_part(feature) for feature in features):
        if name in OWN and np.isnan(signs[told_by(name)][there]).any():
            raise DataError(
                f"the calibration needs {name}, which rows of this table lack: use a calibration that was fitted on a "
                f"table of the same kind{_REMEDIES.get(name, '')}"
            )
    return np.stack([signs[name] for name in features], axis=1)


_REMEDIES = dict.fromkeys(("cycle_iou", "cycle_score"), ", or predict this one with a round trip")


def own_part(feature: str) -> str:
    """The sign of a row itself that a feature is made of, if it is made of one.

    Example:
        >>> own_part("cycle_iou_near"), own_part("overlap_near")
        ('cycle_iou', 'overlap_near')
    """
    name = feature.removesuffix("_near")
    return name if name in OWN else feature


def told_by(name: str) -> str:
    """The sign that tells whether a predicted row has another: an empty prediction has no score of its way back."""
    return "cycle_iou" if name == "cycle_score" else name


def known_features(columns: Sequence[str], values: NDArray[np.float64]) -> tuple[str, ...]:
    """Those of some signs that are told of any row.

    Args:
        columns: names of the signs.
        values: float64 [rows, signs].
    """
    return tuple(name for name, some in zip(columns, values.T, strict=True) if not np.isnan(some).all())


def fit_rule(values: NDArray[np.float64], truth: NDArray[np.bool_], features: Sequence[str], *, balanced: bool) -> Rule:
    """Fit a rule.

    Args:
        values: float64 [rows, features]; NaN where a row lacks a sign.
        truth: what is to be told, bool [rows], of both kinds.
        features: names of the signs.
        balanced: whether both kinds of rows count the same in all, as they do in balanced accuracy: over 0.5 is then
            where the one is as likely as the other. Else the probability is that of rows as they come.
    """
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of signs that no row has, in one of the folds
        mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    mean = np.nan_to_num(mean)
    scale = np.where(spread > _CONSTANT, spread, 1.0)
    standard = np.nan_to_num((values - mean) / scale)
    weights = "balanced" if balanced else None
    fitted = LogisticRegression(C=STRENGTH, class_weight=weights, max_iter=1000, tol=1e-6).fit(standard, truth)
    return Rule(
        features=tuple(features),
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        coefficients=tuple(fitted.coef_[0].tolist()),
        intercept=float(fitted.intercept_[0]),
    )


def folds_of(truth: NDArray[np.bool_], take: NDArray[np.int64]) -> NDArray[np.int64]:
    """Divide takes among folds, so that all that is left has rows of both kinds; the fold of each row, int64 [rows].

    Args:
        truth: bool [rows].
        take: number of each row's take, int64 [rows].

    Raises:
        DataError: too few takes have rows of both kinds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    count = min(FOLDS, *(np.unique(take[truth == kind]).size for kind in (True, False)))
    if count < 2:
        raise DataError("too few takes have frames of both kinds to cross-validate over takes")
    folds = np.zeros(truth.size, dtype=np.int64)
    for number, (train, test) in enumerate(StratifiedGroupKFold(count).split(truth, truth, take)):
        if truth[train].all() or not truth[train].any():
            raise DataError("too few takes have frames of both kinds to cross-validate over takes")
        folds[test] = number
    return folds


def out_of_fold(
    values: NDArray[np.float64],
    truth: NDArray[np.bool_],
    folds: NDArray[np.int64],
    features: Sequence[str],
    *,
    balanced: bool,
) -> NDArray[np.float64]:
    """The probability of each row by a rule that was fitted without its fold; see `fit_rule`."""
    found = np.zeros(truth.size)
    for fold in range(int(folds.max()) + 1):
        test = folds == fold
        rule = fit_rule(values[~test], truth[~test], features, balanced=balanced)
        found[test] = rule.probability(values[test])
    return found
