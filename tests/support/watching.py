"""Reporters that keep what they are told, and interfere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmeec.runs.events import Event


class Watcher:
    """Keeps events, and calls back at each."""

    def __init__(self, on_event=lambda event: None, on_update=lambda progress: None) -> None:
        self.events: list[Event] = []
        self._on_event = on_event
        self._on_update = on_update

    def event(self, event) -> None:
        self.events.append(event)
        self._on_event(event)

    def update(self, progress) -> None:
        self._on_update(progress)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]
