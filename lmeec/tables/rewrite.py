"""Writing a results table that is made of others: row groups of one take each, and a run that says what was done."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from lmeec.errors import OutputError
from lmeec.files.whole import written_whole
from lmeec.tables.coverage import COVERAGE_KEY, Coverage, Entry, encode_entries
from lmeec.tables.history import history_metadata
from lmeec.tables.merge import ROW_GROUP_ROWS, check_free
from lmeec.tables.metadata import CONTENTS_KEY, Contents, RunMetadata, file_metadata
from lmeec.tables.output import Output
from lmeec.tables.parts import COMPRESSION
from lmeec.tables.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from lmeec.files.locations import Location
    from lmeec.tables.history import Step


def check_new_file(out: Location | str, *, overwrite: bool) -> Output:
    """Refuse an output that is there already, or a folder, before any work.

    Raises:
        OutputError: it is.
    """
    output = Output.of(out)
    if output.partitioned:
        raise OutputError(f"{output} is a folder: name a file, as results.parquet")
    check_free(output, overwrite=overwrite)
    return output


@contextlib.contextmanager
def rewritten(
    out: Location | str,
    run: RunMetadata,
    contents: Contents,
    coverage: Mapping[tuple[str, str], Coverage],
    *,
    history: Sequence[Step] = (),
    overwrite: bool = False,
) -> Iterator[Callable[[pa.Table], None]]:
    """Give a function that adds the rows of one take and direction; the file appears when the block ends.

    Args:
        out: the file.
        run: what its rows depend on.
        contents: the takes and directions that it was made of.
        coverage: what their cameras were read from.
        history: how it comes to be, to be kept with it.
        overwrite: replace an existing file.

    Raises:
        OutputError: the file is there, or cannot be written.
    """
    output = check_new_file(out, overwrite=overwrite)
    entries = [Entry(uid, direction, one) for (uid, direction), one in sorted(coverage.items())]  # type: ignore[arg-type]
    about = file_metadata(run) | {
        CONTENTS_KEY: json.dumps(asdict(contents)).encode(),
        COVERAGE_KEY: encode_entries(entries),
        **history_metadata(history),
    }
    schema = SCHEMA.with_metadata(about)
    with written_whole(output.path) as file, pq.ParquetWriter(file, schema, compression=COMPRESSION) as writer:

        def add(rows: pa.Table) -> None:
            if rows.num_rows:
                writer.write_table(rows.select(SCHEMA.names).cast(schema), ROW_GROUP_ROWS)

        yield add
