"""The IoU to expect of a mask, by a rule that was fitted on runs with ground truth; a JSON file holds it.

The rule weighs the signs of `lmeec.analysis.signs` by a logistic regression whose target is the IoU itself, from 0 to 1
(fractional response; Papke and Wooldridge, 1996), for each direction. It speaks of frames in which the object is
visible; whether it is, `lmeec.analysis.calibration` decides.

What is said of takes that a rule was fitted on would be too good. So the file keeps, beside the regression on all
takes, one for each fold of takes, fitted without them: a take of the fit gets what the regression without it says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from lmeec.analysis.risk import risk_coverage
from lmeec.analysis.signs import SIGN_COLUMNS, SIGNS, Signs, signs_of
from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.files.reading import named, understanding
from lmeec.files.whole import written_whole
from lmeec.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lmeec.files.locations import Location
    from lmeec.tables.metadata import RunMetadata

FORMAT = "lmeec rule 1"
FOLDS = 5

_MEND = "give a file that `lmeec fuse` or `lmeec select` wrote when it fitted a rule"
_CONSTANT = 1e-9  # spread of a sign that says nothing, but for rounding
_FARTHEST = 4.0  # spreads from the mean beyond which a value counts as this far: a line is no guess there


@dataclass(frozen=True)
class Regression:
    """Weights of standardised signs.

    Attributes:
        mean: of each sign.
        scale: of each sign.
        coefficients: of the standardised signs; one that is not known counts as its mean.
        intercept: added to them.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        if not len(self.mean) == len(self.scale) == len(self.coefficients):
            raise ValueError("mean, scale and coefficients are not of one length")
        if 0 in self.scale:
            raise ValueError("a scale is zero")

    def expected(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """IoU to expect.

        Args:
            values: float64 [masks, signs].
        """
        standard = np.nan_to_num(np.clip((values - self.mean) / self.scale, -_FARTHEST, _FARTHEST))
        logit = standard @ np.asarray(self.coefficients) + self.intercept
        iou: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(logit, -700, 700)))
        return iou


@dataclass(frozen=True)
class DirectionRule:
    """The rule of one direction.

    Attributes:
        signs: names out of `lmeec.analysis.signs.SIGNS`.
        whole: fitted on all takes.
        folds: each fitted without the takes of a fold.
        fold_of: the fold of each take of the fit.
    """

    signs: tuple[str, ...]
    whole: Regression
    folds: tuple[Regression, ...]
    fold_of: Mapping[str, int]

    def __post_init__(self) -> None:
        if unknown := [name for name in self.signs if name not in SIGNS]:
            raise ValueError(f"unknown sign {unknown[0][:40]!r}")
        if any(len(one.mean) != len(self.signs) for one in (self.whole, *self.folds)) or not self.signs:
            raise ValueError("regressions and signs are not of one length")
        if any(not 0 <= fold < len(self.folds) for fold in self.fold_of.values()):
            raise ValueError("a take is in a fold that is not there")

    def expected(self, signs: Signs, take_uid: str) -> NDArray[np.float64]:
        """IoU to expect of the masks of a take, float64 [rows]; NaN without a prediction."""
        fold = self.fold_of.get(take_uid)
        regression = self.whole if fold is None else self.folds[fold]
        iou = regression.expected(np.stack([signs[name] for name in self.signs], axis=1))
        return np.where(np.isnan(signs["log_area_share"]), np.nan, iou)


