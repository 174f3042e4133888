"""The summary of a clips table on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from lmeec.clips.summary import ClipsSummary
from lmeec_cli.console import Console

_BAR_WIDTH = 30
_SCENARIOS_SHOWN = 12


def show_summary(summary: ClipsSummary, out: Path) -> None:
    """Print what a clips table holds, and what was left out of it, to standard output."""
    console = Console()
    console.print(
        f"{out}: {summary.pairs:,} pairs of {summary.clips:,} clips, from {summary.takes:,} takes and "
        f"{summary.videos:,} videos of {summary.video_hours:,.2f} hours",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if summary.mean_seconds is not None:
        console.print(
            f"clips are {summary.mean_seconds:.2f} s long on average, {summary.clip_hours:,.2f} hours in all",
            highlight=False,
        )
    if summary.grounded is not None:
        console.print(f"{summary.grounded:,} clips mention an object of the results", highlight=False)
    if summary.pairs:
        console.print(_histogram(summary.lengths))
        console.print(_counts("scenario", "pairs", summary.scenarios))
    if any(summary.dropped_descriptions.values()):
        console.print(_counts("left out because", "descriptions", _in_words(summary.dropped_descriptions)))
    if any(summary.dropped_pairs.values()):
        console.print(_counts("left out because", "pairs", _in_words(summary.dropped_pairs)))


_REASONS = {
    "take_not_on_disk": "the take is not on disk",
    "no_ego_video": "the take has no ego video that can be read",
    "no_exo_video": "the take has no exo video that can be read",
    "rejected": "a reviewer rejected the annotation",
    "no_text": "there is no text",
    "no_timestamp": "there is no time stamp",
    "unsure": "the annotator was unsure",
    "not_visible_in_ego": "the ego camera does not show it",
    "duplicate": "another sentence says the same",
    "no_best_exo_video": "no best exo camera is named, or it is not on disk",
    "not_best_exo": "another exo camera is the best",
    "outside_video": "the time stamp is outside the video",
    "too_short": "the video has no room for the shortest length",
}


def _in_words(dropped: Mapping[str, int]) -> dict[str, int]:
    return {_REASONS[reason]: count for reason, count in dropped.items()}


def _histogram(lengths: Mapping[str, int]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("seconds", no_wrap=True)
    table.add_column("clips", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    most = max(lengths.values())
    for name, count in lengths.items():
        table.add_row(name, f"{count:,}", "█" * round(_BAR_WIDTH * count / most))
    return table


def _counts(what: str, of: str, counts: Mapping[str, int]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column(what)
    table.add_column(of, justify="right", no_wrap=True)
    for name, count in list(counts.items())[:_SCENARIOS_SHOWN]:
        if count:
            table.add_row(Text(name), f"{count:,}")  # names of scenarios may hold brackets
    if len(counts) > _SCENARIOS_SHOWN:
        rest = list(counts.values())[_SCENARIOS_SHOWN:]
        table.add_row(f"{len(rest)} more", f"{sum(rest):,}")
    return table
