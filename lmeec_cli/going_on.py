"""The command to go on with, once there is a results table."""

from __future__ import annotations

import shlex


def after_results(table: str, *, takes: str | None = None, before: str | None = None) -> str:
    """Score it where it has ground truth; look at it where it has none.

    Args:
        table: results of a run.
        takes: what it was predicted from, if that is known.
        before: another table of the same frames, to compare it with.
    """
    from lmeec.tables import has_truth

    named = shlex.quote(table)
    if has_truth(table):
        return f"lmeec score {named}" if before is None else f"lmeec score {shlex.quote(before)} {named}"
    if takes is not None:
        return f"lmeec render {named} {shlex.quote(takes)} --out videos/"
    return f"lmeec report {named} --out report.html"
