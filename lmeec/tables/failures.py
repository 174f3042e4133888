"""What is not in a results table: a JSON file beside it says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from lmeec.config import Direction
from lmeec.files.json import read_record
from lmeec.files.names import plain
from lmeec.files.whole import written_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.tables.output import Output


@dataclass(frozen=True)
class Failure:
    """Why a take and direction, or what needs a camera of it, was not predicted.

    Attributes:
        take_uid: the take.
        take_name: its name.
        direction: the direction.
        error: the reason, for the user.
        attempts: how often it was tried.
        camera: the camera whose video is at fault; None if it is not one camera.
    """

    take_uid: str
    take_name: str
    direction: Direction
    error: str
    attempts: int = 1
    camera: str | None = None

    @property
    def label(self) -> str:
        """How it is called before the user."""
        camera = [] if self.camera is None else [plain(self.camera)]
        return " ".join([plain(self.take_name), self.direction, *camera])


def write_failures(out: Output, failures: Sequence[Failure]) -> None:
    """List what is not in the results beside them; no file if nothing is missing.

    Raises:
        OutputError: the file cannot be written.
    """
    if not failures:
        out.failures.unlink(missing_ok=True)
        return
    with written_whole(out.failures) as file:
        file.write(msgspec.json.format(msgspec.json.encode(list(failures)), indent=2) + b"\n")


def read_failures(out: Output) -> list[Failure]:
    """What is not in the results, by the file beside them.

    Raises:
        OutputError: the file is damaged.
    """
    return read_record(out.failures, list[Failure]) or []
