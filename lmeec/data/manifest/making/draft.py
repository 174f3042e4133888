"""A manifest before it is a file: what it says, and what was assumed, as comments."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmeec.data.manifest.document import Document
from lmeec.files.names import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lmeec.config import View

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True)
class CameraDraft:
    """A camera.

    Attributes:
        name: its name.
        view: its view.
        video: its video, as the manifest names it.
        why: what its view was told by.
        seen: what the video looks like, in words.
        masks: entries of `masks`.
        assumed: what was assumed of its masks, in words.
        frame_rate: frames a second by which its masks are numbered; None if these are the take's.
    """

    name: str
    view: View
    video: str
    why: str = ""
    seen: str = ""
    masks: Sequence[Mapping[str, Any]] = ()
    assumed: str = ""
    frame_rate: float | None = None


@dataclass(frozen=True)
class TakeDraft:
    """A take.

    Attributes:
        name: its name.
        frame_rate: frames a second that its numbers count.
        cameras: its cameras.
    """

    name: str
    frame_rate: float
    cameras: Sequence[CameraDraft]


@dataclass(frozen=True)
class Draft:
    """A manifest that can be written.

    Attributes:
        root: the folder that paths are relative to; None for its own.
        takes: its takes.
        notes: what was assumed of all, in words.
    """

    root: str | None
    takes: Sequence[TakeDraft]
    notes: Sequence[str] = field(default=())

    def text(self) -> str:
        """YAML that says it, with what was assumed as comments.

        Raises:
            pydantic.ValidationError: it is none that would be read.
        """
        Document.model_validate(self._values())
        return "\n".join([*self._lines(), ""])

    def _values(self) -> dict[str, Any]:
        takes = [
            {
                "name": take.name,
                "frame_rate": take.frame_rate,
                "cameras": [
                    {
                        "name": one.name,
                        "view": one.view,
                        "video": one.video,
                        "frame_rate": one.frame_rate,
                        "masks": list(one.masks),
                    }
                    for one in take.cameras
                ],
            }
            for take in self.takes
        ]
        return {"takes": takes} if self.root is None else {"root": self.root, "takes": takes}

    def _lines(self) -> Iterator[str]:
        yield "# Takes for lmeec; docs/own-recordings.md explains the keys."
        for note in self.notes:
            yield f"# {plain(note)}"
        if self.root is not None:
            yield f"root: {scalar(self.root)}"
        yield "takes:"
        for take in self.takes:
            yield f"  - name: {scalar(take.name)}"
            yield f"    frame_rate: {take.frame_rate:.7g}"
            yield "    cameras:"
            for camera in take.cameras:
                yield f"      - name: {scalar(camera.name)}"
                yield f"        view: {camera.view}{_comment(camera.why)}"
                yield f"        video: {scalar(camera.video)}{_comment(camera.seen)}"
                if camera.frame_rate is not None:
                    yield f"        frame_rate: {camera.frame_rate:.7g}{_comment('which its masks are numbered by')}"
                if camera.masks:
                    yield f"        masks:{_comment(camera.assumed)}"
                    yield from _entries(camera.masks)


def _entries(masks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in masks:
        said = ", ".join(f"{key}: {value if isinstance(value, int) else scalar(value)}" for key, value in entry.items())
        yield f"          - {{{said}}}"


def _comment(text: str) -> str:
    return f"  # {plain(text)}" if text else ""


def scalar(text: str) -> str:
    """Text as YAML has it, in quotes where it would be read as something else.

    Example:
        >>> print(scalar("head/take 1.mp4"), scalar("12"), scalar("Küche: 1"))
        head/take 1.mp4 "12" "Küche: 1"
    """
    if _PLAIN.fullmatch(text) and text.casefold() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
