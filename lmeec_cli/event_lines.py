"""Lines of `--log-format json`: one schema for all commands that have the option.

Each line is a JSON object with `time`, `event`, and the fields of that event. `docs/events.md` explains them.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import IO, TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec

from lmeec.files.names import plain
from lmeec_cli.words import snake_case

if TYPE_CHECKING:
    from lmeec.runs.events import Event
    from lmeec.training.output.progress import TrainingEvent

_TIME = "%Y-%m-%dT%H:%M:%S%z"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run over takes stands, every half a minute without another event.

    Attributes:
        jobs: takes and directions of the run.
        jobs_done: of these, in parts.
        frames: predictions to make, estimated.
        frames_done: of these, made or no longer needed.
        frames_per_second: predictions a second so far.
        seconds_left: estimated; null while nothing can be said.
        failures: jobs set aside.
        retries: jobs tried again so far.
    """

    jobs: int
    jobs_done: int
    frames: int
    frames_done: int
    frames_per_second: float
    seconds_left: float | None
    failures: int
    retries: int


class EventLines:
    """Writes events as lines.

    Args:
        file: where to.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._last = time.monotonic()

    @property
    def seconds_since_last(self) -> float:
        """How long ago the last line was written, or this was made."""
        return time.monotonic() - self._last

    def write(self, event: Event | TrainingEvent | Progress) -> None:
        """Write one, with its time."""
        self._last = time.monotonic()
        fields: dict[str, Any] = msgspec.to_builtins(event)
        record = {"time": time.strftime(_TIME), "event": name_of(type(event)), **fields}
        print(plain(msgspec.json.encode(record).decode()), file=self._file, flush=True)


def name_of(kind: type) -> str:
    """What `event` says of events of a class.

    Example:
        >>> name_of(Progress)
        'progress'
    """
    return snake_case(kind.__name__)


def kinds() -> dict[str, type]:
    """The classes of all events, by their names in lines."""
    from lmeec.runs import events
    from lmeec.training.output import progress

    every = (*get_args(events.Event), Progress, *get_args(progress.TrainingEvent))
    return {name_of(kind): kind for kind in every}


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a line; a number that is none (NaN) is null."""
    lines = tuple(_with_time(name, kind) for name, kind in kinds().items())
    (line,), definitions = msgspec.json.schema_components([reduce(or_, lines)], ref_template="#/$defs/{name}")
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **line, "$defs": definitions}
    numbers_or_null: dict[str, Any] = _numbers_or_null(document)
    return numbers_or_null


def _with_time(name: str, kind: type) -> type[msgspec.Struct]:
    from lmeec.tables.trace import Attempt

    types = get_type_hints(
        kind, localns={"Attempt": Attempt}
    )  # which the module of events names for type checkers only
    fields = [("time", str), *((field.name, types[field.name]) for field in dataclasses.fields(kind))]
    return msgspec.defstruct(name, fields, tag_field="event", tag=name)


def _numbers_or_null(part: Any) -> Any:
    if isinstance(part, list):
        return [_numbers_or_null(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: ["number", "null"] if (key, value) == ("type", "number") else _numbers_or_null(value)
        for key, value in part.items()
    }
