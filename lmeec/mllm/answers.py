"""The table of answers, one row a question about a clip: `lmeec mllm answer` writes it, `evaluate` judges it.

It holds the questions too, so that it can be judged without the files that they came from.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.errors import OutputError
from lmeec.files.reading import in_short, understanding
from lmeec.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lmeec.mllm.data.sample import Sample

SCHEMA_VERSION = 1
"""Raised when a column changes its name, type or meaning, or goes away."""

METADATA_KEY = b"lmeec.answers"
"""Holds, as JSON, what answered: model, its digest, settings."""

VERSION_KEY = b"lmeec.answers.schema_version"


def _column(name: str, kind: pa.DataType, meaning: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": meaning})


SCHEMA = pa.schema(
    [
        _column("id", pa.string(), "tells questions of one source apart", nullable=False),
        _column("video", pa.string(), "the clip's video; intervals are over videos", nullable=False),
        _column("source", pa.string(), "data set of the question", nullable=False),
        _column("task", pa.string(), "what is asked; scores are given by task", nullable=False),
        _column("start", pa.float64(), "beginning of the clip in seconds; null for the video's"),
        _column("end", pa.float64(), "end of the clip in seconds; null for the video's"),
        _column("instruction", pa.string(), "the line on the task, as it was put", nullable=False),
        _column("question", pa.string(), "the question, as it was put", nullable=False),
        _column("options", pa.list_(pa.string()), "answers to choose from; empty if open", nullable=False),
        _column("truth", pa.string(), "the right answer; null if unknown"),
        _column("group", pa.string(), "candidates of one question share it; null outside of such"),
        _column("right", pa.bool_(), "whether it is its group's right candidate; null outside of groups"),
        _column("reply", pa.string(), "what the model said; null if it was not asked to speak"),
        _column(
            "option_likelihoods",
            pa.list_(pa.float32()),
            "mean log-likelihood a token of each option, given the clip and the question; null if not computed",
        ),
        _column(
            "truth_likelihood",
            pa.float32(),
            "mean log-likelihood a token of the text in `truth`, given the clip; null if not computed",
        ),
        _column("failure", pa.string(), "why there is no answer, as for a clip that cannot be read; else null"),
    ]
)
"""One row a question about a clip."""


def question_columns(sample: Sample) -> dict[str, Any]:
    """What a row says of its question; the answer's columns are to be added.

    Args:
        sample: The question.
    """
    return {
        "id": sample.id,
        "video": sample.video,
        "source": sample.source,
        "task": sample.task,
        "start": sample.start,
        "end": sample.end,
        "instruction": sample.instruction,
        "question": sample.question,
        "options": list(sample.options),
        "truth": sample.answer,
        "group": sample.group,
        "right": sample.right,
    }


def schema_with(about: Mapping[str, Any]) -> pa.Schema:
    """The schema with what a table says of itself.

    Args:
        about: What answered, as JSON values: model, digest of its weights, settings.
    """
    return SCHEMA.with_metadata({METADATA_KEY: json.dumps(about).encode(), VERSION_KEY: str(SCHEMA_VERSION).encode()})


def read_answers(path: Path) -> pa.Table:
    """Read a table of answers.

    Raises:
        OutputError: The file is missing, damaged, of another version, or lacks a column, as the question.
    """
    with understanding(path, OutputError, "a table of answers", "answer anew"):
        return _read_answers(path)


def _read_answers(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise OutputError(f"{path} does not exist: check the name, or make it with `lmeec mllm answer`") from None
    except (pa.ArrowException, OSError) as error:
        raise OutputError(
            f"{path} is not a whole Parquet file: it is damaged or of another kind ({in_short(str(error))})"
        ) from error
    version = (table.schema.metadata or {}).get(VERSION_KEY)
    if version is not None and version != str(SCHEMA_VERSION).encode():
        raise OutputError(
            f"{path} has answers of version {in_short(version.decode(errors='replace'), 40)}, this lmeec "
            f"({__version__}) reads version {SCHEMA_VERSION}: answer anew"
        )
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise OutputError(
            f"{path} is no table of answers: it has no column {' and no column '.join(missing)}; give a file that "
            "`lmeec mllm answer` wrote"
        )
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, ValueError) as error:
        raise OutputError(
            f"{path} has a column of another type than answers have ({in_short(str(error))}); answer anew"
        ) from error


def read_about(path: Path) -> dict[str, Any]:
    """What a table of answers says of itself; nothing where another program wrote it.

    Raises:
        OutputError: The file cannot be read.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise OutputError(
            f"{path} is not a whole Parquet file: it is damaged or of another kind ({in_short(str(error))})"
        ) from error
    try:
        about = json.loads(metadata.get(METADATA_KEY, b"{}"))
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise OutputError(f"{path} holds damaged notes of what answered: answer anew")
    return about
