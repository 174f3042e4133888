"""How the four metrics are written, in every table and line."""

from __future__ import annotations

from typing import NamedTuple


class MetricFormat(NamedTuple):
    """How a metric is written.

    Attributes:
        heading: of a column; two lines.
        words: in a line of text.
        scale: what it is multiplied with.
        digits: behind the point.
    """

    heading: str
    words: str
    scale: int
    digits: int


METRICS = {
    "iou": MetricFormat("IoU %", "IoU", 100, 2),
    "location_error": MetricFormat("location\nerror", "location error", 1, 3),
    "contour_accuracy": MetricFormat("contour\naccuracy", "contour accuracy", 1, 3),
    "balanced_accuracy": MetricFormat("balanced\nacc. %", "balanced accuracy", 100, 2),
}


def shown(metric: str, value: float | None) -> str:
    """A metric's value; a dash where there is none.

    Example:
        >>> shown("iou", 0.54978), shown("location_error", 0.0171), shown("iou", None)
        ('54.98', '0.017', '-')
    """
    form = METRICS[metric]
    return "-" if value is None else f"{form.scale * value:.{form.digits}f}"
