"""`lmeec score`: the benchmark's metrics of a results table, by group, and of two tables side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmeec.config import Average, ScoreProtocol
from lmeec_cli.cautions import warn_of_tables
from lmeec_cli.earlier import note_earlier_versions
from lmeec_cli.options import AsJson, CalibrationFile
from lmeec_cli.selections import note_selections
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lmeec.analysis.calibration import Calibration
    from lmeec.analysis.compare import CommonFrames, GroupComparison
    from lmeec.analysis.frames import FrameTable
    from lmeec.analysis.groups import GroupScore

    Lost = Mapping[str, Mapping[str, int]]
    Tables = Mapping[tuple[str, ...], Sequence[GroupScore] | Sequence[GroupComparison]]


def score(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Parquet file or folder that `lmeec predict` or `lmeec import` wrote: a path or a URL. Two are "
            "compared on the frames that both have.",
            show_default=False,
        ),
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUPING[,GROUPING...]",
            help="Group by direction, scenario, object, size, length, camera (the target), or a sign of quality in "
            "bins: cycle_iou, predicted_iou or confidence (of two tables, the first's). Repeat for more tables; "
            "groupings joined by commas are crossed. Directions are never pooled.",
            show_default="direction",
        ),
    ] = None,
    average: Annotated[
        Average,
        typer.Option(help="Means over frames pooled over takes, as the benchmark has it, or over takes."),
    ] = "frame",
    protocol: Annotated[
        ScoreProtocol,
        typer.Option(
            help="The benchmark's, or that of the paper's own scripts: masks at 480x480, visible by area, absent "
            "wherever there is no ground truth mask, each 30th frame. Takes tables of `lmeec predict --mask-size "
            "square`."
        ),
    ] = "benchmark",
    against: Annotated[
        Literal["published"] | None,
        typer.Option(
            help="Show LM-EEC's published numbers beside the run's, and what they are of.", show_default="none"
        ),
    ] = None,
    calibration: CalibrationFile = None,
    missing: Annotated[
        Literal["empty", "skip"],
        typer.Option(
            help="Frames that have ground truth but no prediction: empty masks that are predicted absent, as the "
            "benchmark has it, or left out."
        ),
    ] = "empty",
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one row a group, instead of tables.")] = False,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Write one row a group to this Parquet file too.", show_default=False),
    ] = None,
) -> None:
    """Score a results table against its ground truth, or compare two.

    IoU, location error and contour accuracy are means over frames in which the object is visible; balanced accuracy
    of "visible" is over all annotated frames. Below each metric is its 95% interval, from drawing takes anew (none
    for a single take). Tables give IoU and balanced accuracy in percent; JSON, CSV and Parquet give fractions. Tables
    show no balanced accuracy where all frames are visible or all absent, and mark it under 5 absent frames.

    Sizes are shares of the target view that the visible mask covers: tiny under 0.1%, small under 0.33%, medium under
    3%, large above; 0.33% and 3% are COCO's 32x32 and 96x96 pixels of 640x480. A take's length is its number of
    different frames: under 200, 200 to 600, over 600.

    **Examples**

    Show the metrics of a run:

        lmeec score results.parquet

    By scenario, and by object size within each camera:

        lmeec score results.parquet --by scenario --by camera,size

    How good the masks are that came back as they were given, for a run of `lmeec predict --cycle`:

        lmeec score results.parquet --by cycle_iou

    Take one number for a script:

        lmeec score results.parquet --json | jq .directions.ego2exo.iou

    As the paper's own scripts score, a run of `lmeec predict --mask-size square`:

        lmeec score square.parquet --protocol paper

    Beside what the paper has, which is of the test split:

        lmeec score results.parquet --against published

    Two runs, with the paired difference, into a table to work on:

        lmeec score drop.parquet merge.parquet --by object --out difference.parquet
    """
    import dataclasses

    from lmeec.analysis.calibration import read_calibration
    from lmeec.analysis.frames import load_frames
    from lmeec.analysis.groups import groupings
    from lmeec.analysis.published import LM_EEC
    from lmeec.analysis.records import table_of, to_csv, write_table
    from lmeec.tables import location

    _check_options(results, protocol, calibration, against, as_json=as_json, as_csv=as_csv)
    crossings = list(dict.fromkeys(groupings(one.split(",")) for one in ["direction", *(by or [])]))
    decides = None if calibration is None else read_calibration(calibration)
    needed = {name for crossing in crossings for name in crossing}
    # The second of two tables takes the groups of the first.
    frames = [
        load_frames(one, by, protocol=protocol, calibration=decides, numbers=len(results) > 1)
        for one, by in zip(results, (needed, ()), strict=False)
    ]
    lost = [one.lost_by_reason() for one in frames]
    if missing == "skip":
        frames = [_predicted_only(one) for one in frames]
    common = None
    tables: Tables
    if len(frames) == 1:
        from lmeec.analysis.groups import score_groups

        tables = {crossing: score_groups(frames[0], crossing, average=average) for crossing in crossings}
    else:
        from lmeec.analysis.compare import common_frames, compare_groups

        common = common_frames(*frames)
        tables = {crossing: compare_groups(common, crossing, average=average) for crossing in crossings}
    if out is not None:
        write_table(table_of(tables), location(out))
    if as_json:
        uncounted = _left_out_document(results) if protocol == "paper" else _lost_document(missing, lost)
        document = _document(results, tables, protocol, average, decides, common) | uncounted
        document |= {} if against is None else {"published": dataclasses.asdict(LM_EEC)}
        echo(json.dumps(document, indent=2))
    elif as_csv:
        echo(to_csv(table_of(tables)), nl=False)
    else:
        _show(results, tables, protocol, against)
    _note_what_is_missing(tables, decides)
    _note_what_was_fitted_on(results, decides)
    note_earlier_versions(results)
    note_selections(results)
    if protocol == "paper":
        _note_what_is_left_out(results)
    else:
        _note_what_is_lost(results, missing, lost)
    _note_what_is_compared(results, common)
    warn_of_tables(results)


def _check_options(
    results: Sequence[str], protocol: str, calibration: Path | None, against: str | None, *, as_json: bool, as_csv: bool
) -> None:
    if len(results) > 2:
        raise typer.BadParameter("give one table to score, or two to compare", param_hint="RESULTS...")
    if against is not None and len(results) > 1:
        raise typer.BadParameter("takes one table, and compares it with published numbers", param_hint="--against")
    if as_json and as_csv:
        raise typer.BadParameter("choose --json or --csv", param_hint="--csv")
    if protocol == "paper" and calibration is not None:
        raise typer.BadParameter("the paper's protocol decides by area what is visible", param_hint="--calibration")


def _document(
    results: Sequence[str],
    tables: Tables,
    protocol: str,
    average: str,
    calibration: Calibration | None,
    common: CommonFrames | None,
) -> dict[str, Any]:
    import dataclasses

    from lmeec.analysis.records import record
    from lmeec.tables import read_metadata

    selections = [read_metadata(one).selection for one in results]
    runs = [dataclasses.asdict(read_metadata(one)) for one in results]
    cautions = [caution for one in results for caution in read_metadata(one).cautions]
    by_direction, *others = tables.items()
    return {
        **({"results": results[0], "run": runs[0]} if common is None else {"results": list(results), "runs": runs}),
        **({"cautions": cautions} if any(cautions) else {}),
        **({"selection": selections[0] if common is None else selections} if any(selections) else {}),
        "protocol": protocol,
        "average": average,
        "calibration": calibration and calibration.digest,
        **({} if common is None else {"common": _counts_of(common)}),
        "directions": {one.group["direction"]: record(one) for one in by_direction[1]},
        "tables": [{"by": by, "groups": [one.group | record(one) for one in ones]} for by, ones in others],
    }


def _counts_of(common: CommonFrames) -> dict[str, int]:
    return {
        "frames": len(common.first),
        "only_first": common.only_first,
        "only_second": common.only_second,
        "other_truth": common.other_truth,
    }


def _show(results: Sequence[str], tables: Tables, protocol: str, against: str | None) -> None:
    from lmeec.analysis.published import LM_EEC
    from lmeec_cli.score_tables import show_groups, show_published

    if len(results) == 2:
        echo(f"A: {results[0]}\nB: {results[1]}")
    for by, ones in tables.items():
        show_groups(by, ones)
    if against is not None:
        show_published(next(iter(tables.values())), LM_EEC, protocol)


def _note_what_is_missing(tables: Tables, calibration: Calibration | None) -> None:
    by_direction = next(iter(tables.values()))
    for one in by_direction:
        direction = one.group["direction"]
        if not one.visible:
            echo(f"note: none of the {one.frames:,} frames of {direction} has visible ground truth", err=True)
        if calibration is not None and direction not in calibration.directions:
            echo(f"note: the calibration says nothing of {direction}: confidence > 0.5 decides there", err=True)


def _note_what_was_fitted_on(results: Sequence[str], calibration: Calibration | None) -> None:
    from lmeec.tables import read_metadata

    for one in results:
        if calibration is not None and calibration.fitted_on(read_metadata(one).annotation_digest):
            echo(
                f"note: the calibration was fitted on the ground truth of {one} itself, so its balanced accuracy is "
                "better here than on other takes; `lmeec calibrate` shows what cross-validation leaves of it",
                err=True,
            )


def _predicted_only(frames: FrameTable) -> FrameTable:
    from lmeec.errors import DataError

    kept = frames.predictions()
    if frames.lost().any() and not kept.has_truth.any():
        raise DataError(
            f"{frames.source}: no frame with ground truth has a prediction, so that --missing skip leaves nothing to "
            "score; its column `missing` says why"
        )
    return kept


def _lost_document(missing: str, lost: Sequence[Lost]) -> dict[str, Any]:
    return {"missing": {"count_as": missing, "frames": lost[0] if len(lost) == 1 else list(lost)}}


def _note_what_is_lost(results: Sequence[str], missing: str, lost: Sequence[Lost]) -> None:
    fate = (
        "count as empty masks that are predicted absent; --missing skip leaves them out"
        if missing == "empty"
        else "are left out"
    )
    for where, by_direction in zip(results, lost, strict=True):
        for direction, reasons in by_direction.items():
            if reasons:
                words = ", ".join(f"{name} {count:,}" for name, count in reasons.items())
                place = f" in {where}" if len(results) > 1 else ""
                echo(
                    f"note: {sum(reasons.values()):,} frames of {direction}{place} have ground truth but no prediction "
                    f"({words}); they {fate}",
                    err=True,
                )


def _left_out_document(results: Sequence[str]) -> dict[str, Any]:
    import dataclasses

    from lmeec.analysis.protocols import left_out

    counts = [dataclasses.asdict(left_out(one)) for one in results]
    return {"left_out": counts[0] if len(counts) == 1 else counts}


def _note_what_is_left_out(results: Sequence[str]) -> None:
    from lmeec.analysis.protocols import FRAME_STEP, left_out

    for one in results:
        counts = left_out(one)
        if counts.missing or counts.between:
            echo(
                f"note: {one}: the paper's protocol leaves out {counts.missing:,} frames without a prediction and "
                f"{counts.between:,} whose number is no multiple of {FRAME_STEP}",
                err=True,
            )


def _note_what_is_compared(results: Sequence[str], common: CommonFrames | None) -> None:
    from lmeec.tables import read_metadata

    if common is None:
        return
    echo(
        f"compared on {len(common.first):,} frames that both have; {common.only_first:,} are in {results[0]} only, "
        f"{common.only_second:,} in {results[1]} only",
        err=True,
    )
    if common.other_truth:
        echo(
            f"note: {common.other_truth:,} more are left out: the two tables differ in whether the object is visible",
            err=True,
        )
    first, second = (read_metadata(one) for one in results)
    if first.annotation_digest != second.annotation_digest:
        echo("note: the runs were scored against different annotation files", err=True)
