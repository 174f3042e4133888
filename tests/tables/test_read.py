"""Reading tells what is wrong with a file that is not a whole results table."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmeec.errors import OutputError
from lmeec.tables import SCHEMA, read_metadata, read_results, scan_results
from tests.support.rows import row, write_results


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path / "r.parquet", [row(frame, take_uid=take) for take in "ab" for frame in (0, 30)])


def test_some_columns_in_the_order_asked_for(results):
    table = read_results(str(results), ["frame", "take_uid"])
    assert table.schema == pa.schema([SCHEMA.field("frame"), SCHEMA.field("take_uid")])
    assert table.to_pydict() == {"frame": [0, 30, 0, 30], "take_uid": ["a", "a", "b", "b"]}


def test_batches_hold_all_rows(results):
    assert sum(batch.num_rows for batch in scan_results(results)) == 4
    assert read_results(results).schema == SCHEMA


def test_an_unknown_column_is_named(results):
    with pytest.raises(OutputError, match="no such column: colour"):
        read_results(results, ["frame", "colour"])


def test_missing_file(tmp_path):
    with pytest.raises(OutputError, match=r"nope\.parquet does not exist"):
        read_results(tmp_path / "nope.parquet")


def test_folder(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        read_results(tmp_path)


@pytest.mark.parametrize("keep", [0, 3, 500, -1])
def test_truncated_file(results, keep):
    results.write_bytes(results.read_bytes()[:keep])
    with pytest.raises(OutputError, match=r"r\.parquet is not a whole Parquet file"):
        read_results(results)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "r.parquet").write_text("take,frame\n" * 100)
    with pytest.raises(OutputError, match="not a whole Parquet file"):
        read_results(tmp_path / "r.parquet")


def test_foreign_parquet(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "r.parquet")
    for read in (read_results, read_metadata):
        with pytest.raises(OutputError, match="not a results table"):
            read(tmp_path / "r.parquet")


def rewritten(path, table):
    pq.write_table(table, path)
    return path


def test_a_table_of_another_version(results):
    table = pq.read_table(results)
    changed = table.replace_schema_metadata(table.schema.metadata | {b"lmeec.schema_version": b"99"})
    with pytest.raises(OutputError, match=r"version 99, this lmeec \(.*\) reads versions 1 and 2"):
        read_results(rewritten(results, changed))


def test_damaged_settings(results):
    table = pq.read_table(results)
    for text in (b"{", b'{"model": "nano"}', b"[]"):
        changed = table.replace_schema_metadata(table.schema.metadata | {b"lmeec": text})
        with pytest.raises(OutputError, match="damaged run settings"):
            read_metadata(rewritten(results, changed))


def test_columns_taken_away_or_changed(results):
    table = pq.read_table(results)
    with pytest.raises(OutputError, match="lacks the columns area, iou"):
        read_results(rewritten(results, table.drop_columns(["area", "iou"])))
    with pytest.raises(OutputError, match=r"r\.parquet"):
        words = pa.array(["many"] * 4)
        read_results(rewritten(results, table.set_column(table.schema.get_field_index("frame"), "frame", words)))
