"""Tables of version 1, as lmeec wrote them before there were frames without a prediction, are read everywhere.

`tests/assets/results_v1.parquet` was written by the code of commit c797c4e from the takes of the fixture
`rendered_takes`, with each object's first ego and last exo mask taken away.
"""

from __future__ import annotations

import json

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lmeec.tables import SCHEMA, count_rows, merge_parts, read_metadata, read_part_info, read_results, scan_results
from lmeec.tables.parts import PART_KEY
from lmeec.tables.schema import ADDED_COLUMNS
from tests.support.command import lmeec
from tests.support.places import ASSETS

OLD = ASSETS / "results_v1.parquet"


def test_columns_that_it_lacks_are_null():
    stored = pq.read_table(OLD)
    assert stored.schema.metadata[b"lmeec.schema_version"] == b"1"
    assert not set(stored.column_names) & set(ADDED_COLUMNS)
    table = read_results(OLD)
    assert table.schema == SCHEMA
    assert table.num_rows == stored.num_rows == count_rows(OLD)
    for name in SCHEMA.names:
        expected = [None] * table.num_rows if name in ADDED_COLUMNS else stored[name].to_pylist()
        assert table[name].to_pylist() == expected, name
    assert sum(batch.num_rows for batch in scan_results(OLD, ["missing"])) == table.num_rows


def test_its_parts_are_joined_to_a_table_of_today(tmp_path):
    old = pq.read_table(OLD)
    paths = []
    for number, uid in enumerate(pc.unique(old["take_uid"]).to_pylist()):
        rows = old.filter((pc.field("take_uid") == uid) & (pc.field("direction") == "ego2exo"))
        part = json.dumps({"take_uid": uid, "direction": "ego2exo"})
        paths.append(tmp_path / f"{number}.part.parquet")
        pq.write_table(rows.replace_schema_metadata(old.schema.metadata | {PART_KEY: part.encode()}), paths[-1])
    assert read_part_info(paths[0]).run == read_metadata(OLD)
    merge_parts(paths, tmp_path / "joined.parquet")
    joined = pq.read_table(tmp_path / "joined.parquet")
    assert joined.schema.metadata[b"lmeec.schema_version"] == b"2"
    assert joined.schema.names == SCHEMA.names
    expected = read_results(OLD).filter(pc.field("direction") == "ego2exo")
    assert read_results(tmp_path / "joined.parquet").to_pylist() == expected.to_pylist()
    assert read_metadata(tmp_path / "joined.parquet").schema_version == 1


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["score", OLD], "ego2exo"),
        (["score", OLD, OLD], "compared on"),
        (["calibrate", OLD, "--out", "OUT.json"], "calibrated"),
        (["report", OLD, "TAKES", "--out", "OUT.html"], "OUT.html"),
        (["render", OLD, "TAKES", "--out", "OUT", "--stills", "1"], "OUT"),
        (["export", OLD, "--format", "challenge", "--out", "OUT.json"], "OUT.json"),
        (["export", OLD, "--format", "coco", "--out", "OUT"], "OUT"),
        (["export", OLD, "--format", "davis", "--out", "OUT"], "OUT"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_commands_read_it(command, says, rendered_takes, tmp_path):
    places = {"TAKES": str(rendered_takes.root)}
    filled = [places.get(str(one), str(one).replace("OUT", str(tmp_path / "OUT"))) for one in command]
    done = lmeec(*filled)
    assert done.status == 0, done.err
    assert says in done.out + done.err
