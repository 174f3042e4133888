"""Answers about a whole table of clips: parts by any executor, kept as they come, joined into one file at the end."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmeec.errors import ClusterError, DataError, OutputError
from lmeec.files.names import check_parquet_name
from lmeec.files.whole import naming_the_file, written_whole
from lmeec.mllm.answers import read_about, read_answers, schema_with
from lmeec.mllm.checkpoint import LookedAt, load_mllm, look_at
from lmeec.mllm.evaluation.asking import AskConfig, Asker
from lmeec.mllm.prompt import Prompter
from lmeec.model.build import resolve_device, resolve_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lmeec.config import Device, Precision
    from lmeec.mllm.config import MllmConfig
    from lmeec.mllm.data.source import AskedClips, ClipSource
    from lmeec.runs.stop import Stop
    from lmeec.runs.tasks import TaskExecutor

_BATCHES_A_PART = 8
_MODEL = "model"


@dataclass(frozen=True)
class Answering:
    """Who answers, and how; can be sent to other processes.

    Attributes:
        model: Folder of a model of ours.
        language: The language model's folder, where it is no longer where the model says.
        config: How the model is asked.
        device: Where to compute.
        dtype: Arithmetic; `auto` is bfloat16 on a GPU and float32 on a CPU.
    """

    model: Path
    language: Path | None = None
    config: AskConfig = field(default_factory=AskConfig)
    device: Device = "auto"
    dtype: Precision = "auto"

    def ask(self, clips: ClipSource) -> list[dict[str, Any]]:
        """Answer here.

        Args:
            clips: What is asked about, with as many frames as the model looks at.

        Returns:
            Rows of the table of answers, one a sample.

        Raises:
            CheckpointError: The model cannot be used.
        """
        return [row for rows in _asker(self).ask(clips) for row in rows]

    @property
    def model_config(self) -> MllmConfig:
        """Sizes and choices of the model.

        Raises:
            CheckpointError: The model cannot be used.
        """
        return self._looked.config

    @property
    def about(self) -> dict[str, Any]:
        """What a table says of who answered; the same, but for the folder's name, where answers would be the same."""
        return {
            _MODEL: str(self.model),
            "digest": self._looked.digest,
            "config": self.model_config.to_dict(),
            "asked": asdict(self.config),
            "dtype": str(resolve_dtype(self.dtype, resolve_device(self.device))).removeprefix("torch."),
        }

    @cached_property
    def _looked(self) -> LookedAt:
        # Without its weights: where workers answer, they need the memory.
        return look_at(self.model, language=self.language)


@lru_cache(maxsize=1)
def _asker(answering: Answering) -> Asker:
    """Who asks the model, which a process reads once."""
    device = resolve_device(answering.device)
    dtype = resolve_dtype(answering.dtype, device)
    loaded = load_mllm(answering.model, language=answering.language, dtype=dtype, merge=True)
    model = loaded.model.to(device)
    return Asker(model, Prompter(loaded.tokenizer, model.config), answering.config)


@dataclass(frozen=True)
class _Part:
    number: int
    clips: AskedClips


@dataclass(frozen=True)
class _Answered:
    number: int
    rows: list[dict[str, Any]]
    death: str | None = None


def _answer(answering: Answering, part: _Part) -> _Answered:
    return _Answered(part.number, answering.ask(part.clips))


def _died(part: _Part, reason: str) -> _Answered:
    return _Answered(part.number, [], reason)


def answer_table(
    answering: Answering,
    clips: AskedClips,
    out: Path,
    executor: TaskExecutor,
    *,
    stop: Stop,
    overwrite: bool = False,
    keep: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> bool:
    """Answer all samples into one file; parts that are there are not asked again.

    Args:
        answering: Who answers.
        clips: What is asked about, with as many frames as the model looks at.
        out: Parquet file to be; parts are in a folder beside it until all are there.
        executor: Does the work.
        stop: Ends it early; what is at hand is finished and kept.
        overwrite: Replace the file, and parts of other answers.
        keep: Leave a file as it is that has these very answers.
        on_progress: Is told how many samples of how many are answered.

    Returns:
        False if it was stopped before its end.

    Raises:
        OutputError: The file is there already, or parts of other answers are.
        CheckpointError: The model cannot be used.
        ClusterError: Workers died; the others' answers are kept.
        DataError: There is nothing to ask.
    """
    check_parquet_name(out)
    if not len(clips):
        raise DataError("there are no questions to answer")
    about = {**answering.about, "questions": _digest(clips)}
    if out.exists():
        if keep and _same(read_about(out), about):
            return True
        if not overwrite:
            raise OutputError(f"{out} exists: name another file, or replace it (`overwrite`)", settings=["overwrite"])
    size = answering.config.batch * _BATCHES_A_PART
    starts = range(0, len(clips), size)
    paths = [out.with_name(f"{out.name}.parts") / f"{number:06d}.parquet" for number in range(len(starts))]
    _check(out.with_name(f"{out.name}.parts"), about, overwrite=overwrite)
    done = sum(min(size, len(clips) - first) for first, path in zip(starts, paths, strict=True) if path.exists())
    on_progress(done, len(clips))
    deaths: list[str] = []
    missing = _missing(clips, starts, paths, stop)
    for answered in executor(partial(_answer, answering), missing, _died):
        if answered.death is not None:
            deaths.append(answered.death)
            continue
        _write(paths[answered.number], pa.Table.from_pylist(answered.rows, schema=schema_with(about)))
        done += len(answered.rows)
        on_progress(done, len(clips))
    if deaths:
        raise ClusterError(
            f"{len(clips) - done:,} of {len(clips):,} questions have no answer, as workers died: {deaths[-1]}. The "
            "other answers are kept: run the same again to go on"
        )
    if done < len(clips):
        return False
    _write(out, pa.concat_tables(map(read_answers, paths)).replace_schema_metadata(schema_with(about).metadata))
    shutil.rmtree(paths[0].parent, ignore_errors=True)
    return True


def _digest(clips: AskedClips) -> str:
    """Tells what is asked from other questions."""
    return hashlib.sha256(json.dumps([asdict(one) for one in clips.samples]).encode()).hexdigest()


def _missing(clips: AskedClips, starts: range, paths: Sequence[Path], stop: Stop) -> Iterator[_Part]:
    for number, (first, path) in enumerate(zip(starts, paths, strict=True)):
        if stop.requested:
            return
        if not path.exists():
            yield _Part(number, clips.part(first, min(first + starts.step, len(clips))))


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two tables say the same of their answers, wherever the model was."""
    return {**one, _MODEL: None} == {**other, _MODEL: None}


def _check(folder: Path, about: dict[str, Any], *, overwrite: bool) -> None:
    """Leave no parts of other answers."""
    for path in sorted(folder.glob("*.parquet")):
        if _same(read_about(path), about):
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
