"""What is shown while something takes a while of which nobody knows how far it is."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.spinner import Spinner
from rich.text import Text

from lmeec_cli.console import Console
from lmeec_cli.terminal import is_quiet, tell
from lmeec_cli.words import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType


class Turning:
    """A turning sign, words, and how long it has been so.

    Args:
        text: the words.
    """

    def __init__(self, text: str) -> None:
        self._spinner = Spinner("dots")
        self.text = text
        self._since = time.monotonic()

    def say(self, text: str) -> None:
        """Begin with other words."""
        self.text, self._since = text, time.monotonic()

    def __rich__(self) -> RenderableType:
        """One line."""
        seconds = time.monotonic() - self._since
        self._spinner.update(text=Text(f"{self.text} … {duration(seconds)}" if seconds >= 1 else f"{self.text} …"))
        return self._spinner


@contextmanager
def waits(first: str | None = None) -> Iterator[Callable[[str], None]]:
    """Give what is told, in words, what takes a while; it turns on a terminal until the block ends, and is a line else.

    Args:
        first: what takes a while to begin with.
    """
    console = Console(stderr=True)
    if is_quiet() or not console.is_terminal:
        if first is not None:
            tell(first)
        yield tell
        return
    from rich.live import Live

    turning = Turning(first or "starting")
    with Live(turning, console=console, transient=True, refresh_per_second=8):
        yield turning.say
