"""How a results table came to be: kept with it to be shown, and no part of what tells runs apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from lmeec.errors import OutputError
from lmeec.files.json import decoder_of
from lmeec.files.reading import in_short
from lmeec.files.secrets import without_access, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HISTORY_KEY = b"lmeec.history"


class Step(msgspec.Struct, frozen=True):
    """A command that made a table of takes, or of earlier tables.

    Attributes:
        command: as it was given; empty where it was called from Python.
        data: the takes, or the file of predictions, that it read; empty where it read tables alone.
        when: when the table was written, in UTC as ISO 8601 has it.

    Example:
        >>> Step("lmeec predict takes -o r.parquet", "/data/takes").data
        '/data/takes'
    """

    command: str = ""
    data: str = ""
    when: str = ""


def history_metadata(steps: Sequence[Step]) -> dict[bytes, bytes]:
    """Return the key-value metadata of a file that these steps have made; nothing for none.

    A step that does not tell when it was is of now. What gives access to URLs is taken out. A step without a command
    and data, as of a function that was called from Python, is left out, so that such a call gives the same file again.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = [
        Step(_as_text(without_secrets(step.command)), _as_text(without_access(step.data)), step.when or now)
        for step in steps
        if step.command or step.data
    ]
    return {HISTORY_KEY: msgspec.json.encode(made)} if made else {}


def _as_text(text: str) -> str:
    """Of names that are no Unicode, escapes."""
    return text.encode(errors="backslashreplace").decode()


def history_in(metadata: Mapping[bytes, bytes] | None, name: str) -> tuple[Step, ...]:
    """Read from a file's key-value metadata how it came to be; nothing for files that do not tell.

    Args:
        metadata: key-value metadata of the file.
        name: the file, for messages.

    Raises:
        OutputError: it is damaged.
    """
    try:
        return tuple(decoder_of(list[Step]).decode((metadata or {}).get(HISTORY_KEY, b"[]")))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OutputError(f"{name} holds damaged notes of how it was made ({in_short(str(error))})") from error


def joined(histories: Iterable[Sequence[Step]]) -> list[Step]:
    """The steps of several tables, each once, in their order."""
    return list(dict.fromkeys(step for steps in histories for step in steps))
