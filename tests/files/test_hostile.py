"""Broken and hostile files: every reader says what is wrong in an error of ours, short and with the file's name."""

import os
from pathlib import Path

import pytest

from lmeec.errors import DataError, LmeecError
from lmeec.files.reading import LONGEST_MESSAGE, reading
from tests.support.hostile import READERS

INPUTS = sorted((Path(__file__).parents[1] / "assets" / "hostile").glob("*.*"))


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_broken_files_give_nothing_but_errors_that_name_them(path: Path, tmp_path: Path) -> None:
    said = _complaint(path, tmp_path)
    assert said is None or path.name in said or str(tmp_path) in said
    assert said is None or len(said) <= LONGEST_MESSAGE


def _complaint(path: Path, folder: Path) -> str | None:
    try:
        READERS[path.name.partition(".")[0]](path, folder)
    except LmeecError as error:
        return str(error)
    return None


def test_pipes_and_folders_and_large_files_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(100))
    for name, problem in (("pipe", "a named pipe"), (".", "a folder"), ("large", "100 bytes"), ("none", "no such")):
        with (
            pytest.raises(DataError, match=problem),
            reading(tmp_path / name, DataError, "a list", "make it again", most=10),
        ):
            raise AssertionError("opened")
