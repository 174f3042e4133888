"""Changes of Parquet tables: what they say of themselves, their columns and rows, their bytes."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.mutation import octets
from tests.fuzz.mutation.documents import VALUES, mutate_json

if TYPE_CHECKING:
    from random import Random

_TYPES = (
    pa.string(), pa.large_string(), pa.binary(), pa.int8(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(),
    pa.float64(),
    pa.bool_(), pa.null(), pa.date32(), pa.timestamp("us"), pa.decimal128(20, 2), pa.list_(pa.string()),
    pa.dictionary(pa.int32(), pa.string()), pa.struct([("a", pa.int32())]), pa.list_(pa.list_(pa.int8())),
)  # fmt: skip
_VALUES = tuple(value for value in VALUES if isinstance(value, str | int | float | None))


def mutate(data: bytes, random: Random) -> bytes:
    """Change a Parquet file."""
    drawn = random.random()
    if drawn < 0.3:
        return octets.mutate(data, random)
    if drawn < 0.5:  # what is not read is not missed: most of what can be told wrongly is at the end
        footer = int.from_bytes(data[-8:-4], "little") + 8
        return data[:-footer] + octets.mutate(data[-footer:], random)
    table = _table(data)
    for _ in range(random.randint(1, 3)):
        try:
            table = random.choice(_CHANGES)(table, random)
        except (pa.ArrowException, OverflowError, TypeError, ValueError, RecursionError):
            continue  # a change that this table cannot have
    return _written(table, random) or octets.mutate(data, random)


@lru_cache(16)
def _table(data: bytes) -> pa.Table:
    table = pq.read_table(io.BytesIO(data))
    # Nulls may stand anywhere in what others write.
    return table.cast(pa.schema([field.with_nullable(True) for field in table.schema], table.schema.metadata))


def _written(table: pa.Table, random: Random) -> bytes | None:
    file = io.BytesIO()
    try:
        pq.write_table(
            table,
            file,
            compression=random.choice(("none", "zstd", "snappy")),
            row_group_size=random.choice((1, 2, 1 << 16)) if table.num_rows < 100 else 1 << 16,
            use_dictionary=random.random() < 0.5,
        )
    except (pa.ArrowException, TypeError, ValueError):
        return None
    return file.getvalue()


def _metadata(table: pa.Table, random: Random) -> pa.Table:
    metadata = dict(table.schema.metadata or {})
    if not metadata:
        return table
    key = random.choice(sorted(metadata))
    how = random.random()
    if how < 0.15:
        del metadata[key]
    elif how < 0.3:
        metadata[key] = random.choice(
            (b"", b"\xff", b"1", b"2", b"null", b"[]", b"{}", b"[" * 3000, b'"x"', b"9" * 400)
        )
    else:
        metadata[key] = mutate_json(metadata[key], random)
    return table.replace_schema_metadata(metadata)


def _place(table: pa.Table, random: Random) -> int:
    return random.randrange(table.num_columns)


def _drop(table: pa.Table, random: Random) -> pa.Table:
    return table.remove_column(_place(table, random))


def _rename(table: pa.Table, random: Random) -> pa.Table:
    names = list(table.column_names)
    names[_place(table, random)] = random.choice(("", "a", "x" * 300, "a.b", names[_place(table, random)]))
    return table.rename_columns(names)


def _retype(table: pa.Table, random: Random) -> pa.Table:
    at, kind = _place(table, random), random.choice(_TYPES)
    try:
        column = table.column(at).cast(kind, safe=False)
    except pa.ArrowException:
        column = pa.nulls(table.num_rows, kind)
    return table.set_column(at, table.column_names[at], column)


def _value(table: pa.Table, random: Random) -> pa.Table:
    at = _place(table, random)
    values: list[Any] = table.column(at).to_pylist()
    every = random.random() < 0.3
    other = random.choice(_VALUES) if random.random() < 0.6 else None
    if table.schema.field(at).type == pa.string() and other is not None:
        other = str(other)
    chosen = random.randrange(len(values)) if values else 0
    values = [other if every or place == chosen else value for place, value in enumerate(values)]
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def _rows(table: pa.Table, random: Random) -> pa.Table:
    how = random.randrange(40)
    if how == 0:
        return pa.concat_tables([table] * 1000)
    if how < 10:
        return table.slice(0, 0)
    if how < 20:
        return pa.concat_tables([table, table])
    order = list(range(table.num_rows))
    random.shuffle(order)
    return table.take(order)


_CHANGES = (_metadata, _metadata, _drop, _rename, _retype, _retype, _value, _value, _value, _rows)