@dataclass(frozen=True)
class IouRule:
    """What a rule's file holds.

    Attributes:
        directions: the rule of each direction that could be fitted.
        made: on what it was fitted: tables, runs, counts, folds.
        scores: of each direction, cross-validated over takes: area under the curve of risk and coverage by the rule,
            and the mean IoU of all masks and of the best half by the rule.
        format: marks the file.
        lmeec_version: version that made it.
    """

    directions: Mapping[str, DirectionRule]
    made: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    format: str = FORMAT
    lmeec_version: str = __version__

    @property
    def digest(self) -> str:
        """SHA-256 of what decides, hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self.directions, order="sorted")).hexdigest()

    def expected(self, direction: str, signs: Signs, take_uid: str) -> NDArray[np.float64]:
        """IoU to expect of the masks of a take; NaN without a prediction, and of a direction that is not known."""
        rule = self.directions.get(direction)
        return np.full(signs["log_area_share"].size, np.nan) if rule is None else rule.expected(signs, take_uid)

    def write(self, path: Path) -> None:
        """Write the file, which appears only when whole.

        Raises:
            OutputError: it cannot be written.
        """
        with written_whole(path) as file:
            file.write(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def read_iou_rule(path: Path) -> IouRule:
    """Read what `IouRule.write` wrote.

    Raises:
        DataError: the file is missing, is not JSON, or is not a rule.
    """
    if decode_file(path, _Marked).format != FORMAT:
        raise DataError(f"{path}: is not a rule of this lmeec ({FORMAT!r}): {_MEND}")
    try:
        return decode_file(path, IouRule)
    except DataError as error:
        raise DataError(f"{error}; {_MEND}") from error


class _Marked(msgspec.Struct):
    format: Any = None


@dataclass
class _Frames:
    """Predictions of one direction whose IoU is known."""

    values: list[NDArray[np.float64]] = field(default_factory=list)
    iou: list[NDArray[np.float64]] = field(default_factory=list)
    takes: list[str] = field(default_factory=list)


def fit_iou_rule(runs: Sequence[Location | str]) -> IouRule:
    """Fit a rule for each direction on runs over the same takes, with ground truth.

    Args:
        runs: one table, or as many as will be fused, so that the agreement of runs is a sign too.

    Raises:
        OutputError: a table cannot be read.
        DataError: the tables are not of the same takes, or hold too few takes with visible frames.
    """
    from lmeec.tables.together import check_same_data, take_by_take

    metadata = check_same_data(runs)
    frames: dict[str, _Frames] = {}
    for uid, direction, tables in take_by_take(runs, (*SIGN_COLUMNS, "gt_state", "iou")):
        there = [table for table in tables if table is not None]
        for table in there:
            others = [other for other in there if other is not table]
            known = np.asarray(pc.and_(pc.is_null(table["missing"]), pc.equal(table["gt_state"], "visible")))
            if known.any():
                with understanding(", ".join(map(named, runs)), DataError, "results tables", "predict again"):
                    signs = signs_of(table, others)
                one = frames.setdefault(direction, _Frames())
                one.values.append(np.stack([signs[name] for name in SIGNS], axis=1)[known])
                one.iou.append(np.asarray(table["iou"])[known])
                one.takes += [uid] * int(known.sum())
    fitted, scores, counts, reasons = {}, {}, {}, []
    for direction, one in sorted(frames.items()):
        takes = len(set(one.takes))
        if takes < 2:
            reasons.append(f"{direction} has {takes} take with visible frames, and cross-validation needs two")
            continue
        fitted[direction], scores[direction] = _fit_direction(one)
        counts[direction] = {"masks": len(one.takes), "takes": takes, "folds": len(fitted[direction].folds)}
    if not fitted:
        raise DataError(
            f"no rule can be fitted on {', '.join(map(named, runs))}: {'; '.join(reasons) or 'no frame is visible'}. "
            "Use runs over annotated takes (not the test split)"
        )
    return IouRule(fitted, made=_made(runs, metadata, counts), scores=scores)


def _made(runs: Sequence[Location | str], metadata: Sequence[RunMetadata], counts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "results": list(map(str, runs)),
        "runs": [asdict(one) for one in metadata],
        "method": "logistic regression of the IoU on signs, cross-validated over takes",
        "frames": counts,
    }


def _fit_direction(frames: _Frames) -> tuple[DirectionRule, dict[str, float]]:
    from sklearn.model_selection import GroupKFold

    values, iou = np.concatenate(frames.values), np.concatenate(frames.iou)
    takes, codes = np.unique(frames.takes, return_inverse=True)
    known = np.flatnonzero(~np.isnan(values).all(axis=0))
    signs, values = tuple(SIGNS[at] for at in known), values[:, known]
    folds: list[Regression] = []
    fold_of: dict[str, int] = {}
    expected = np.zeros(iou.size)
    for number, (train, test) in enumerate(GroupKFold(min(FOLDS, takes.size)).split(values, iou, codes)):
        folds.append(_regression(values[train], iou[train]))
        expected[test] = folds[-1].expected(values[test])
        fold_of |= dict.fromkeys(takes[np.unique(codes[test])].tolist(), number)
    curve = risk_coverage(expected, iou)
    scores = {"aurc": curve.aurc, "iou": curve.at(1.0), "iou_of_best_half": curve.at(0.5)}
    return DirectionRule(signs, _regression(values, iou), tuple(folds), fold_of), scores


def _regression(values: NDArray[np.float64], iou: NDArray[np.float64]) -> Regression:
    """Each mask counts as seen by its IoU and as not seen by the rest, which makes the IoU the target."""
    from sklearn.linear_model import LogisticRegression

    known = ~np.isnan(values)
    mean = np.where(known.any(axis=0), np.nan_to_num(values).sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    spread = np.sqrt(
        np.where(known, (np.nan_to_num(values) - mean) ** 2, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    )
    scale = np.where(spread > _CONSTANT, spread, 1.0)
    standard = np.nan_to_num(np.clip((values - mean) / scale, -_FARTHEST, _FARTHEST))
    target = np.repeat([True, False], iou.size)
    fitted = LogisticRegression(max_iter=1_000).fit(
        np.concatenate([standard, standard]), target, np.concatenate([iou, 1 - iou])
    )
    return Regression(
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        coefficients=tuple(fitted.coef_[0].tolist()),
        intercept=float(fitted.intercept_[0]),
    )
