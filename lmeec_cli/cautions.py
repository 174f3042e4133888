"""What must be known before results are used, said so that it is not overlooked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.files.names import first_few
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MEND = "Give `lmeec predict` weights for real video with --checkpoint, as the folder of the released pair."


def warn(text: str) -> None:
    """Show a warning on standard error: in a box on a terminal, a line elsewhere."""
    from lmeec_cli.console import Console

    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        echo(f"WARNING: {text}", err=True)
        return
    from rich.box import HEAVY
    from rich.panel import Panel
    from rich.text import Text

    console.print(Panel(Text(text), box=HEAVY, title="WARNING", title_align="left", style="bold yellow"))


def warn_all(cautions: Iterable[str]) -> None:
    """Show each, with what would mend it."""
    for caution in cautions:
        warn(f"{caution} {MEND}")


def warn_of_tables(results: Sequence[str]) -> None:
    """Show what must be known of results tables: each caution once, with the tables where there are several."""
    from lmeec.tables import read_metadata

    tables: dict[str, list[str]] = {}
    for one in results:
        for caution in read_metadata(one).cautions:
            tables.setdefault(caution, []).append(one)
    for caution, named in tables.items():
        warn_all([caution if len(results) == 1 else f"{first_few(named)}: {caution}"])
