"""WebDataset shards: plain tar files in which the files of one sample follow each other and share their name's stem."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from typing import TYPE_CHECKING, Any

from lmeec.clips.schema import SCHEMA
from lmeec.errors import OutputError
from lmeec.files.whole import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_LOCAL = ("ego_video", "exo_video", "ego_clip", "exo_clip")
"""Columns that mean nothing outside of the machine, or of the folder that the clips were cut to."""


def write_shard(path: Path, rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Write one shard, a sample a row: ego.mp4, exo.mp4, txt with the sentence, json with the row.

    Equal rows and clips give equal files.

    Args:
        path: The tar file; it appears when it is whole.
        rows: Rows of a clips table.
        folder: Where the files are that the columns ego_clip and exo_clip name.

    Raises:
        OutputError: The shard cannot be written, or a clip not be read.
    """
    names = [name for name in SCHEMA.names if name not in _LOCAL]
    with (
        written_whole(path) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for row in rows:
            key = sample_key(row["clip_id"], row["exo_cam"])
            told = json.dumps({name: row[name] for name in names}, ensure_ascii=False)
            _add(tar, f"{key}.ego.mp4", _read(folder / row["ego_clip"]))
            _add(tar, f"{key}.exo.mp4", _read(folder / row["exo_clip"]))
            _add(tar, f"{key}.txt", row["text"].encode(errors="replace"))
            _add(tar, f"{key}.json", told.encode(errors="replace"))


def sample_key(clip_id: str, exo_cam: str) -> str:
    """Name a sample; readers take what follows the first dot of a name for its ending, so that it has none.

    Example:
        >>> sample_key("a12-0-3", "cam01"), sample_key("a/b.c-0-3", "cam01")
        ('a12-0-3_cam01', 'a-b-c-0-3_cam01-2b404cf6d43f')
    """
    name = f"{clip_id}_{exo_cam}"
    clean = re.sub(r"[^A-Za-z0-9_-]+", "-", name)
    return clean if clean == name else f"{clean}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:12]}"


def _read(clip: Path) -> bytes:
    try:
        return clip.read_bytes()
    except OSError as error:
        raise OutputError(f"{clip}: the clip cannot be read: {error.strerror or error}; cut it again") from error


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(data))
