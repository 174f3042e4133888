"""Rich's console for tables and progress, whose texts may hold names out of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich.console
from rich.segment import Segment
from rich.table import Table

from lmeec.files.names import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import ConsoleOptions, RenderableType
    from rich.table import Column

_UNBOUNDED = 1_000


class Console(rich.console.Console):
    """A console that escapes control characters in whatever it renders, so that no name can steer the terminal.

    Its own colours and movements are added after that.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `rich.console.Console`."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else plain(text, keep="\n"), style, control)


def print_whole(table: Table) -> None:
    """Print a table wider than the terminal rather than with numbers or labels cut off."""
    console = Console(width=max(Console().width, _needed(table)), markup=False, highlight=False)
    console.print(table, crop=False)


def print_fitting(table: Table, droppable: Sequence[str], instead: str) -> None:
    """Print a table with every row on a line of its own: on a terminal, columns that find no room are left out.

    Args:
        table: what to print.
        droppable: headings of columns that may be left out, the first one first.
        instead: what shows all of them, in words.
    """
    console, left_out = Console(), []
    for heading in droppable if console.is_terminal else ():
        if _needed(table) <= console.width:
            break
        if heading in map(_heading, table.columns):
            table = _without(table, heading)
            left_out.append(heading)
    print_whole(table)
    if left_out:
        said = f"left out, for want of room: {', '.join(left_out)}; a wider terminal or {instead} shows all"
        console.print(said, style="dim", markup=False, highlight=False)


def _without(table: Table, heading: str) -> Table:
    kept = [one for one in table.columns if _heading(one) != heading]
    left = Table(box=table.box, show_edge=table.show_edge, pad_edge=table.pad_edge)
    left.collapse_padding = table.collapse_padding
    for one in kept:
        left.add_column(one.header, justify=one.justify, no_wrap=one.no_wrap)
    for row, cells in zip(table.rows, zip(*(one.cells for one in kept), strict=True), strict=True):
        left.add_row(*cells, end_section=row.end_section)
    return left


def _needed(table: Table) -> int:
    return Console(width=_UNBOUNDED, markup=False).measure(table).maximum


def _heading(column: Column) -> str:
    return str(column.header).replace("\n", " ")
