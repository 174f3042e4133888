"""Charts as SVG that takes its colours from the page, so that one drawing serves light, dark and print."""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from lmeec.analysis.risk import BEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from lmeec.analysis.risk import RiskCoverage
    from lmeec.report.numbers import Point, Reliability, Series

# Colours that stand for the page's variables; nothing else in a chart has them.
_INK, _FAINT = "#010203", "#010204"
_VARIABLES = {_INK: "var(--ink)", _FAINT: "var(--line)"}
_STYLES = {"ego2exo": ("#010205", "o", "-"), "exo2ego": ("#010206", "s", "--")}
_VARIABLES |= {"#010205": "var(--ego2exo)", "#010206": "var(--exo2ego)"}

_SIGNS = {
    "cycle_iou": ("#010207", "-"),
    "predicted_iou": ("#010208", "--"),
    "confidence": ("#010209", "-."),
    BEST: (_INK, ":"),
}
_VARIABLES |= {"#010207": "var(--cycle)", "#010208": "var(--predicted)", "#010209": "var(--confidence)"}

_SHARES = np.arange(1, 101) / 100

FEW = 10
"""Frames under which a mark is hollow, and no line leads to it."""

_WIDTH = 6.4  # inches

_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "lmeec",  # the same report twice is the same file
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "sans-serif",
    "font.size": 12,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _FAINT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.labelcolor": _INK,
}


def iou_by_label(series: Series) -> str:
    """IoU and its interval of each label, one below the other."""
    labels: dict[str, float] = {}
    for points in series.values():
        labels |= {point.label: point.position for point in points}
    order = sorted(labels, key=lambda label: labels[label])
    with _figure(1.4 + 0.42 * len(order)) as (figure, axes):
        for offset, (name, points) in zip(_offsets(len(series)), series.items(), strict=True):
            rows = [order.index(point.label) + offset for point in points]
            colour, marker, _ = _style(name)
            axes.errorbar(
                [point.value.value or 0 for point in points],
                rows,
                xerr=_errors(points),
                fmt="none",
                ecolor=colour,
                capsize=3,
            )
            for place, point in zip(rows, points, strict=True):
                filled = colour if point.count >= FEW else "none"
                axes.plot([point.value.value or 0], [place], marker, color=colour, markerfacecolor=filled)
            axes.plot([], [], marker, color=colour, label=name)
        axes.set_yticks(range(len(order)), [_short(label) for label in order])
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel("IoU")
        axes.grid(axis="y", visible=False)
        _legend(axes)
        return _svg(figure)


def iou_over_time(series: Series) -> str:
    """IoU along the take, with its interval as a band."""
    with _figure(3.2) as (figure, axes):
        for name, points in series.items():
            colour, marker, line = _style(name)
            seconds = [point.position for point in points]
            values = np.array([point.value.value for point in points], dtype=float)
            below, above = _errors(points)
            axes.plot(seconds, values, line, marker=marker, color=colour, label=name)
            axes.fill_between(seconds, values - below, values + above, color=colour, alpha=0.15, linewidth=0)
        axes.set_ylim(0, 1)
        axes.set_xlabel("seconds since the take's start")
        axes.set_ylabel("IoU")
        _legend(axes)
        return _svg(figure)


def reliability(curves: Mapping[str, Reliability], said: str, found: str) -> str:
    """What is found, against what a sign says; the diagonal is perfect."""
    with _figure(3.6) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=":", label="perfect")
        for name, curve in curves.items():
            colour, marker, line = _style(name)
            many = curve.frames >= FEW
            few = (curve.frames > 0) & ~many
            sizes = 15 + 85 * np.sqrt(curve.frames / curve.frames.max())
            axes.plot(curve.said[many], curve.found[many], line, color=colour)
            axes.scatter(curve.said[many], curve.found[many], sizes[many], colour, marker=marker, label=name)
            if few.any():
                axes.scatter(
                    curve.said[few], curve.found[few], sizes[few], facecolors="none", edgecolors=colour, marker=marker
                )
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel(said)
        axes.set_ylabel(found)
        _legend(axes)
        return _svg(figure)


def risk_coverage(curves: Mapping[str, RiskCoverage]) -> str:
    """Mean IoU of the best masks by each sign, against the share that is kept."""
    with _figure(3.4) as (figure, axes):
        for name, curve in curves.items():
            colour, line = _SIGNS.get(name, (_INK, ":"))
            axes.plot(100 * _SHARES, [curve.at(share) for share in _SHARES], line, color=colour, label=words_for(name))
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 1)
        axes.set_xlabel("masks that are kept, %")
        axes.set_ylabel("their mean IoU")
        _legend(axes, columns=2)
        return _svg(figure)


def over_time(edges: NDArray[np.float64], values: NDArray[np.float64], ticks: Mapping[float, str]) -> str:
    """A value along time, a step a bin.

    Args:
        edges: of the bins, float64 [bins + 1].
        values: float64 [bins].
        ticks: times that are named.
    """
    with _figure(2.8) as (figure, axes):
        colour, _, _ = _style("ego2exo")
        axes.stairs(values, edges, color=colour, linewidth=1.5)
        axes.stairs(values, edges, color=colour, fill=True, alpha=0.15)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.set_xticks(list(ticks), list(ticks.values()))
        return _svg(figure)


def shares(parts: Mapping[str, float]) -> str:
    """Shares of a whole, the largest first, one below the other; they may overlap."""
    order = sorted(parts, key=lambda name: parts[name], reverse=True)
    with _figure(0.8 + 0.42 * len(order)) as (figure, axes):
        colour, _, _ = _style("ego2exo")
        axes.barh(range(len(order)), [100 * parts[name] for name in order], height=0.6, color=colour)
        for place, name in enumerate(order):
            axes.annotate(
                f"{100 * parts[name]:.1f} %",
                (100 * parts[name], place),
                (4, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_yticks(range(len(order)), [_short(name) for name in order])
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlim(0, 118 * max(parts.values()))
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        return _svg(figure)


def words_for(sign: str) -> str:
    """A sign's column as people say it."""
    return sign.replace("_", " ").replace("iou", "IoU")


@contextlib.contextmanager
def _figure(height: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of the page's width with our settings."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.add_subplot()


def _style(direction: str) -> tuple[str, str, str]:
    return _STYLES.get(direction, (_INK, "^", ":"))


def _offsets(count: int) -> NDArray[np.float64]:
    return 0.24 * (np.arange(count, dtype=np.float64) - (count - 1) / 2)


def _errors(points: Sequence[Point]) -> NDArray[np.float64]:
    """Distances to both ends of the intervals, float64 [2, points]; 0 without an interval."""
    ends = []
    for point in points:
        value = point.value.value or 0.0
        low = value if point.value.low is None else point.value.low
        high = value if point.value.high is None else point.value.high
        ends.append((max(0.0, value - low), max(0.0, high - value)))
    return np.array(ends, dtype=float).reshape(-1, 2).T


def _short(label: str) -> str:
    return label if len(label) <= 32 else f"{label[:31]}…"


def _legend(axes: Axes, columns: int = 3) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, variable)
    # Ids that matplotlib numbers come again in every drawing of a page, and nothing refers to them.
    return re.sub(r' id="[A-Za-z\d.]+_\d+"', "", drawing)
