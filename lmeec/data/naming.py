"""How Ego-Exo4D names cameras: what its layouts, and the files of its challenge, tell of a camera's view."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmeec.config import View

_EGO_PREFIX = "aria"

EGO_RULE = f"an ego camera's name starts with {_EGO_PREFIX!r}"
"""In words, for messages."""


def view_by_name(camera: str) -> View:
    """The view of a camera of Ego-Exo4D: the wearer's headset is called by its make.

    Example:
        >>> view_by_name("aria01_214-1"), view_by_name("cam01")
        ('ego', 'exo')
    """
    return "ego" if camera.startswith(_EGO_PREFIX) else "exo"
