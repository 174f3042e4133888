"""What a run writes beside its parts, and can do without."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lmeec.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class ToldOnce:
    """Lets go of what cannot be written, which is told once and does not stop the run.

    Args:
        notice: is told, in words.
        what: what is lacking then, before the reason.
    """

    def __init__(self, notice: Callable[[str], None], what: str) -> None:
        self._notice, self._what = notice, what
        self._told = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Tell of errors of writing in this block instead of raising them."""
        try:
            yield
        except (OutputError, OSError) as error:
            if not self._told:
                self._told = True
                self._notice(f"{self._what}: {error}")
