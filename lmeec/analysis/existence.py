"""Fit the decision whether an object is visible, and say what it brings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lmeec.analysis.bootstrap import RESAMPLES, SEED, SUMS
from lmeec.analysis.calibration import CALIBRATION_COLUMNS, FEATURES, Calibration, Decision, feature_values
from lmeec.analysis.groups import Estimate, estimates_of
from lmeec.analysis.protocols import RULE_SHARE
from lmeec.errors import DataError
from lmeec.tables import read_metadata, scan_results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmeec.files.locations import Location

FOLDS = 5
_CONSTANT = 1e-9  # spread of a feature that says nothing, but for rounding


@dataclass(frozen=True, slots=True)
class DecisionScores:
    """Balanced accuracy of three decisions on the same frames, with intervals over takes.

    Attributes:
        confidence: confidence > 0.5, as the run has it.
        released_rule: the mask covers over 0.1% of the frame.
        calibrated: the fitted decision, each frame by a fit without its fold of takes.
        gain: calibrated less confidence.
        gain_over_rule: calibrated less the released rule.
    """

    confidence: Estimate
    released_rule: Estimate
    calibrated: Estimate
    gain: Estimate
    gain_over_rule: Estimate


@dataclass(frozen=True)
class Fitted:
    """A calibration and what could not be fitted.

    Attributes:
        calibration: the calibration.
        scores: by direction.
        skipped: direction to the reason why it is not in the calibration.
    """

    calibration: Calibration
    scores: dict[str, DecisionScores]
    skipped: dict[str, str]


def fit_calibration(results: Location | str, *, resamples: int = RESAMPLES, seed: int = SEED) -> Fitted:
    """Fit a decision for each direction of a results table with ground truth.

    Frames are weighted so that visible and absent ones count the same, as they do in balanced accuracy. What is
    reported is cross-validated over takes; what is kept is fitted on all of them.

    Args:
        results: where `lmeec predict` or `lmeec import` wrote a table.
        resamples: draws of takes for the intervals.
        seed: of the draws.

    Raises:
        OutputError: the table cannot be read.
        DataError: no direction has takes enough with visible and with absent frames.
    """
    frames = _read(results)
    decisions, scores, skipped, made = {}, {}, {}, {}
    for direction in sorted(frames):
        one = frames[direction]
        try:
            _check(one)
            folds, calibrated = _cross_validated(one)
        except DataError as error:
            skipped[direction] = str(error)
            continue
        decisions[direction] = _fit(one.values, one.visible, one.features)
        scores[direction] = _scores(one, calibrated, resamples, seed)
        made[direction] = {
            "visible": int(one.visible.sum()),
            "absent": int((~one.visible).sum()),
            "takes": np.unique(one.take).size,
            "folds": folds,
        }
    if not decisions:
        reasons = "; ".join(f"{direction}: {reason}" for direction, reason in skipped.items())
        raise DataError(
            f"{results} cannot be calibrated on: {reasons or 'it has no frame with ground truth'}. Use a run over "
            "annotated takes (not the test split)"
        )
    calibration = Calibration(
        directions=decisions,
        made={
            "results": str(results),
            "run": asdict(read_metadata(results)),
            "method": "logistic regression, classes weighted equally, cross-validated over takes",
            "frames": made,
        },
        scores={direction: asdict(one) for direction, one in scores.items()},
    )
    return Fitted(calibration, scores, skipped)


@dataclass(frozen=True)
class _Frames:
    """Annotated frames of one direction."""

    features: tuple[str, ...]
    values: NDArray[np.float64]
    take: NDArray[np.int64]
    visible: NDArray[np.bool_]
    confidence: NDArray[np.bool_]
    rule: NDArray[np.bool_]


def _read(results: Location | str) -> dict[str, _Frames]:
    columns = ("take_uid", "gt_state", *CALIBRATION_COLUMNS)
    batches = [batch.filter(_annotated(batch)) for batch in scan_results(results, columns)]
    table = pa.Table.from_batches(batches) if batches else None
    if table is None or not table.num_rows:
        raise DataError(
            f"{results} has no frame with ground truth to calibrate on: predict takes whose annotations hold masks of "
            "the target view too (the benchmark's test split holds query masks only)"
        )
    return dict(_by_direction(table))


def _annotated(batch: pa.RecordBatch) -> pa.BooleanArray:
    """Annotated frames with a prediction: of others there is nothing to decide by."""
    return pc.and_(pc.not_equal(batch["gt_state"], "unannotated"), pc.is_null(batch["missing"]))


def _by_direction(table: pa.Table) -> Iterator[tuple[str, _Frames]]:
    for direction in sorted(pc.unique(table["direction"]).to_pylist()):
        rows = table.filter(pc.equal(table["direction"], direction))
        # Imported predictions have neither object scores nor predicted IoUs: their area is left to decide by.
        features = tuple(
            name for name in FEATURES if name not in rows.column_names or rows[name].null_count < rows.num_rows
        )
        area = np.asarray(rows["area"]) / (np.asarray(rows["height"]).astype(np.float64) * np.asarray(rows["width"]))
        yield (
            direction,
            _Frames(
                features=features,
                values=feature_values(rows, features),
                take=np.unique(np.asarray(rows["take_uid"]).astype(str), return_inverse=True)[1],
                visible=np.asarray(pc.equal(rows["gt_state"], "visible")),
                confidence=np.asarray(rows["confidence"]) > 0.5,
                rule=area > RULE_SHARE,
            ),
        )


def _check(frames: _Frames) -> None:
    """Refuse what no decision can be fitted and tested on: a state that is missing, or in one take only."""
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


def _cross_validated(frames: _Frames) -> tuple[int, NDArray[np.bool_]]:
    """Decide every frame by a fit without the takes of its fold; returns the number of folds too."""
    from sklearn.model_selection import StratifiedGroupKFold

    states = [np.unique(frames.take[frames.visible == state]).size for state in (True, False)]
    folds = min(FOLDS, *states)
    calibrated = np.zeros(frames.visible.size, dtype=bool)
    # Groups are takes; stratified, so that every fold's training frames have both states.
    split = StratifiedGroupKFold(folds).split(frames.values, frames.visible, frames.take)
    for train, test in split:
        if frames.visible[train].all() or not frames.visible[train].any():
            raise DataError("too few takes have both visible and absent frames to cross-validate over takes")
        decision = _fit(frames.values[train], frames.visible[train], frames.features)
        calibrated[test] = decision.probability(frames.values[test]) > 0.5
    return folds, calibrated


def _fit(values: NDArray[np.float64], visible: NDArray[np.bool_], features: tuple[str, ...]) -> Decision:
    from sklearn.linear_model import LogisticRegression

    mean, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.where(spread > _CONSTANT, spread, 1.0)
    fitted = LogisticRegression(class_weight="balanced").fit((values - mean) / scale, visible)
    return Decision(
        features=features,
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        coefficients=tuple(fitted.coef_[0].tolist()),
        intercept=float(fitted.intercept_[0]),
    )


def _scores(frames: _Frames, calibrated: NDArray[np.bool_], resamples: int, seed: int) -> DecisionScores:
    confidence, rule, fitted = (_sums(frames, decided) for decided in (frames.confidence, frames.rule, calibrated))

    def balanced(sums: NDArray[np.float64], less: NDArray[np.float64] | None = None) -> Estimate:
        return estimates_of(sums, less, "frame", resamples, seed)[-1]

    return DecisionScores(
        confidence=balanced(confidence),
        released_rule=balanced(rule),
        calibrated=balanced(fitted),
        gain=balanced(fitted, confidence),
        gain_over_rule=balanced(fitted, rule),
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
