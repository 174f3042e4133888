"""A record as a table in Markdown."""

from __future__ import annotations

import subprocess
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.fuzz.record import is_open
from tests.support.places import ROOT

if TYPE_CHECKING:
    from tests.fuzz.record import Content

_UNSAID = 160


def table(content: Content) -> str:
    """A row for each reader, and below the failures that are not mended.

    "since mended" counts the inputs that were tried on code that has all mends of the reader's failures.
    """
    lines = [
        "| reader | inputs | since mended | refused | CPU s | inputs a CPU s | slowest s | peak MB | failures | open |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(name, list(seeds.values()), content) for name, seeds in sorted(content["readers"].items())),
        _row("all", [tried for seeds in content["readers"].values() for tried in seeds.values()], content),
        "",
    ]
    for key, entry in sorted(content["failures"].items()):
        if is_open(entry):
            first, count = entry["first"], sum(entry["seeds"].values())
            lines.append(
                f"- {key} ({count}x; seed {first['seed']}, number {first['number']}): {entry['said'][:_UNSAID]!r}"
            )
    return "\n".join(lines)


def _row(name: str, tried: list[dict[str, Any]], content: Content) -> str:
    inputs, refused, cpu = (sum(one[what] for one in tried) for what in ("inputs", "refused", "cpu_s"))
    readers = list(content["readers"]) if name == "all" else [name]
    failures = [entry for entry in content["failures"].values() if entry["reader"] in readers]
    since = sum(_since_mended(content, reader) for reader in readers)
    slowest = max((one["slowest"]["seconds"] for one in tried), default=0.0)
    peak = max((one["peak_mb"] for one in tried), default=0)
    return (
        f"| {name} | {inputs:,} | {since:,} | {refused:,} | {cpu:.0f} | {inputs / cpu if cpu else 0:,.0f} | "
        f"{slowest:.2f} | {peak} | {len(failures)} | {sum(map(is_open, failures))} |"
    )


def _since_mended(content: Content, reader: str) -> int:
    mends = {
        entry["mended"] for entry in content["failures"].values() if entry["reader"] == reader and "mended" in entry
    }
    tried: Counter[str] = Counter()
    for one in content["readers"][reader].values():
        tried.update(one["commits"])
    return sum(count for commit, count in tried.items() if all(_contains(commit, mend) for mend in mends))


@cache
def _contains(commit: str, earlier: str) -> bool:
    """Whether a commit is, or comes after, another; no if either is not known here."""
    one, other = (name.removesuffix("-dirty") for name in (earlier, commit))
    command = ["git", "merge-base", "--is-ancestor", one, other]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
