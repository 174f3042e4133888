"""What to know of results tables that `lmeec select` made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterable


def note_selections(results: Iterable[str]) -> None:
    """Tell of tables that are selections: what is not in them does not count as missing, and they score better."""
    from lmeec.files.reading import in_short
    from lmeec.tables import count_rows, read_metadata

    for one in results:
        run = read_metadata(one)
        if run.selection is not None:
            of = f" of {run.selected_from:,}" if run.selected_from is not None else ""
            echo(
                f"note: {one} is a selection ({in_short(run.selection)}): {count_rows(one):,}{of} rows. What was left "
                "out is not counted, so that its numbers are not those of the run",
                err=True,
            )
