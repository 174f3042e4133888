"""Conditions on rows, and what they must not do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lmeec.analysis.expression import Expression
from lmeec.errors import ConfigError
from lmeec.tables import SCHEMA

ROWS = pa.table(
    {
        "object": ["cup", "pan 1", "cup's"],
        "cycle_iou": pa.array([0.9, None, 0.2], pa.float32()),
        "frame": pa.array([0, 30, 60], pa.int32()),
        "bbox": pa.array([[1.0, 2.0, 3.0, 4.0], None, [0.0, 0.0, 0.0, 0.0]], pa.list_(pa.float32())),
    }
)


@pytest.mark.parametrize(
    ("text", "kept", "unknown"),
    [
        ("cycle_iou > 0.7", [1, 0, 0], 1),
        ("coalesce(cycle_iou, 0) < 0.5", [0, 1, 1], 0),
        ("object like 'cup%' and frame between 0 and 30", [1, 0, 0], 0),
        ("object = 'cup''s' or bbox[3] > 2", [1, 0, 1], 1),
        ("true) or (false", [1, 1, 1], 0),
        ("frame in (30, 60) -- a comment", [0, 1, 1], 0),
        ("case when frame = 0 then true else false end", [1, 0, 0], 0),
        ("regexp_matches(object, '^cup') and bbox[3] * bbox[4] >= 12", [1, 0, 0], 0),
        ("log10(abs(frame) + 1) > 1 and length(lower(object)) = 5 and object not like 'x%'", [0, 1, 1], 0),
    ],
)
def test_rows_of_which_it_is_true(text, kept, unknown):
    with Expression(text, ROWS.schema) as condition:
        found = condition.of(ROWS)
    assert found[0].tolist() == list(map(bool, kept))
    assert found[1] == unknown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cycle_iou >",
        "cycle_iou",
        "'yes'",
        "(frame, 1)",
        "nothing > 1",
        "object = 5 > 3",
        "avg(cycle_iou) > 0.5",
        "row_number() over () > 1",
        "exists (select 1)",
        "frame in (select 1)",
        "1 in (select 1 from read_text('{secret}'))",
        "(select count(*) from '{secret}') > 0",
        "(select content from read_text('{secret}')) like '%'",
        "true); copy rows to '{stolen}'; select (true",
        "true); attach '{stolen}' as other; select (true",
        "true; install httpfs",
        "true) limit (1",
        "true) order by (frame",
        "true) union select 1 from read_csv('{secret}') where (true",
        "true) group by (frame",
        "columns(*) is not null",
        "*",
        "$1 > 2",
        "random() < 0.5",
        "uuid() is not null",
        "current_setting('threads') = '1'",
        "write_log('x') is null",
        "sleep_ms(1000) is null",
        "getvariable('x') is null",
        "query('select 1') > 1",
        "repeat('x', 4000000000) = object",
        "len(range(4000000000)) > 0",
        "len(list_filter(bbox, x -> x > 3)) > 0",
        "nextval('a') > 0",
        "error('x')",
        "'x' in glob('/etc/*')",
        "true /*",
        "(" * 5_000 + "true" + ")" * 5_000,
        "not " * 2_000 + "true",
        "true or " * 2_000 + "true",
        "true\0",
        "\ud800",
    ],
)
def test_what_is_no_condition_on_a_row_is_refused_and_does_nothing(text, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with pytest.raises(ConfigError, match="`where`") as raised:
        Expression(text.replace("{secret}", str(secret)).replace("{stolen}", str(tmp_path / "stolen")), ROWS.schema)
    assert len(str(raised.value)) <= 500
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_what_cannot_be_computed_is_named():
    with (
        Expression("object::int > 5", ROWS.schema) as condition,
        pytest.raises(ConfigError, match="cannot be computed: Conversion Error"),
    ):
        condition.of(ROWS)


def test_the_whole_schema_can_be_asked_for():
    with Expression("missing is null and gt_state = 'visible' and iou > 0.5", SCHEMA) as condition:
        kept, unknown = condition.of(SCHEMA.empty_table())
    assert (kept.tolist(), unknown) == ([], 0)
    assert kept.dtype == np.bool_


def test_without_duckdb_it_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigError, match=r"needs DuckDB, which is not installed: .*'\.\[select\]'"):
        Expression("true", ROWS.schema)


def test_nothing_of_this_process_can_be_read():
    """Neither its variables nor its files, not even what a table's name would lead to."""
    assert Path(__file__).exists()
    secret = ROWS  # noqa: F841 - DuckDB would find it by its name
    for text in ("(select count(*) from secret) > 0", f"(select count(*) from '{__file__}') > 0"):
        with pytest.raises(ConfigError, match="subquery"):
            Expression(text, ROWS.schema)
