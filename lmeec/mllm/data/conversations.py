"""Conversations about clips, as `lmeec clips instruct` writes them and LLaVA-Video and VideoLLaMA2 read them.

A JSON array, or JSON lines, of {"id", "video", "conversations": [{"from": "human", "value"}, {"from": "gpt", "value"}],
"task", "take_uid"}; `video` is a clip that `lmeec clips` cut, or, with the clips table, the stretch of a take's own
video that it is of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from lmeec.clips.captions import caption_of
from lmeec.clips.read import scan_clip_takes
from lmeec.errors import DataError
from lmeec.mllm.data.questions_file import unique
from lmeec.mllm.data.records import placed, read_records
from lmeec.mllm.data.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SOURCE = "ego-exo4d"

_SHAPE = (
    "a line has id, video and conversations of one question (human) and its answer (gpt), as `lmeec clips instruct`"
)
_VIDEO = "<video>"
_SENTENCES = {"describe", "next"}
"""Tasks whose answers are annotators' sentences."""


class _Turn(msgspec.Struct):
    speaker: str = msgspec.field(name="from")
    value: str


class _Record(msgspec.Struct):
    id: str
    video: str
    conversations: tuple[_Turn, ...]
    task: str = "describe"


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What a clip is of."""

    video: str
    frames: tuple[int, int]
    rate: float
    ego: bool


def read_conversations(path: Path, clips: Path | None = None, *, ego_only: bool = True) -> list[Sample]:
    """Read conversations.

    Args:
        path: What `lmeec clips instruct` wrote.
        clips: The table that they were made of: then frames are those of the takes' videos. None for clips that were
            cut; their names are relative to the folder of clips.
        ego_only: Leave out those about what an exo camera shows, as stage 3 of Exo2Ego learns from ego clips; needs
            the table.

    Raises:
        DataError: The file is not of that shape, names a clip that the table does not have, or nothing is left.
        OutputError: The table cannot be read.
    """
    if ego_only and clips is None:
        raise DataError(f"{path}: which clips are of the ego camera is in the clips table; name it, or take all clips")
    stretches = {} if clips is None else _stretches(clips)
    samples = []
    for where, record in read_records(path, _Record, _SHAPE):
        turns = record.conversations
        if [turn.speaker for turn in turns] != ["human", "gpt"]:
            raise DataError(f"{where()}: key conversations: has other turns than one of human and one of gpt; {_SHAPE}")
        asked, answer = turns[0].value.replace(_VIDEO, "").strip(), turns[1].value.strip()
        if not asked or not answer:
            raise DataError(f"{where()}: key conversations: the {'answer' if asked else 'question'} is empty; {_SHAPE}")
        stretch = stretches.get(record.video)
        if clips is not None and stretch is None:
            raise DataError(
                f"{where()}: key video: {record.video!r} is no clip of {clips}; give the table it was made of"
            )
        if ego_only and stretch is not None and not stretch.ego:
            continue
        with placed(where, _SHAPE):
            samples.append(
                Sample(
                    id=record.id,
                    video=record.video if stretch is None else stretch.video,
                    source=SOURCE,
                    task=record.task,
                    question=asked,
                    answer=caption_of(answer) if record.task in _SENTENCES else answer,
                    frames=None if stretch is None else stretch.frames,
                    frame_rate=None if stretch is None else stretch.rate,
                )
            )
    return unique(samples, path)


def _stretches(clips: Path) -> Mapping[str, _Stretch]:
    """Clip file to what it is of, for all of a table."""
    columns = ("take_uid", "start_frame", "end_frame", "frame_rate", "ego_video", "exo_video", "ego_clip", "exo_clip")
    found: dict[str, _Stretch] = {}
    for rows in scan_clip_takes(clips, columns):
        for row in rows.to_pylist():
            frames = (row["start_frame"], max(row["end_frame"], row["start_frame"] + 2))
            for view in ("ego", "exo"):
                stretch = _Stretch(row[f"{view}_video"], frames, row["frame_rate"], view == "ego")
                found[row[f"{view}_clip"]] = stretch
    return found
