"""Recipe files: what they may say, and messages that name the key and the line of a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lmeec.config import Device, Direction, Policy, Precision
from lmeec.errors import ConfigError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Predict(_Strict):
    """Options of `lmeec predict`, by the names that they have there."""

    takes: Path
    out: str
    checkpoint: list[str] = ["nano"]
    annotations: Path | None = None
    direction: Direction | Literal["both"] = "both"
    take: list[str] = []
    objects: list[str] = []
    memory_policy: Policy = "drop"
    memory_size: Annotated[int, Field(ge=1)] | None = None
    device: Device = "auto"
    dtype: Precision = "auto"
    video: Literal["auto", "full", "448"] = "auto"
    calibration: Path | None = None
    batch_tracks: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    cpus_per_worker: Annotated[int, Field(ge=1)] | None = None
    ray_address: str | None = None
    retries: Annotated[int, Field(ge=0)] = 2
    take_timeout: Annotated[float, Field(ge=0.1)] | None = None
    overwrite: bool = False
    log_format: Literal["auto", "text", "json"] = "auto"


class Overnight(_Strict):
    """Predict, then score."""

    kind: Literal["overnight"]
    predict: Predict
    scores: Path | None = None


class Ablation(_Strict):
    """Predict with several memory policies, then compare their scores."""

    kind: Literal["ablation"]
    predict: Predict
    policies: Annotated[list[Policy], Field(min_length=1)] = ["drop", "merge", "fifo", "kmeans", "iou"]
    scores: Path | None = None


class Clips(_Strict):
    """Options of `lmeec clips`, by the names that they have there."""

    takes: Path
    out: Path
    annotations: Path | None = None
    video: Literal["auto", "full", "448"] = "auto"
    results: Path | None = None
    rule: Literal["context", "fixed"] = "context"
    seconds: float | None = None
    min_length: float = 0.0
    max_length: float | None = None
    ego_visible_only: bool = False
    best_exo_only: bool = False
    include_unsure: bool = False
    include_rejected: bool = False
    merge_duplicates: Literal["none", "overlapping", "take"] = "none"
    extract: Path | None = None
    format: Literal["mp4", "webdataset", "both"] = "mp4"
    short_side: int = 256
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    ray_address: str | None = None
    overwrite: bool = False


class Instruct(_Strict):
    """Options of `lmeec clips instruct`, by the names that they have there; files that are there are replaced."""

    out: Path
    val_share: float = 0.1
    seed: int = 0


class EgoExoClip(_Strict):
    """Make clips with sentences, then conversations about them."""

    kind: Literal["ego-exoclip"]
    clips: Clips
    instruct: Instruct | None = None


Recipe = Annotated[Overnight | Ablation | EgoExoClip, Field(discriminator="kind")]


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Overnight | Ablation | EgoExoClip:
    """Read a recipe.

    Args:
        path: the file.
        overrides: `key=value` each, with dots between nested keys and a value in YAML.

    Raises:
        ConfigError: the file cannot be read or says something that it may not; names the key and the line.
    """
    document = read_yaml(path)
    if not isinstance(document, dict) or "kind" not in document:
        raise ConfigError(
            f"{path}: this is no recipe that lmeec runs: it has no key `kind` (overnight, ablation or ego-exoclip)"
        )
    changed = dict(_override(document, text) for text in overrides)
    try:
        return TypeAdapter(Recipe).validate_python(document)
    except ValidationError as error:
        raise ConfigError("\n".join(messages(path, document, error, changed))) from error


def read_yaml(path: Path) -> Any:
    """A YAML document that remembers its lines.

    Raises:
        ConfigError: the file cannot be read, or is not YAML.
    """
    try:
        return YAML().load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: this is not YAML: {error.problem}") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: this is not YAML: {error}") from error


def _override(document: Any, text: str) -> tuple[tuple[str, ...], str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text}: give a key and a value, as --set predict.takes=/data")
    names = tuple(key.split("."))
    place = document
    for name in names[:-1]:
        place = place.get(name) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise ConfigError(f"--set {text}: there is no {'.'.join(names[:-1])} to set {names[-1]} in")
    try:
        place[names[-1]] = YAML(typ="safe").load(value)
    except YAMLError as error:
        raise ConfigError(f"--set {text}: the value is not YAML: put it in quotes") from error
    return names, text


def messages(path: Path, document: Any, error: ValidationError, changed: dict[tuple[str, ...], str]) -> Iterable[str]:
    """What pydantic finds wrong with a document, with the key and the line, or the override, of each."""
    seen = set()
    for problem in error.errors():
        keys = _keys(document, problem["loc"]) or (("kind",) if "kind" in document else ())
        unknown = problem["type"] in ("extra_forbidden", "unexpected_keyword_argument")
        said = "this key is not known" if unknown else problem["msg"].removeprefix("Value error, ")
        origin = next((f"--set {text}" for names, text in changed.items() if keys[: len(names)] == names), None)
        where = origin or f"{path}, line {_line(document, keys)}"
        if (where, keys) not in seen:
            seen.add((where, keys))
            yield ": ".join([where, *([".".join(map(str, keys))] if keys else []), said])


def _keys(document: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The keys of a problem as the file has them, without the names of types that pydantic puts between."""
    keys: list[int | str] = []
    place = document
    for number, name in enumerate(location):
        if isinstance(place, dict) and (name in place or number == len(location) - 1):
            keys.append(name)
            place = place.get(name)
        elif isinstance(place, list) and isinstance(name, int) and name < len(place):
            keys.append(name)
            place = place[name]
    return tuple(keys)


def _line(document: Any, keys: tuple[int | str, ...]) -> int:
    """The line, from 1, of the last of the keys that is in the file."""
    line, place = 1, document
    for key in keys:
        if not isinstance(place, CommentedBase):
            break
        known = place.lc.data or {}
        if key in known:
            line = known[key][0] + 1
        try:
            place = place[key]
        except (KeyError, IndexError, TypeError):
            break
    return line
