"""The trace of a run: a row an attempt at a job, with who did it, when, how it ended, and where its time went.

Drivers write it as JSON lines beside the parts while they work (`lmeec.runs.trace`), and join it to `OUT.trace.parquet`
at the end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.config import Direction
from lmeec.errors import OutputError
from lmeec.files.json import decoder_of
from lmeec.files.locations import names_in
from lmeec.files.reading import reading
from lmeec.files.whole import written_whole
from lmeec.tables.metadata import METADATA_KEY, RunMetadata, file_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmeec.files.locations import Location
    from lmeec.tables.output import Output

LINES_START, LINES_END = "trace-", ".jsonl"
"""Of the names of files of JSON lines, in the folder of the parts; between them the session."""

TRACE_KEY = b"lmeec.trace"

Outcome = Literal["running", "done", "partial", "retried", "failed", "returned", "lost"]
"""What became of an attempt; `docs/watch.md` explains them."""

MADE_PARTS: tuple[Outcome, ...] = ("done", "partial")
"""Outcomes of attempts whose predictions are in the table."""

STAGES = {
    "open and plan": "open_s",
    "decode": "decode_s",
    "network": "network_s",
    "encode masks": "masks_s",
    "metrics and writing": "writing_s",
}
"""Columns of the stages of `lmeec.inference.pipeline.Profile`."""

NETWORK_PARTS = {
    "image encoder": "image_encoder_s",
    "memory attention": "memory_attention_s",
    "MV-MoE": "mv_moe_s",
    "mask decoder": "mask_decoder_s",
    "memory encoder": "memory_encoder_s",
    "memory bank": "memory_bank_s",
}
"""Columns of its parts of the network."""


class Session(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="session", omit_defaults=True):
    """One process that drove the run.

    Attributes:
        session: tells sessions of a run apart.
        host: its machine.
        pid: its process.
        began: when it began to hand out jobs, in seconds since 1970.
        workers: how many it had.
        ended: when all its jobs were settled; None if it still goes, or ended before.
    """

    session: str
    host: str
    pid: int
    began: float
    workers: int
    ended: float | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="attempt", omit_defaults=True):
    """One attempt at a job. Times are seconds since 1970 by the driver's clock; seconds are those of the worker.

    Attributes:
        session: the driver's session.
        number: of the attempts of the session, from 0.
        take_uid: the take.
        take_name: its name.
        direction: which views are queries.
        cameras: the exo cameras of a job that is a piece of a take; empty for all of them.
        attempt: 1 for the first.
        worker: the worker's name in the session.
        host: its machine.
        device: where it computes, as `cpu` or `cuda:0 NVIDIA H200`.
        queued: when the job began to wait.
        started: when it was given to the worker.
        ended: when the driver heard of its end; None while it runs, and where nobody heard.
        outcome: what became of it.
        reason: why, in words; None if it is done.
        tracks: tracks followed.
        predictions: made; of those that are not `done` or `partial`, as far as the driver heard.
        missing: rows of frames without a prediction.
        frames_decoded: frames that decoders gave, those on the way to the wanted ones too.
        bytes_read: bytes of compressed frames.
        open_s: seconds to open videos and plan.
        decode_s: seconds of decoding; stages overlap.
        network_s: seconds of the network.
        masks_s: seconds of turning masks into run lengths.
        writing_s: seconds of metrics and writing.
        image_encoder_s: of the network.
        memory_attention_s: of the network.
        mv_moe_s: of the network.
        mask_decoder_s: of the network.
        memory_encoder_s: of the network.
        memory_bank_s: of the network.
        peak_memory: most resident bytes of the worker's process in the attempt.
        peak_gpu_memory: most bytes of tensors on the GPU in the attempt; None without one.
    """

    session: str
    number: int
    take_uid: str
    take_name: str
    direction: Direction
    cameras: tuple[str, ...] = ()
    attempt: int = 1
    worker: str
    host: str = ""
    device: str = ""
    queued: float
    started: float
    ended: float | None = None
    outcome: Outcome = "running"
    reason: str | None = None
    tracks: int | None = None
    predictions: int | None = None
    missing: int | None = None
    frames_decoded: int | None = None
    bytes_read: int | None = None
    open_s: float | None = None
    decode_s: float | None = None
    network_s: float | None = None
    masks_s: float | None = None
    writing_s: float | None = None
    image_encoder_s: float | None = None
    memory_attention_s: float | None = None
    mv_moe_s: float | None = None
    mask_decoder_s: float | None = None
    memory_encoder_s: float | None = None
    memory_bank_s: float | None = None
    peak_memory: int | None = None
    peak_gpu_memory: int | None = None

    @property
    def seconds(self) -> float | None:
        """From its start to its end, as the driver saw it; None without an end."""
        return None if self.ended is None else self.ended - self.started


Line: TypeAlias = Session | Attempt

_TIME = pa.timestamp("us", tz="UTC")
_TIMES = ("queued", "started", "ended")
_SECONDS = (*STAGES.values(), *NETWORK_PARTS.values())
_COUNTS = ("tracks", "predictions", "missing", "frames_decoded", "bytes_read", "peak_memory", "peak_gpu_memory")

TRACE_SCHEMA = pa.schema(
    [
        pa.field("session", pa.string(), nullable=False),
        pa.field("number", pa.int64(), nullable=False),
        pa.field("take_uid", pa.string(), nullable=False),
        pa.field("take_name", pa.string(), nullable=False),
        pa.field("direction", pa.string(), nullable=False),
        pa.field("cameras", pa.list_(pa.string()), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
        pa.field("worker", pa.string(), nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("device", pa.string(), nullable=False),
        pa.field("queued", _TIME, nullable=False),
        pa.field("started", _TIME, nullable=False),
        pa.field("ended", _TIME),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        *(pa.field(name, pa.int64()) for name in _COUNTS[:5]),
        *(pa.field(name, pa.float64()) for name in _SECONDS),
        *(pa.field(name, pa.int64()) for name in _COUNTS[5:]),
    ]
)
"""Columns of `OUT.trace.parquet`; `docs/watch.md` explains them."""


@dataclass(frozen=True)
class Trace:
    """What is known of how the jobs of an output were done.

    Attributes:
        sessions: the processes that drove the run, in the order in which they began.
        attempts: in the order in which they were started.
        torn: lines that could not be read, as the last one of a driver that was killed while it wrote.
    """

    sessions: list[Session] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    torn: int = 0

    def settled(self, *, running: bool) -> Trace:
        """The same, where attempts that nobody heard the end of are `lost`, but for those that are under way.

        Args:
            running: whether the last session still goes.
        """
        now = self.sessions[-1].session if running and self.sessions else None
        attempts = [
            msgspec.structs.replace(one, outcome="lost", reason="the driver ended before it heard what became of it")
            if one.outcome == "running" and one.session != now
            else one
            for one in self.attempts
        ]
        return Trace(self.sessions, attempts, self.torn)


def read_trace(out: Output, run: RunMetadata | None = None) -> Trace:
    """Read the trace of an output: what was joined, and the lines of drivers since.

    Args:
        out: the output.
        run: leave out what was joined of a run with other settings; None takes it whatever it is of.

    Raises:
        OutputError: a file cannot be read.
    """
    joined = _read_joined(out.trace, run)
    sessions = {one.session: one for one in joined.sessions}
    attempts = {(one.session, one.number): one for one in joined.attempts}
    torn = joined.torn
    for path in line_files(out.parts):
        for line in _lines_of(path):
            match line:
                case Session():
                    sessions[line.session] = line
                case Attempt():
                    attempts[line.session, line.number] = line
                case None:
                    torn += 1
    return Trace(
        sorted(sessions.values(), key=lambda one: one.began),
        sorted(attempts.values(), key=lambda one: (one.started, one.number)),
        torn,
    )


def line_files(parts: Location) -> list[Location]:
    """The files of JSON lines of drivers, in the folder of the parts."""
    return [parts / name for name in names_in(parts) if name.startswith(LINES_START) and name.endswith(LINES_END)]


def write_trace(out: Output, trace: Trace, run: RunMetadata) -> None:
    """Write `OUT.trace.parquet`.

    Raises:
        OutputError: it cannot be written.
    """
    about = {"sessions": msgspec.to_builtins(trace.sessions), "torn": trace.torn}
    metadata = file_metadata(run) | {TRACE_KEY: json.dumps(about).encode()}
    with written_whole(out.trace) as file:
        pq.write_table(to_table(trace.attempts).replace_schema_metadata(metadata), file, compression="zstd")


def to_table(attempts: Iterable[Attempt]) -> pa.Table:
    """Attempts as a table of `TRACE_SCHEMA`."""
    some = list(attempts)
    columns = []
    for column in TRACE_SCHEMA:
        values = [getattr(one, column.name) for one in some]
        if column.name in _TIMES:
            values = [None if value is None else round(value * 1e6) for value in values]
        columns.append(pa.array(values, column.type))
    return pa.Table.from_arrays(columns, schema=TRACE_SCHEMA)


def _read_joined(path: Location, run: RunMetadata | None) -> Trace:
    """What was joined; nothing where there is no such file, or one of a run with other settings."""
    if not path.exists():
        return Trace()
    with reading(path, OutputError, "the trace of a run", "remove it"), path.open("rb") as opened:
        table = pq.read_table(opened)
        metadata = table.schema.metadata or {}
        if TRACE_KEY not in metadata:
            raise OutputError(f"{path} is a Parquet file, but not the trace of a run: move it away")
        if run is not None and metadata.get(METADATA_KEY) != run.to_json().encode():
            return Trace()
        about = msgspec.json.decode(metadata[TRACE_KEY], type=_About)
        return Trace(about.sessions, list(_attempts_of(table)), about.torn)


class _About(msgspec.Struct):
    sessions: list[Session]
    torn: int


def _attempts_of(table: pa.Table) -> Iterator[Attempt]:
    for batch in table.select(TRACE_SCHEMA.names).cast(TRACE_SCHEMA).to_batches():
        columns = {
            name: [None if value is None else value / 1e6 for value in batch[name].cast(pa.int64()).to_pylist()]
            if name in _TIMES
            else batch[name].to_pylist()
            for name in batch.schema.names
        }
        for values in zip(*columns.values(), strict=True):
            yield msgspec.convert(dict(zip(columns, values, strict=True)) | {"line": "attempt"}, Attempt)


def _lines_of(path: Location) -> Iterator[Line | None]:
    """The lines of a file; None for one that cannot be read."""
    decoder: msgspec.json.Decoder[Line] = decoder_of(Line)  # type: ignore[arg-type]  # a union is no type to mypy
    with reading(path, OutputError, "the trace of a run", "remove it"):
        content = path.read_bytes()
    *lines, rest = content.split(b"\n")
    for line in (*lines, *([rest] if rest else [])):
        try:
            yield decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            yield None
