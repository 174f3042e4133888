"""Drafts of manifests, as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from lmeec.errors import DataError, OutputError
from lmeec.files.reading import in_short
from lmeec.files.whole import written_whole

if TYPE_CHECKING:
    from pathlib import Path

    from lmeec.data.manifest.making.draft import Draft


def write_draft(draft: Draft, path: Path, *, overwrite: bool = False) -> None:
    """Write a manifest; nothing where it is there already, word for word.

    Args:
        draft: what it says.
        path: the file.
        overwrite: replace another file of that name.

    Raises:
        DataError: it would be none that can be read, as a name is no name of a file.
        OutputError: another file is there, or it cannot be written.
    """
    try:
        content = draft.text().encode()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise DataError(f"no manifest can be made of what is there: {where}: {in_short(said)}") from error
    if path.is_file() and path.read_bytes() == content:
        return
    if path.exists() and not overwrite:
        raise OutputError(
            f"{path}: is another manifest already: name another file, or pass `overwrite=True` to replace it",
            settings=["overwrite"],
        )
    with written_whole(path) as file:
        file.write(content)
