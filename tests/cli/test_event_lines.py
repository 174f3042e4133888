"""Lines of `--log-format json` are those that docs/events.md and its schema say."""

from __future__ import annotations

import dataclasses
import io
import json
import math

import pytest
from jsonschema import Draft202012Validator

from lmeec.analysis.evaluation import DirectionScore
from lmeec.runs.events import JobFinished
from lmeec.training.output.progress import StepDone, Validated
from lmeec_cli.event_lines import EventLines, kinds, name_of, schema
from tests.support.command import lmeec
from tests.support.pages import rows_of_tables
from tests.support.places import ROOT

PAGE = ROOT / "docs" / "events.md"
KEPT = json.loads(PAGE.with_name("events.schema.json").read_text())
WORDS = {
    "numbers by name": "object",
    "scores by direction": "object",
    "row of the trace": "object",
    "list of string": "array",
}


def in_words(field):
    """The type of a field, null aside."""
    kinds_of_it = [one.get("type", "object") for one in field.get("anyOf", [field])]
    (kind,) = {one[0] if isinstance(one, list) else one for one in kinds_of_it} - {"null"}
    return kind


def told(events):
    file = io.StringIO()
    lines = EventLines(file)
    for event in events:
        lines.write(event)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_the_schema_in_the_docs_is_that_of_the_code():
    """Write it anew with `python -m tests.support.event_schema`."""
    assert json.loads(json.dumps(schema())) == KEPT


def test_the_page_names_every_event_and_field_with_its_type():
    said, event = [], ""
    for first, field, kind, meaning in rows_of_tables(PAGE):
        event = first.strip("`") or event
        if field.startswith("`"):
            assert meaning
            said.append((event, field.strip("`"), WORDS.get(kind, kind)))
    definitions = KEPT["$defs"]
    known = [
        (name, field.name, in_words(definitions[name]["properties"][field.name]))
        for name, kind in kinds().items()
        for field in dataclasses.fields(kind)
    ]
    assert sorted(said) == sorted(known)


@pytest.mark.parametrize(
    "event",
    [
        JobFinished("0", "a take ego2exo", 3, 60, 1.5, ("one", "zwei: Küche")),
        StepDone(1, 2, {"loss": math.nan, "lr": 1e-4}, 0.5),
        Validated(1, {"ego2exo": DirectionScore(0.5, None, 0.25, None, 1, 1, 0, 1, 1)}, 0.5, best=True),
    ],
)
def test_a_line_of_each_shape_keeps_to_the_schema(event):
    (line,) = told([event])
    Draft202012Validator(KEPT).validate(line)
    assert line["event"] == name_of(type(event))
    other = {key: value for key, value in line.items() if key != "time"}
    assert list(Draft202012Validator(KEPT).iter_errors(other))


def test_a_run_writes_such_lines_alone(rendered_takes, tiny, tmp_path):
    given = ("--checkpoint", tiny, "--workers", 0, "--log-format", "json")
    done = lmeec("predict", rendered_takes.root, "--out", tmp_path / "results.parquet", *given)
    assert done.status == 0, done.err
    lines = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert lines[0]["event"] == "run_started"
    assert {"job_started", "job_finished", "joining"} <= {line["event"] for line in lines}
    for line in lines:
        Draft202012Validator(KEPT).validate(line)
