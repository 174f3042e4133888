"""What a run's results depend on: kept in every file, and compared before files are joined."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from lmeec.errors import OutputError
from lmeec.files.places import local_file
from lmeec.files.reading import in_short
from lmeec.tables.schema import SCHEMA_VERSION
from lmeec.version import __version__

if TYPE_CHECKING:
    from lmeec.files.places import Place

METADATA_KEY = b"lmeec"
VERSION_KEY = b"lmeec.schema_version"
CONTENTS_KEY = b"lmeec.contents"

DRAWN_ALONE = "nano"
"""The built-in model."""

_DEEPEST = 20
_READABLE_VERSIONS = ("1", str(SCHEMA_VERSION))


def caution_of(models: Iterable[str], *, synthetic: bool) -> str | None:
    """Say that a model is not for the takes that it predicts; None where it may be.

    Args:
        models: names of the models.
        synthetic: whether the takes are known to be drawn.

    Example:
        >>> caution_of(["EgoExo_checkpoint"], synthetic=False)
        >>> print(caution_of(["nano"], synthetic=False).partition(":")[0])
        nano was trained on drawn scenes alone and is no model for real video
    """
    if synthetic or DRAWN_ALONE not in models:
        return None
    return (
        f"{DRAWN_ALONE} was trained on drawn scenes alone and is no model for real video: these masks and their scores "
        "say nothing of what LM-EEC can do. (The takes are not known to be drawn: no synthetic.json lies beside them.)"
    )


@dataclass(frozen=True)
class RunMetadata:
    """Everything that the rows of a run depend on; two runs that agree in it may share one table.

    Attributes:
        model: name or configuration of the model.
        checkpoints: digest of the weights, by direction.
        memory: memory settings, as JSON values.
        predict: prediction settings that change results, as JSON values (not the device or the workers).
        annotation_digest: digest of the annotations.
        lmeec_version: version that computed the rows.
        schema_version: version of the columns that its rows were computed for.

    Example:
        >>> run = RunMetadata("nano", {"ego2exo": "1f"}, {"policy": "drop"}, {"video": "auto"}, "a0")
        >>> other = RunMetadata("nano", {"ego2exo": "1f"}, {"policy": "fifo"}, {"video": "auto"}, "a0")
        >>> list(run.differences(other))
        ["memory.policy: 'drop' and 'fifo'"]
    """

    model: str
    checkpoints: Mapping[str, str]
    memory: Mapping[str, Any]
    predict: Mapping[str, Any]
    annotation_digest: str
    lmeec_version: str = field(default=__version__)
    schema_version: int = field(default=SCHEMA_VERSION)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all of it, hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def cautions(self) -> tuple[str, ...]:
        """What must be known before the results are used, in words."""
        caution = caution_of(self.model.split(", "), synthetic=self.predict.get("synthetic") is True)
        return () if caution is None else (caution,)

    @property
    def mask_size(self) -> str:
        """Which size its masks have, as in `PredictConfig`; imported ones have the benchmark's."""
        return str(self.predict.get("mask_size", "evaluation"))

    @property
    def has_square_masks(self) -> bool:
        """Whether masks are at 480x480 whatever the frame's shape, for the paper's protocol."""
        return self.mask_size == "square"

    @property
    def selection(self) -> str | None:
        """The condition by which its rows were selected (`lmeec select`); None where all rows are there."""
        given = self.predict.get("selection")
        return None if given is None else str(given)

    @property
    def selected_from(self) -> int | None:
        """How many rows they were selected from; None where all rows are there."""
        given = self.predict.get("selected_from")
        return given if isinstance(given, int) else None

    @property
    def fused(self) -> tuple[str, ...]:
        """Names of the runs that its rows were taken from (`lmeec fuse`), in their order; empty where it is one run."""
        given = self.predict.get("fused")
        names = given.get("order") if isinstance(given, Mapping) else None
        return tuple(map(str, names)) if isinstance(names, list) else ()

    def to_json(self) -> str:
        """Return it as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> RunMetadata:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is no JSON or not of this shape.
        """
        try:
            values = json.loads(text)
            _check_depth(values)
            return msgspec.convert(values, cls)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error

    def differences(self, other: RunMetadata) -> Iterator[str]:
        """Yield a line for every value in which the runs differ."""
        mine, theirs = dict(_flat(asdict(self))), dict(_flat(asdict(other)))
        for name in sorted(mine.keys() | theirs.keys()):
            if mine.get(name) != theirs.get(name):
                yield f"{name}: {mine.get(name)!r} and {theirs.get(name)!r}"


@dataclass(frozen=True)
class Contents:
    """Which takes and directions a results table was made of; takes without a row count too.

    Attributes:
        count: how many pairs of a take and a direction.
        digest: SHA-256 of the sorted pairs, hexadecimal.

    Example:
        >>> Contents.of([("take-1", "ego2exo")]) == Contents.of([("take-1", "exo2ego")])
        False
    """

    count: int
    digest: str

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Contents:
        """Summarise pairs of a take's uid and a direction."""
        distinct = sorted(set(pairs))
        return cls(len(distinct), hashlib.sha256(json.dumps(distinct).encode()).hexdigest())


def contents_of(metadata: Mapping[bytes, bytes] | None, name: str) -> Contents:
    """Read the contents from a file's key-value metadata.

    Raises:
        OutputError: they are not there or damaged.
    """
    try:
        return msgspec.convert(json.loads((metadata or {})[CONTENTS_KEY]), Contents)
    except (KeyError, ValueError, RecursionError) as error:
        raise OutputError(f"{name} does not say which takes it holds: it is not a whole results table") from error


def digest_of_files(paths: Iterable[Place]) -> str:
    """SHA-256 over the contents of files, hexadecimal; the same wherever they are."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.parts):
        with local_file(path) as local, local.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def file_metadata(run: RunMetadata) -> dict[bytes, bytes]:
    """Return the key-value metadata of a file of this run; its columns are today's also where its parts' were not."""
    return {METADATA_KEY: run.to_json().encode(), VERSION_KEY: str(SCHEMA_VERSION).encode()}


def run_of(metadata: Mapping[bytes, bytes] | None, name: str) -> RunMetadata:
    """Read the run from a file's key-value metadata.

    Args:
        metadata: key-value metadata of the Parquet file.
        name: the file, for messages.

    Raises:
        OutputError: it is not there (a foreign file), damaged, or of another schema version.
    """
    if not metadata or METADATA_KEY not in metadata:
        raise OutputError(f"{name} is a Parquet file, but not a results table: give a file that `lmeec predict` wrote")
    version = metadata.get(VERSION_KEY, b"").decode(errors="replace")
    if version not in _READABLE_VERSIONS:
        raise OutputError(
            f"{name} has columns of version {in_short(version, 20) or 'unknown'}, this lmeec ({__version__}) reads "
            f"versions {' and '.join(_READABLE_VERSIONS)}: read it with the lmeec that wrote it, or predict again"
        )
    try:
        return RunMetadata.from_json(metadata[METADATA_KEY])
    except ValueError as error:
        raise OutputError(f"{name} holds damaged run settings ({in_short(str(error))}): predict again") from error


def _check_depth(value: Any, left: int = _DEEPEST) -> None:
    """Refuse values that no recursion comes through."""
    if isinstance(value, dict | list):
        if not left:
            raise ValueError("it is nested too deeply")
        for part in value.values() if isinstance(value, dict) else value:
            _check_depth(part, left - 1)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
