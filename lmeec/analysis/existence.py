"""Fit when an object counts as visible and how far a mask can be trusted, and say what that brings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lmeec.analysis.bootstrap import RESAMPLES, SEED, SUMS
from lmeec.analysis.calibration import CALIBRATION_COLUMNS, Calibration
from lmeec.analysis.groups import Estimate, estimates_of
from lmeec.analysis.protocols import RULE_SHARE
from lmeec.analysis.ranking import auroc, roc
from lmeec.analysis.rule import CALIBRATION_SIGNS, fit_rule, folds_of, known_features, out_of_fold, told_by
from lmeec.analysis.signs import OWN, signs_of
from lmeec.analysis.trust import TrustScores, fit_trust
from lmeec.errors import DataError
from lmeec.tables import read_metadata, scan_takes

if TYPE_CHECKING:
    from lmeec.analysis.rule import Rule
    from lmeec.files.locations import Location


@dataclass(frozen=True, slots=True)
class DecisionScores:
    """Balanced accuracy of three decisions on the same frames, with intervals over takes.

    Attributes:
        confidence: confidence > 0.5, as the run has it.
        released_rule: the mask covers over 0.1% of the frame.
        calibrated: the fitted decision, each frame by a fit without its fold of takes.
        gain: calibrated less confidence.
        gain_over_rule: calibrated less the released rule.
        auroc: area under the ROC curve of the calibrated probability, likewise.
        auroc_of_confidence: that of the run's confidence.
        roc: the curve of the calibrated probability: shares of absent frames called visible, and of visible ones.
    """

    confidence: Estimate
    released_rule: Estimate
    calibrated: Estimate
    gain: Estimate
    gain_over_rule: Estimate
    auroc: Estimate
    auroc_of_confidence: Estimate
    roc: list[tuple[float, float]]


@dataclass(frozen=True)
class Fitted:
    """A calibration and what could not be fitted.

    Attributes:
        calibration: the calibration.
        scores: of the decision, by direction.
        trust: of the rule for trust, by direction.
        skipped: direction to the reason why its decision is not in the calibration.
        untrusted: direction to the reason why its rule for trust is not in it.
    """

    calibration: Calibration
    scores: dict[str, DecisionScores]
    trust: dict[str, TrustScores]
    skipped: dict[str, str]
    untrusted: dict[str, str]


def fit_calibration(results: Location | str, *, resamples: int = RESAMPLES, seed: int = SEED) -> Fitted:
    """Fit a decision and a rule for trust for each direction of a results table with ground truth.

    For the decision, frames are weighted so that visible and absent ones count the same, as they do in balanced
    accuracy. What is reported is cross-validated over takes; what is kept is fitted on all of them.

    Args:
        results: where `lmeec predict` or `lmeec import` wrote a table.
        resamples: draws of takes for the intervals.
        seed: of the draws.

    Raises:
        OutputError: the table cannot be read.
        DataError: no direction has takes enough with visible and with absent frames, or rows lack a sign that others
            have.
    """
    decisions: dict[str, Rule] = {}
    trusts: dict[str, Rule] = {}
    scores, trust_scores, skipped, untrusted, made = {}, {}, {}, {}, {}
    for direction, one in _read(results).items():
        made[direction] = {
            "visible": int(one.visible.sum()),
            "absent": int((~one.visible).sum()),
            "takes": np.unique(one.take).size,
        }
        try:
            folds = _folds(one)
        except DataError as error:
            skipped[direction] = str(error)
        else:
            decisions[direction] = fit_rule(one.values, one.visible, one.features, balanced=True)
            scores[direction] = _scores(one, folds, resamples, seed)
            made[direction]["folds"] = int(folds.max()) + 1
        seen = one.visible
        try:
            trusts[direction], trust_scores[direction] = fit_trust(
                one.values[seen], one.iou[seen], one.take[seen], one.features, resamples, seed
            )
        except DataError as error:
            untrusted[direction] = str(error)
    if not decisions and not trusts:
        reasons = "; ".join(f"{direction}: {reason}" for direction, reason in skipped.items())
        raise DataError(
            f"{results} cannot be calibrated on: {reasons}. Use a run over annotated takes (not the test split)"
        )
    calibration = Calibration(
        directions=decisions,
        trust=trusts,
        made={
            "results": str(results),
            "run": asdict(read_metadata(results)),
            "method": "logistic regression of signs, cross-validated over takes; visible and absent weighted equally",
            "frames": made,
        },
        scores={
            direction: {
                **({"trust": asdict(trust_scores[direction])} if direction in trust_scores else {}),
                **(asdict(scores[direction]) if direction in scores else {}),
            }
            for direction in made
        },
    )
    return Fitted(calibration, scores, trust_scores, skipped, untrusted)


@dataclass(frozen=True)
class _Frames:
    """Annotated frames of one direction, with a prediction."""

    features: tuple[str, ...]
    values: NDArray[np.float64]
    take: NDArray[np.int64]
    visible: NDArray[np.bool_]
    iou: NDArray[np.float64]
    confidence: NDArray[np.float64]
    rule: NDArray[np.bool_]


def _read(results: Location | str) -> dict[str, _Frames]:
    """Annotated frames by direction; signs are of all rows, annotated or not."""
    pieces: dict[str, list[pa.Table]] = {}
    values: dict[str, list[NDArray[np.float64]]] = {}
    kept = ["take_uid", "gt_state", "iou", "confidence", "area", "height", "width"]
    for _, direction, rows in scan_takes(results, (*CALIBRATION_COLUMNS, "gt_state", "iou")):
        chosen = pc.and_(pc.not_equal(rows["gt_state"], "unannotated"), pc.is_null(rows["missing"]))
        if pc.any(chosen).as_py():
            signs = signs_of(rows)
            pieces.setdefault(direction, []).append(rows.select(kept).filter(chosen))
            all_signs = np.stack([signs[name] for name in CALIBRATION_SIGNS], axis=1)
            values.setdefault(direction, []).append(all_signs[np.asarray(chosen)])
    if not pieces:
        raise DataError(
            f"{results} has no frame with ground truth to calibrate on: predict takes whose annotations hold masks of "
            "the target view too (the benchmark's test split holds query masks only)"
        )
    return {
        direction: _frames(pa.concat_tables(pieces[direction]), np.concatenate(values[direction]))
        for direction in sorted(pieces)
    }


def _frames(rows: pa.Table, values: NDArray[np.float64]) -> _Frames:
    # Imported predictions have neither object scores nor predicted IoUs: their masks are left to decide by.
    features = known_features(CALIBRATION_SIGNS, values)
    values = values[:, [CALIBRATION_SIGNS.index(name) for name in features]]
    for name in features:
        if name in OWN and np.isnan(values[:, features.index(told_by(name))]).any():
            raise DataError(
                f"some rows of this table lack {name}, and others have it: calibrate on a table of one run, or on one "
                "whose rows all have it"
            )
    area = np.asarray(rows["area"]) / (np.asarray(rows["height"]).astype(np.float64) * np.asarray(rows["width"]))
    return _Frames(
        features=features,
        values=values,
        take=np.unique(np.asarray(rows["take_uid"]).astype(str), return_inverse=True)[1],
        visible=np.asarray(pc.equal(rows["gt_state"], "visible")),
        iou=np.asarray(pc.fill_null(rows["iou"], np.nan)),
        confidence=np.asarray(rows["confidence"]),
        rule=area > RULE_SHARE,
    )


def _folds(frames: _Frames) -> NDArray[np.int64]:
    """The fold of each frame.

    Raises:
        DataError: no decision can be fitted and tested: a state is missing, or in one take only.
    """
    takes = {
        name: np.unique(frames.take[frames.visible == state]).size
        for state, name in ((True, "visible"), (False, "absent"))
    }
    for name, count in takes.items():
        if count == 0:
            raise DataError(f"no annotated frame is {name}, so that there is nothing to tell apart")
    for name, count in takes.items():
        if count == 1:
            raise DataError(f"only one take has {name} frames: cross-validation needs two takes or more with them")
    return folds_of(frames.visible, frames.take)


def _scores(frames: _Frames, folds: NDArray[np.int64], resamples: int, seed: int) -> DecisionScores:
    probability = out_of_fold(frames.values, frames.visible, folds, frames.features, balanced=True)
    decisions = (frames.confidence > 0.5, frames.rule, probability > 0.5)
    confidence, rule, calibrated = (_sums(frames, decided) for decided in decisions)

    def balanced(sums: NDArray[np.float64], less: NDArray[np.float64] | None = None) -> Estimate:
        return estimates_of(sums, less, "frame", resamples, seed)[-1]

    def area(values: NDArray[np.float64]) -> Estimate:
        return auroc(values, frames.visible, frames.take, resamples=resamples, seed=seed)

    return DecisionScores(
        confidence=balanced(confidence),
        released_rule=balanced(rule),
        calibrated=balanced(calibrated),
        gain=balanced(calibrated, confidence),
        gain_over_rule=balanced(calibrated, rule),
        auroc=area(probability),
        auroc_of_confidence=area(frames.confidence),
        roc=roc(probability, frames.visible),
    )


def _sums(frames: _Frames, decided: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sums a take as scores are made of; without the metrics of masks, which a decision does not change."""
    counted = {
        "visible": frames.visible,
        "visible_right": frames.visible & decided,
        "absent": ~frames.visible,
        "absent_right": ~frames.visible & ~decided,
    }
    takes = int(frames.take.max()) + 1
    nothing = np.zeros(takes)
    return np.stack(
        [np.bincount(frames.take, counted[name], takes) if name in counted else nothing for name in SUMS], axis=1
    )
