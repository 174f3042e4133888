"""Folders that appear under their name only when whole."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lmeec.errors import OutputError
from lmeec.files.whole import made_whole, naming_the_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def folder_written_whole(out: Path, *, made_by: str, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to fill that becomes `out` when the block ends; it is removed if the block raises.

    Args:
        out: the folder to make.
        made_by: name of a file that every such folder holds, by which one that may be replaced is known.
        overwrite: replace a folder that is there and holds that file.

    Raises:
        OutputError: `out` exists and may not be replaced, or cannot be written.
    """
    check_folder_free(out, made_by=made_by, overwrite=overwrite)
    with made_whole(out) as aside:
        with naming_the_file(out):
            aside.mkdir()
        yield aside


def check_folder_free(out: Path, *, made_by: str, overwrite: bool) -> None:
    """Refuse a folder that is there already, unless it is empty or may be replaced.

    Raises:
        OutputError: it may not be replaced.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / made_by).is_file():
        raise OutputError(f"{out} is there already and holds other things than an export: name another folder")
    if not overwrite:
        raise OutputError(
            f"{out} exists already: name another folder, or pass `overwrite=True` to replace it", settings=["overwrite"]
        )
