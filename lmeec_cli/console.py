"""Rich's console for tables and progress, whose texts may hold names out of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rich.console
from rich.segment import Segment

from lmeec.files.names import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.table import Table

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
    needed = Console(width=_UNBOUNDED, markup=False).measure(table).maximum
    console = Console(width=max(Console().width, needed), markup=False, highlight=False)
    console.print(table, crop=False)
