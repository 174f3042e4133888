"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from lmeec.analysis.bootstrap import ALL_METRICS
from lmeec.analysis.groups import FEW_ABSENT, certainty_of_balanced_accuracy
from lmeec.files.locations import location
from lmeec.files.whole import written_whole
from lmeec.report import charts
from lmeec.report.filmstrips import Filmstrip, filmstrips
from lmeec.report.numbers import Numbers, collect, size_words
from lmeec.report.template import fill
from lmeec.tables.failures import read_failures
from lmeec.tables.merge import check_free
from lmeec.tables.output import Output
from lmeec.tables.read import read_history, read_metadata
from lmeec.tables.track_names import TrackNames

if TYPE_CHECKING:
    from markupsafe import Markup

    from lmeec.analysis.groups import Certainty, Estimate, GroupScore
    from lmeec.data.takes import TakeSet
    from lmeec.files.locations import Location
    from lmeec.tables.history import Step
    from lmeec.tables.metadata import RunMetadata

_SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Of masks that are kept."""

_FORMATS = {
    "iou": (100, 2, " %"),
    "location_error": (1, 4, ""),
    "contour_accuracy": (1, 3, ""),
    "balanced_accuracy": (100, 2, " %"),
}


class Report(NamedTuple):
    """What a report shows.

    Attributes:
        numbers: its numbers.
        strips: its tracks; one that could not be drawn says why.
    """

    numbers: Numbers
    strips: list[Filmstrip]


def write_report(
    results: Location | str,
    out: Location,
    *,
    takes: TakeSet | None = None,
    videos: Path | None = None,
    overwrite: bool = False,
) -> Report:
    """Write the report of a run.

    The page holds all it shows. Names from files are escaped, and the page forbids scripts and anything from elsewhere.

    Args:
        results: a results table; without ground truth, the report says so and has no metrics.
        out: HTML file to write.
        takes: the takes that it was predicted from, to show tracks.
        videos: folder that `lmeec render` filled, to be linked; None looks for one called `videos` beside the page.
        overwrite: replace an existing file.

    Returns:
        What it shows.

    Raises:
        OutputError: the table cannot be read, or the file exists or cannot be written.
    """
    check_free(out, overwrite=overwrite)
    numbers = collect(results)
    strips = filmstrips(results, takes, numbers.ranking) if takes is not None else []
    if isinstance(out, Path):
        strips = list(_with_videos(strips, results, out.parent, videos or out.parent / "videos"))
    page = _page(str(results), results, numbers, strips, takes)
    with written_whole(out) as file:
        file.write(page)
    return Report(numbers, strips)


def _with_videos(strips: list[Filmstrip], results: Location | str, beside: Path, videos: Path) -> Iterator[Filmstrip]:
    """Tracks with links to their videos, as far as these were rendered."""
    names = TrackNames.of([results]) if strips and videos.is_dir() else None
    for strip in strips:
        track = strip.track
        link = None
        if names is not None:
            folder = videos / names.folder(track.take_uid, track.object)
            own = folder / f"{names.pair(track.query_cam, track.target_cam)}.mp4"
            of_all_views = folder / f"{track.direction}.mp4"
            video = next((one for one in (own, of_all_views) if one.is_file()), None)
            link = None if video is None else quote(os.path.relpath(video, beside))
        yield replace(strip, video=link)


def _page(
    source: str, results: Location | str, numbers: Numbers, strips: list[Filmstrip], takes: TakeSet | None
) -> bytes:
    run = read_metadata(results)
    filters: dict[str, Callable[..., object]] = {
        "estimate": _estimate,
        "interval": _interval,
        "certainty": _certainty,
        "sign": charts.words_for,
    }
    values = {
        "source": source,
        "run": dict(_flat(asdict(run))),
        "run_metadata": run,
        "risks": dict(_risk_charts(numbers)),
        "ious": dict(_iou_charts(numbers)),
        "shares": _SHARES,
        "numbers": numbers,
        "metrics": ALL_METRICS,
        "few_absent": FEW_ABSENT,
        "charts": dict(_charts(numbers)),
        "sizes": size_words(),
        "strips": strips,
        "with_takes": takes is not None,
        "words": dict(_run_in_words(run, read_history(results), results, takes)),
        "few": charts.FEW,
        "definitions": _DEFINITIONS,
        "failures": read_failures(Output.of(source)),
    }
    return fill("report.html", filters, values)


_DEFINITIONS = {
    "IoU": "Intersection over union of the predicted mask and the ground truth, in percent: 100 is a perfect mask, 0 a "
    "miss. Mean over frames in which the object is visible.",
    "location error": "Distance between the centres of the two masks' bounding boxes, in pixels of the ground truth, "
    "divided by the diagonal of 480 x 480 pixels (679 pixels): 0.05 is 34 pixels. An empty mask counts as centred in "
    "the frame. Lower is better.",
    "contour accuracy": "DAVIS's boundary F: how much of the two outlines lie within 0.8% of the frame's diagonal of "
    "each other, from 0 to 1.",
    "balanced accuracy": "Mean of the shares of visible and of absent frames that are called right, in percent: 50 is "
    "a guess. The object is called visible where confidence is over 0.5.",
}


def _run_in_words(
    run: RunMetadata, history: Sequence[Step], results: Location | str, takes: TakeSet | None
) -> Iterator[tuple[str, str]]:
    yield "results", str(results)
    when = _in_utc(history[-1].when) if history else _last_changed(results)
    if when is not None:
        yield "written", f"{when}, by lmeec {run.lmeec_version}"
    commands = [step.command for step in history if step.command]
    for number, command in enumerate(commands, 1):
        yield "command" if len(commands) == 1 else f"command {number}", command
    data = list(dict.fromkeys(step.data for step in history if step.data))
    if takes is not None:
        kind = "drawn by lmeec synth" if takes.synthetic else f"{takes.layout} layout"
        there = str(takes.root.absolute())
        shown = [f"{there} ({len(takes):,} take{'' if len(takes) == 1 else 's'} on disk, {kind})"]
        yield "data set", ", ".join([*shown, *(one for one in data if one != there)])
    elif data:
        yield "data set", ", ".join(data)
    for direction, digest in run.checkpoints.items():
        yield f"checkpoint, {direction}", f"{run.model} ({digest[:12]})"
    if run.memory:
        size = run.memory.get("size")
        entries = "as many entries as the model has" if size is None else f"{size} entries"
        yield "memory", f"policy {run.memory.get('policy')}, {entries}"
    settings = {name: value for name, value in run.predict.items() if isinstance(value, str | int | bool)}
    if settings:
        yield "settings", ", ".join(f"{name.replace('_', ' ')} {_in_words(value)}" for name, value in settings.items())


def _in_utc(when: str) -> str:
    """An instant in words; as it is where it is none."""
    try:
        return f"{datetime.fromisoformat(when).astimezone(UTC):%d %B %Y, %H:%M} UTC"
    except (ValueError, OverflowError):
        return when


def _last_changed(results: Location | str) -> str | None:
    """When a file that does not tell when it was made was changed; None of one elsewhere."""
    place = location(results) if isinstance(results, str) else results
    return _in_utc(datetime.fromtimestamp(place.stat().st_mtime, UTC).isoformat()) if isinstance(place, Path) else None


def _in_words(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _charts(numbers: Numbers) -> Iterator[tuple[str, Markup]]:
    from markupsafe import Markup

    # Matplotlib escapes the text of its drawings.
    for name in ("by_size", "by_length", "by_scenario"):
        if getattr(numbers, name):
            yield name, Markup(charts.iou_by_label(getattr(numbers, name)))
    if numbers.by_time:
        yield "by_time", Markup(charts.iou_over_time(numbers.by_time))
    if numbers.reliability:
        yield (
            "reliability",
            Markup(charts.reliability(numbers.reliability, "confidence", "share of frames with the object visible")),
        )


def _iou_charts(numbers: Numbers) -> Iterator[tuple[str, Markup]]:
    from markupsafe import Markup

    for sign, curves in numbers.iou_told.items():
        yield sign, Markup(charts.reliability(curves, charts.words_for(sign), "mean IoU"))


def _risk_charts(numbers: Numbers) -> Iterator[tuple[str, Markup]]:
    from markupsafe import Markup

    for direction, curves in numbers.risk.items():
        yield direction, Markup(charts.risk_coverage(curves))


def _certainty(score: GroupScore) -> Certainty:
    return certainty_of_balanced_accuracy(score.visible, score.absent)


def _estimate(estimate: Estimate, metric: str) -> str:
    if estimate.value is None:
        return "-"
    scale, digits, unit = _FORMATS[metric]
    return f"{estimate.value * scale:.{digits}f}{unit}"


def _interval(estimate: Estimate, metric: str) -> str:
    if estimate.low is None or estimate.high is None:
        return "" if estimate.value is None else "no interval"
    scale, digits, _ = _FORMATS[metric]
    return f"{estimate.low * scale:.{digits}f} to {estimate.high * scale:.{digits}f}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, str(value)
