"""How good the masks are that are kept, where those are left out whose sign of quality is lowest.

The risk of a mask is 1 - IoU. The curve of risk against coverage, the share that is kept, and the area under it (AURC)
are those of selective prediction (Geifman and El-Yaniv, 2017; Geifman et al., 2019): the mean over all k of the mean
risk of the best k. Masks with the same sign have no order; they count as they would on average over all orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmeec.config import FuseBy

RANKED: tuple[FuseBy, ...] = ("cycle_iou", "predicted_iou", "confidence")
"""Signs in columns of the table, the best first."""

SIGN_BINS = ("under 0.2", "0.2 to 0.4", "0.4 to 0.6", "0.6 to 0.8", "0.8 or more", "none")
"""Bins of a sign, which holds its lower end; the last is of frames without a prediction, or without that sign."""

_BIN_STARTS = (0.2, 0.4, 0.6, 0.8)

BEST = "best possible"
"""The curve by the IoU itself."""


@dataclass(frozen=True)
class RiskCoverage:
    """The curve of one sign.

    Attributes:
        iou: float64 [masks]; entry k - 1 is the mean IoU of the best k by the sign.
    """

    iou: NDArray[np.float64]

    @property
    def aurc(self) -> float:
        """Area under the curve of risk, 0 to 1; lower is better. NaN without masks."""
        return float(1 - self.iou.mean()) if self.iou.size else float("nan")

    def at(self, coverage: float) -> float:
        """Mean IoU of the best share, at least of one mask; NaN without masks."""
        if not self.iou.size:
            return float("nan")
        kept = max(1, int(np.ceil(coverage * self.iou.size - 1e-9)))
        return float(self.iou[min(kept, self.iou.size) - 1])


def sign_bins(values: NDArray[np.float64]) -> NDArray[np.int32]:
    """Places in `SIGN_BINS`.

    Args:
        values: float64 [frames] of a sign; NaN where there is none.

    Example:
        >>> [SIGN_BINS[place] for place in sign_bins(np.array([0.0, 0.2, 1.0, np.nan]))]
        ['under 0.2', '0.2 to 0.4', '0.8 or more', 'none']
    """
    bins = np.searchsorted(_BIN_STARTS, values, side="right")
    return np.where(np.isnan(values), len(SIGN_BINS) - 1, bins).astype(np.int32)


def remedy_for(sign: str) -> str:
    """How to come by a sign that a table lacks, for messages."""
    return "predict with `cycle`, or add it with `lmeec cycle`" if sign == "cycle_iou" else "choose another"


def risk_coverage(sign: NDArray[np.float64], iou: NDArray[np.float64]) -> RiskCoverage:
    """Compute the curve.

    Args:
        sign: float64 [masks], higher where a mask is thought to be better; NaN is lower than all else.
        iou: float64 [masks], as it is.

    Example:
        >>> curve = risk_coverage(np.array([0.9, 0.1, 0.5]), np.array([1.0, 0.0, 0.5]))
        >>> curve.iou.tolist(), curve.at(0.5), round(curve.aurc, 3)
        ([1.0, 0.75, 0.5], 0.75, 0.25)
    """
    _, place, count = np.unique(-np.where(np.isnan(sign), -np.inf, sign), return_inverse=True, return_counts=True)
    mean = np.bincount(place, iou, count.size) / count
    return RiskCoverage(np.cumsum(np.repeat(mean, count)) / np.arange(1, sign.size + 1))


def curves_of(signs: Mapping[str, NDArray[np.float64]], iou: NDArray[np.float64]) -> dict[str, RiskCoverage]:
    """Curves by each sign that some mask has, and by the IoU itself, than which none can be better; none without masks.

    Args:
        signs: float64 [masks] each, by name.
        iou: float64 [masks].
    """
    if not iou.size:
        return {}
    curves = {name: risk_coverage(values, iou) for name, values in signs.items() if not np.isnan(values).all()}
    return curves | {BEST: risk_coverage(iou, iou)}
