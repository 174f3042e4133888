"""What to know of results tables that an earlier version made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterable


def note_earlier_versions(results: Iterable[str]) -> None:
    """Tell of tables of version 1: no rows of frames that could not be predicted, and other IoUs of empty masks."""
    from lmeec.tables import read_metadata

    for one in results:
        if read_metadata(one).schema_version < 2:
            echo(
                f"note: {one} was made by an earlier version. Frames without a prediction are not in it and do not "
                "count, and two empty masks have IoU 0, where the benchmark has 1: predict again to compare its "
                "scores with others",
                err=True,
            )
