"""What was fitted on a run with ground truth, in a JSON file that applies it to others.

It says when an object counts as visible, and how far a mask can be trusted.
The released rule calls an object visible where its mask covers over 0.1% of the frame, and the model's own confidence
says so by the object score alone. A calibration weighs all signs that a row has (`lmeec.analysis.signs`), with a rule
for each direction: the probability of being visible replaces the confidence, so that over 0.5 still means visible.
Another rule tells how likely the mask has an IoU over 0.5.
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

from lmeec.analysis.rule import Rule, own_part
from lmeec.analysis.signs import SIGN_COLUMNS
from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.files.whole import written_whole
from lmeec.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from lmeec.config import Rows

FORMAT = "lmeec calibration 1"

CALIBRATION_COLUMNS = (*SIGN_COLUMNS, "confidence")
"""Columns of a results table that a calibration reads."""

OWN_COLUMNS = tuple(name for name in CALIBRATION_COLUMNS if name != "mask_rle")
"""Those that one reads which weighs each row by itself."""


@dataclass(frozen=True)
class Calibration:
    """What a calibration file holds.

    Attributes:
        directions: the rule by which an object counts as visible, of each direction that could be fitted.
        trust: the rule that tells how likely a mask has an IoU over 0.5, likewise.
        made: how it was made: the table, its run, counts, folds.
        scores: what the rules of each direction are worth, with intervals.
        format: marks the file.
        lmeec_version: version that made it.
    """

    directions: Mapping[str, Rule]
    trust: Mapping[str, Rule] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    format: str = FORMAT
    lmeec_version: str = __version__

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the confidence, hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(self.directions, order="sorted")).hexdigest()

    @property
    def known_directions(self) -> frozenset[str]:
        """Directions whose confidence it replaces."""
        return frozenset(self.directions)

    def fitted_on(self, annotation_digest: str) -> bool:
        """Whether it was fitted on a table of these annotations, so that scores of theirs flatter it."""
        run = self.made.get("run")
        return isinstance(run, Mapping) and run.get("annotation_digest") == annotation_digest

    @property
    def needs_takes(self) -> bool:
        """Whether the confidence of a row depends on other rows, so that takes must be given whole."""
        return any(rule.needs_takes for rule in self.directions.values())

    @property
    def needs_cycle(self) -> frozenset[str]:
        """Directions whose confidence depends on the round trip."""
        return frozenset(
            name
            for name, rule in self.directions.items()
            if not {"cycle_iou", "cycle_score"}.isdisjoint(map(own_part, rule.features))
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a results table that the confidence depends on."""
        return CALIBRATION_COLUMNS if self.needs_takes else OWN_COLUMNS

    def confidence(self, rows: pa.RecordBatch | pa.Table) -> NDArray[np.float64]:
        """Confidence of rows; those of directions that it says nothing of, and those without a prediction, keep theirs.

        Args:
            rows: with `columns`; if it `needs_takes`, all of the takes that they are of.

        Returns:
            float64 [rows], over 0.5 where the object counts as visible.

        Raises:
            DataError: a sign that it needs is null.
        """
        found = _by_rule(rows, self.directions)
        return np.where(np.isnan(found), np.asarray(rows["confidence"]).astype(np.float64), found)

    def trusted(self, rows: pa.RecordBatch | pa.Table) -> NDArray[np.float64]:
        """How likely each mask has an IoU over 0.5 with an object that is visible, float64 [rows].

        NaN without a prediction, and of directions that it says nothing of.

        Args:
            rows: with `CALIBRATION_COLUMNS`, all of the takes that they are of.

        Raises:
            DataError: as for `confidence`.
        """
        return _by_rule(rows, self.trust)

    def apply(self, batch: Rows) -> Rows:
        """Replace the confidence of rows of the results table; see `confidence`.

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


def _by_rule(rows: pa.RecordBatch | pa.Table, rules: Mapping[str, Rule]) -> NDArray[np.float64]:
    """What the rule of each row's direction says of it, float64 [rows]; NaN where none does."""
    found = np.full(rows.num_rows, np.nan)
    for direction, rule in rules.items():
        ours = pc.equal(rows["direction"], direction)
        takes = pc.unique(rows["take_uid"].filter(ours)) if rule.needs_takes else [None]
        for take in takes:
            chosen = np.asarray(ours if take is None else pc.and_(ours, pc.equal(rows["take_uid"], take)))
            if chosen.any():
                some = rows.filter(pa.array(chosen))
                found[chosen] = rule.of_rows(pa.table(some) if isinstance(some, pa.RecordBatch) else some)
    return found
