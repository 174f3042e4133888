"""The decision whether an object is visible, fitted on a run with ground truth; a JSON file applies it to others.

The released rule calls an object visible where its mask covers over 0.1% of the frame, and the model's own confidence
says so by the object score alone. A calibration weighs object score, predicted IoU and mask area together: a logistic
regression for each direction, whose probability replaces the confidence, so that over 0.5 still means visible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.files.whole import written_whole
from lmeec.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = "lmeec calibration 1"

FEATURES = ("object_score", "predicted_iou", "log_area_share")
"""Logit of the object's presence; IoU as the model estimates it; log10 of the share of the frame its mask covers."""

CALIBRATION_COLUMNS = ("direction", "missing", "confidence", "object_score", "predicted_iou", "area", "height", "width")
"""Columns of a results table that a calibration reads."""

_LARGEST_SCORE = 30.0  # sigmoid is 0 or 1 to 13 digits there
_SMALLEST_SHARE = 1e-6  # under one pixel of 480x480: stands for an empty mask


@dataclass(frozen=True)
class Decision:
    """Logistic regression of one direction, on standardised features.

    Attributes:
        features: names out of `FEATURES`.
        mean: of each feature.
        scale: of each feature.
        coefficients: of the standardised features.
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
        if unknown := [name for name in self.features if name not in FEATURES]:
            raise ValueError(f"unknown feature {unknown[0]!r}")
        if 0 in self.scale:
            raise ValueError("a scale is zero")

    def probability(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of being visible.

        Args:
            values: float64 [frames, features].
        """
        logit = (values - self.mean) / self.scale @ np.asarray(self.coefficients) + self.intercept
        probability: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(logit, -700, 700)))
        return probability


@dataclass(frozen=True)
class Calibration:
    """What a calibration file holds.

    Attributes:
        directions: the decision of each direction that could be fitted.
        made: how it was made: the table, its run, counts, folds.
        scores: balanced accuracy of each direction, before and after, with intervals.
        format: marks the file.
        lmeec_version: version that made it.
    """

    directions: Mapping[str, Decision]
    made: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    format: str = FORMAT
    lmeec_version: str = __version__

    @property
    def digest(self) -> str:
        """SHA-256 of what decides, hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self.directions, order="sorted")).hexdigest()

    @property
    def known_directions(self) -> frozenset[str]:
        """Directions whose confidence it replaces."""
        return frozenset(self.directions)

    def confidence(self, rows: pa.RecordBatch | pa.Table) -> NDArray[np.float64]:
        """Confidence of rows; those of directions that it says nothing of, and those without a prediction, keep theirs.

        Args:
            rows: with `CALIBRATION_COLUMNS`.

        Returns:
            float64 [rows], over 0.5 where the object counts as visible.

        Raises:
            DataError: a feature that it needs is null.
        """
        confidence = np.asarray(rows["confidence"]).astype(np.float64)  # a copy, also of a table's column
        for direction, decision in self.directions.items():
            chosen = np.asarray(pc.and_(pc.equal(rows["direction"], direction), pc.is_null(rows["missing"])))
            if chosen.any():
                values = feature_values(rows.filter(pa.array(chosen)), decision.features)
                confidence[chosen] = decision.probability(values)
        return confidence

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Replace the confidence of rows of the results table.

        Raises:
            DataError: as for `confidence`.
        """
        place = batch.schema.get_field_index("confidence")
        return batch.set_column(place, batch.schema.field(place), pa.array(self.confidence(batch)))

    def write(self, path: Path) -> None:
        """Write the file, which appears only when whole.

        Raises:
            OutputError: it cannot be written.
        """
        with written_whole(path) as file:
            file.write(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def read_calibration(path: Path) -> Calibration:
    """Read what `Calibration.write` wrote.

    Raises:
        DataError: the file is missing, is not JSON, or is not a calibration.
    """
    calibration_hint = "give a file that `lmeec calibrate` wrote"
    if decode_file(path, _Marked).format != FORMAT:
        raise DataError(f"{path}: is not a calibration of this lmeec ({FORMAT!r}): {calibration_hint}")
    try:
        return decode_file(path, Calibration)
    except DataError as error:
        raise DataError(f"{error}; {calibration_hint}") from error


class _Marked(msgspec.Struct):
    format: Any = None


def feature_values(rows: pa.RecordBatch | pa.Table, features: tuple[str, ...]) -> NDArray[np.float64]:
    """The features of rows, float64 [rows, features].

    Raises:
        DataError: one of them is null.
    """
    return np.stack([_feature(rows, name) for name in features], axis=1)


def _feature(rows: pa.RecordBatch | pa.Table, name: str) -> NDArray[np.float64]:
    if name == "log_area_share":
        pixels = np.asarray(rows["height"]).astype(np.float64) * np.asarray(rows["width"])
        shares: NDArray[np.float64] = np.maximum(np.asarray(rows["area"]) / pixels, _SMALLEST_SHARE)
        return np.log10(shares)
    if rows[name].null_count:
        raise DataError(
            f"the calibration needs {name}, which rows of this table lack: use a calibration that was fitted on a "
            "table of the same kind"
        )
    return np.clip(np.asarray(rows[name]).astype(np.float64), -_LARGEST_SCORE, _LARGEST_SCORE)
