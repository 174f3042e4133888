"""Answers about a whole table of clips: parts by any executor, kept as they come, joined into one file at the end."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.errors import ClusterError, DataError, OutputError
from lmeec.files.whole import naming_the_file, written_whole
from lmeec.mllm.answers import read_about, read_answers, schema_with
from lmeec.mllm.checkpoint import load_mllm
from lmeec.mllm.data.reading import VideoClips
from lmeec.mllm.evaluation.asking import AskConfig, Asker
from lmeec.mllm.prompt import Prompter
from lmeec.model.build import resolve_device, resolve_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lmeec.config import Device, Precision
    from lmeec.mllm.data.sample import Sample
    from lmeec.runs.stop import Stop
    from lmeec.runs.tasks import TaskExecutor

_BATCHES_A_PART = 8


@dataclass(frozen=True)
class Answering:
    """Who answers, and how; can be sent to other processes.

    Attributes:
        model: Folder of a model of ours.
        videos: Folder that the samples' videos are in; None where they name whole paths.
        language: The language model's folder, where it is no longer where the model says.
        config: How the model is asked.
        device: Where to compute.
        dtype: Arithmetic; `auto` is bfloat16 on a GPU and float32 on a CPU.
    """

    model: Path
    videos: Path | None = None
    language: Path | None = None
    config: AskConfig = field(default_factory=AskConfig)
    device: Device = "auto"
    dtype: Precision = "auto"

    def ask(self, samples: Sequence[Sample]) -> list[dict[str, Any]]:
        """Answer here.

        Args:
            samples: What is asked of which clips.

        Returns:
            Rows of the table of answers, one a sample.

        Raises:
            CheckpointError: The model cannot be used.
        """
        asker, frames, _ = _loaded(self)
        return [row for rows in asker.ask(VideoClips(samples, self.videos, frames)) for row in rows]

    @property
    def about(self) -> dict[str, Any]:
        """What a table says of who answered; the same where the answers would be the same."""
        _, _, digest = _loaded(self)
        return {"model": str(self.model), "digest": digest, "asked": asdict(self.config)}


@lru_cache(maxsize=1)
def _loaded(answering: Answering) -> tuple[Asker, int, str]:
    """The model, which a process reads once, the frames of a clip that it looks at, and the digest of its weights."""
    device = resolve_device(answering.device)
    dtype = resolve_dtype(answering.dtype, device)
    loaded = load_mllm(answering.model, language=answering.language, dtype=dtype, merge=True)
    model = loaded.model.to(device)
    return Asker(model, Prompter(loaded.tokenizer, model.config), answering.config), model.config.frames, loaded.digest


@dataclass(frozen=True)
class _Part:
    number: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class _Answered:
    part: _Part
    rows: list[dict[str, Any]]
    death: str | None = None


def _answer(answering: Answering, part: _Part) -> _Answered:
    return _Answered(part, answering.ask(part.samples))


def _died(part: _Part, reason: str) -> _Answered:
    return _Answered(part, [], reason)


def answer_table(
    answering: Answering,
    samples: Sequence[Sample],
    out: Path,
    executor: TaskExecutor,
    *,
    stop: Stop,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> bool:
    """Answer all samples into one file; parts that are there are not asked again.

    Args:
        answering: Who answers.
        samples: What is asked of which clips.
        out: Parquet file to be; parts are in a folder beside it until all are there.
        executor: Does the work.
        stop: Ends it early; what is at hand is finished and kept.
        overwrite: Replace the file, and parts of other answers.
        on_progress: Is told how many samples of how many are answered.

    Returns:
        False if it was stopped before its end.

    Raises:
        OutputError: The file is there already, or parts of other answers are.
        CheckpointError: The model cannot be used.
        ClusterError: Workers died; the others' answers are kept.
        DataError: There is nothing to ask.
    """
    if not samples:
        raise DataError("there are no questions to answer")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists: name another file, or replace it (`overwrite`)", settings=["overwrite"])
    size = answering.config.batch * _BATCHES_A_PART
    parts = [
        _Part(number, tuple(samples[first : first + size])) for number, first in enumerate(range(0, len(samples), size))
    ]
    asked = hashlib.sha256(json.dumps([asdict(one) for one in samples]).encode()).hexdigest()
    about = {**answering.about, "questions": asked}
    folder = out.with_name(f"{out.name}.parts")
    _check(folder, about, overwrite=overwrite)
    done = sum(len(part.samples) for part in parts if _path(folder, part).exists())
    on_progress(done, len(samples))
    deaths: list[str] = []
    for answered in executor(partial(_answer, answering), _missing(folder, parts, stop), _died):
        if answered.death is not None:
            deaths.append(answered.death)
            continue
        _write(_path(folder, answered.part), pa.Table.from_pylist(answered.rows, schema=schema_with(about)))
        done += len(answered.rows)
        on_progress(done, len(samples))
    if deaths:
        raise ClusterError(
            f"{len(samples) - done:,} of {len(samples):,} questions have no answer, as workers died: {deaths[-1]}. The "
            "other answers are kept: run the same again to go on"
        )
    if done < len(samples):
        return False
    tables = [read_answers(_path(folder, part)) for part in parts]
    _write(out, pa.concat_tables(tables).replace_schema_metadata(schema_with(about).metadata))
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _missing(folder: Path, parts: Sequence[_Part], stop: Stop) -> Iterator[_Part]:
    for part in parts:
        if stop.requested:
            return
        if not _path(folder, part).exists():
            yield part


def _path(folder: Path, part: _Part) -> Path:
    return folder / f"{part.number:06d}.parquet"


def _check(folder: Path, about: dict[str, Any], *, overwrite: bool) -> None:
    """Leave no parts of other answers."""
    for path in sorted(folder.glob("*.parquet")):
        if read_about(path) == about:
            continue
        if not overwrite:
            raise OutputError(
                f"{folder} has answers of another model, or to other questions: name another file, or replace them "
                "(`overwrite`)",
                settings=["overwrite"],
            )
        path.unlink()


def _write(path: Path, table: pa.Table) -> None:
    with naming_the_file(path), written_whole(path) as file:
        pq.write_table(table, file)
