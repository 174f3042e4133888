"""What signs of trust are worth, computed by plain loops: a second implementation to compare with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Sequence


def auroc(values: Sequence[float], truth: Sequence[bool]) -> float:
    """The share of pairs of a true and another frame that the true one wins; a tie is half a win."""
    won = pairs = 0.0
    for mine, kind in zip(values, truth, strict=True):
        if not kind:
            continue
        for other, other_kind in zip(values, truth, strict=True):
            if not other_kind:
                pairs += 1
                won += 1.0 if mine > other else 0.5 if mine == other else 0.0
    return won / pairs


def balanced_accuracy(said: Sequence[bool], truth: Sequence[bool]) -> float:
    """Mean of the shares of true and of other frames that are told right."""
    shares = []
    for kind in (True, False):
        of_kind = [one == kind for one, true in zip(said, truth, strict=True) if true == kind]
        shares.append(sum(of_kind) / len(of_kind))
    return sum(shares) / 2


def logistic(
    values: Sequence[Sequence[float]],
    truth: Sequence[bool],
    test: Sequence[Sequence[float]],
    *,
    strength: float,
    balanced: bool,
) -> list[float]:
    """Probabilities of test rows by a logistic regression, penalised by half the squared weights over `strength`.

    Standardised by the mean and spread of what is known; what is not known (NaN) counts as the mean.
    """
    rows, tested = (np.array(some, dtype=float) for some in (values, test))
    for column in range(rows.shape[1]):
        known = [value for value in rows[:, column] if not math.isnan(value)]
        mean = sum(known) / len(known)
        spread = math.sqrt(sum((value - mean) ** 2 for value in known) / len(known)) or 1.0
        for some in (rows, tested):
            some[:, column] = [0.0 if math.isnan(value) else (value - mean) / spread for value in some[:, column]]
    signs = np.where(np.asarray(truth), 1.0, -1.0)
    weights = np.ones(len(signs))
    if balanced:
        weights = np.array([len(signs) / (2 * np.sum(signs == sign)) for sign in signs])

    def cost(parameters: np.ndarray) -> float:
        margins = signs * (rows @ parameters[:-1] + parameters[-1])
        return float(np.sum(weights * np.logaddexp(0, -margins)) * strength + parameters[:-1] @ parameters[:-1] / 2)

    found = minimize(cost, np.zeros(rows.shape[1] + 1), method="BFGS", options={"gtol": 1e-7}).x
    return [1 / (1 + math.exp(-(row @ found[:-1] + found[-1]))) for row in tested]
