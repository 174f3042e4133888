"""Reading a manifest, and saying where in it something is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import pyarrow.parquet as pq
from pydantic import ValidationError

from lmeec.data.manifest.document import Document
from lmeec.errors import DataError
from lmeec.files.long_yaml import LongYaml
from lmeec.files.names import show
from lmeec.files.places import local_file
from lmeec.files.reading import in_short, make_presentable, named, reading
from lmeec.files.yaml import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from typing import Any

    from lmeec.files.places import Place

Keys: TypeAlias = tuple[int | str, ...]

MANIFEST_SUFFIXES = (".yaml", ".yml", ".parquet")

_LARGEST_TABLE = 2**26  # bytes, in the file and out of it; ten thousand takes need a tenth
_ROWS = 64
"""That are read at once."""
_LONGEST_KEYS = 120


def is_manifest(where: Place) -> bool:
    """Whether a manifest is meant, and no folder of takes, by its name."""
    return where.suffix.lower() in MANIFEST_SUFFIXES and not (isinstance(where, Path) and where.is_dir())


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest and where it came from.

    Attributes:
        path: the file.
        document: what it says.
        where: says where in the file keys are, for messages, with line or take.
    """

    path: Place
    document: Document
    where: Callable[[Keys], str]

    def mistake(self, keys: Keys, problem: str, settings: Sequence[str] = ()) -> DataError:
        """The error of something that the manifest says, as short as messages are."""
        error = DataError(f"{self.where(keys)}: {problem}", settings=settings)
        make_presentable(error, self.path)
        return error


def read_document(path: Place) -> Manifest:
    """Read a manifest.

    Args:
        path: a YAML file, or one in Parquet if its name ends so.

    Raises:
        DataError: it cannot be read, or says something that it may not; names the keys, and lines or takes.
    """
    manifest = _read_table(path) if path.suffix.lower() == ".parquet" else _read_text(path)
    for keys, problem in _doubles(manifest.document):
        raise manifest.mistake(keys, problem)
    return manifest


def _read_text(path: Place) -> Manifest:
    text = LongYaml(path, DataError)
    if not isinstance(text.content, dict) or "takes" not in text.content:
        raise DataError(
            f"{named(path)}: is no manifest of recordings: it has no key `takes`; `lmeec takes init` writes one, and "
            "docs/own-recordings.md explains it"
        )
    try:
        document = Document.model_validate(text.content)
    except ValidationError as error:
        raise refusal(path, text.content, error, kind=DataError, line_of=text.line_of) from error
    return Manifest(path, document, lambda keys: f"{named(path)}, line {text.line_of(keys)}: {_joined(keys)}")


def _read_table(path: Place) -> Manifest:
    with reading(path, DataError, "a Parquet file with a row a take", "write it anew", most=_LARGEST_TABLE):
        with local_file(path) as local, pq.ParquetFile(local) as file:
            rows: list[Any] = []
            size = 0
            for batch in file.iter_batches(batch_size=_ROWS):  # text that is there once in the file may be in each row
                size += batch.nbytes
                if size > _LARGEST_TABLE:
                    raise DataError(f"{path}: holds more than {_LARGEST_TABLE:,} bytes of takes; divide it")
                rows += batch.to_pylist()
        try:
            document = Document.model_validate({"takes": _without_nulls(rows)})
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(
                f"{path}, {_in_table(first['loc'])}: {in_short(first['msg'].removeprefix('Value error, '))}"
                + (f" (and {error.error_count() - 1} more mistakes)" if error.error_count() > 1 else "")
            ) from error
    return Manifest(path, document, lambda keys: f"{named(path)}, {_in_table(keys)}")


def _without_nulls(value: Any) -> Any:
    """What Parquet holds, without the keys that other rows have: columns of one type hold all of them."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value


def _joined(keys: Sequence[int | str]) -> str:
    return in_short(".".join(map(str, keys)), _LONGEST_KEYS)


def _in_table(keys: Sequence[int | str]) -> str:
    """Where in a table something is: the number of the take, from 1, and the keys below it."""
    within = [key for key in keys[2:] if not str(key).startswith("<")]
    return f"take {keys[1] + 1}: {_joined(within)}" if len(keys) > 1 and isinstance(keys[1], int) else "takes"


def _doubles(document: Document) -> Iterator[tuple[Keys, str]]:
    """Names that are there twice, with the keys of the second."""
    takes = [take.identifier for take in document.takes]
    for place in _second(takes):
        key: Literal["uid", "name"] = "name" if document.takes[place].uid is None else "uid"
        yield (
            ("takes", place, key),
            f"another take is called {show(takes[place])} too: results are filed under it; give one of them a `uid`",
        )
    for number, take in enumerate(document.takes):
        names = [camera.name for camera in take.cameras]
        for place in _second(names):
            yield (
                ("takes", number, "cameras", place, "name"),
                f"another camera of the take is called {show(names[place])} too: cameras need names of their own",
            )


def _second(names: Sequence[Hashable]) -> Iterator[int]:
    seen: Counter[Hashable] = Counter()
    for place, name in enumerate(names):
        if seen[name]:
            yield place
        seen[name] += 1
