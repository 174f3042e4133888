"""Where a run's time went, as a table on standard error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from lmeec_cli.console import Console

if TYPE_CHECKING:
    from lmeec.inference.pipeline import Profile

_MENDS = {
    "network": "a GPU, --dtype bfloat16 or more workers would help most",
    "decode": "smaller videos (downscaled/448) or more CPUs for each worker would help most",
    "encode masks": "more CPUs for each worker would help most",
    "metrics and writing": "more CPUs for each worker, or a faster disk, would help most",
    "open and plan": "a faster disk would help most",
}


def show_profile(profile: Profile) -> None:
    """Print the stages, the parts of the network, and what bounds the run."""
    console = Console(stderr=True)
    if not profile.seconds:
        console.print("profile: nothing was predicted")
        return
    console.print(_table("stage (they overlap)", profile.stages, profile.seconds))
    if profile.network:
        console.print(_table("part of the network", profile.network, profile.seconds))
    slowest = max(profile.stages, key=lambda stage: profile.stages[stage])
    share = profile.stages[slowest] / profile.seconds
    outside = max(0.0, 1 - profile.stages.get("network", 0.0) / profile.seconds)
    console.print(
        f"wall time {profile.seconds:.1f} s, {outside:.1%} of it outside the network. "
        f"Bound by: {slowest} ({share:.0%} of the time); {_MENDS[slowest]}",
        highlight=False,
        soft_wrap=True,
    )


def _table(title: str, seconds: Mapping[str, float], wall: float) -> Table:
    table = Table(title, box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("seconds", justify="right")
    table.add_column("of wall time", justify="right")
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{spent:.2f}", f"{spent / wall:.1%}")
    return table
