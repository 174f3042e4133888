"""YAML files that users write: reading them, and naming the key and the line of a mistake."""

from __future__ import annotations

import re
from functools import partial
from itertools import accumulate, islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lmeec.errors import ConfigError
from lmeec.files.reading import LONGEST_MESSAGE, in_short, make_presentable, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from lmeec.errors import LmeecError
    from lmeec.files.places import Place

_LARGEST = 2**20  # bytes; recipes have a few thousand
_DEEPEST = 50
_MOST_MISTAKES = 100
"""That are looked up in the file, one after the other; of more, their number is told."""
_LONGEST_KEY = 120


def read_yaml(path: Path, kind: type[LmeecError] = ConfigError, *, quotes: bool = False) -> Any:
    """A YAML document that remembers its lines.

    Args:
        path: the file.
        kind: what is raised.
        quotes: whether text remembers its quotes, to be written again.

    Raises:
        LmeecError: of the given kind: the file cannot be read, or is not YAML.
    """
    with reading(path, kind, "a YAML file", "correct it", most=_LARGEST):
        text = path.read_text(encoding="utf-8")
        try:
            _check_depth(path, text, kind)
            yaml = YAML()
            yaml.preserve_quotes = quotes
            return yaml.load(text)
        except MarkedYAMLError as error:
            line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise kind(f"{path}{line}: this is not YAML: {in_short(str(error.problem))}") from error
        except YAMLError as error:
            raise kind(f"{path}: this is not YAML: {in_short(str(error))}") from error


def _check_depth(path: Path, text: str, kind: type[LmeecError]) -> None:
    """Refuse deep brackets before they are parsed, which takes a time that grows with the square of the depth."""
    deep = 0
    for token in re.finditer(r"[\[{\]}]", text):
        deep = max(0, deep + (1 if token[0] in "[{" else -1))
        if deep > _DEEPEST:
            line = text.count("\n", 0, token.start()) + 1
            raise kind(f"{path}, line {line}: brackets are nested more than {_DEEPEST} deep; correct it")


def refusal(
    path: Place,
    document: Any,
    error: ValidationError,
    changed: Mapping[tuple[str, ...], str] = MappingProxyType({}),
    kind: type[LmeecError] = ConfigError,
    line_of: Callable[[tuple[int | str, ...]], int] | None = None,
) -> LmeecError:
    """An error that tells the first mistakes of a document, as many as it has room for.

    Args:
        path: the file.
        document: what it says.
        error: what pydantic finds wrong with that.
        changed: keys that were overridden, with the override in the user's words.
        kind: of the error.
        line_of: the line, from 1, of the last of some keys; None asks the document, if `read_yaml` made it.
    """
    mistakes = _mistakes(path, document, error, changed, line_of or partial(_line_of, document))
    lines = list(islice(mistakes, _MOST_MISTAKES))
    unseen = max(0, error.error_count() - len(lines)) if len(lines) == _MOST_MISTAKES else 0
    room = LONGEST_MESSAGE - len("and 9999999 more mistakes\n")
    ends = accumulate(len(line) + 1 for line in lines)
    shown = max(sum(end <= room for end in ends), 1)
    more = [f"and {len(lines) - shown + unseen} more mistakes"] if shown < len(lines) else []
    said = kind("\n".join([*lines[:shown], *more]))
    make_presentable(said, path)
    return said


def _mistakes(
    path: Place,
    document: Any,
    error: ValidationError,
    changed: Mapping[tuple[str, ...], str],
    line_of: Callable[[tuple[int | str, ...]], int],
) -> Iterable[str]:
    """What pydantic finds wrong with a document, with the key and the line, or the override, of each."""
    seen = set()
    for problem in error.errors():
        if problem["type"] == "too_short" and problem["input"]:
            continue  # what is in it is wrong, and told by itself
        keys = _keys(document, problem["loc"]) or (("kind",) if "kind" in document else ())
        said = _in_words(problem)
        origin = next((text for names, text in changed.items() if keys[: len(names)] == names), None)
        where = origin or f"{path}, line {line_of(keys)}"
        if (where, keys) not in seen:
            seen.add((where, keys))
            name = [in_short(".".join(map(str, keys)), _LONGEST_KEY)] if keys else []
            yield ": ".join([where, *name, in_short(said)])


def _in_words(problem: ErrorDetails) -> str:
    """What is wrong, in words of YAML rather than of Python."""
    kind, given = problem["type"], problem["input"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return "this key is not known"
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f"is {in_short(str(given), _LONGEST_KEY)}, where text is expected: put it in quotes"
    what = "keys with values" if isinstance(given, dict) else "a list" if isinstance(given, list) else "a single value"
    if kind in ("tuple_type", "list_type"):
        return f"is {what}, where a list is expected: begin each item with `- `, in a line of its own"
    if kind in ("dict_type", "model_type", "model_attributes_type", "dataclass_type"):
        return f"is {what}, where keys with values are expected, as `name: ...`"
    if kind == "too_short":
        return "is empty, where something is expected"
    return problem["msg"].removeprefix("Value error, ")


def _keys(document: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The keys of a problem as the file has them, without the names of types that pydantic puts between."""
    if isinstance(document, dict) and location[:1] == (document.get("kind"),):
        location = location[1:]  # the kind of recipe, which may be called as one of its keys
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


def _line_of(document: Any, keys: tuple[int | str, ...]) -> int:
    """The line, from 1, of the last of the keys that is in the file."""
    line, place = 1, document
    for key in keys:
        if not isinstance(place, CommentedMap | CommentedSeq):
            break
        known = place.lc.data or {}
        if key in known:
            line = known[key][0] + 1
        try:
            place = place[key]
        except (KeyError, IndexError, TypeError):
            break
    return line
