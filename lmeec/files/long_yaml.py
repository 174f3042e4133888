"""Long YAML files, as manifests of thousands of takes: read by libyaml, and again for the line of a mistake.

Text stays text: of what is not in quotes, only numbers, true, false and null are anything else, as in YAML 1.2, and not
`no`, dates or `1:30`. ruamel.yaml (`lmeec.files.yaml`), which keeps the line of every key, takes a hundred times as
long.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from lmeec.files.reading import in_short, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.errors import LmeecError
    from lmeec.files.places import Place

LARGEST = 2**24
"""Bytes of a file that is read; ten thousand takes have a quarter."""

_MOST_VALUES = 3 * 10**6
"""With those that aliases stand for, which can be aliases again."""

_DEEPEST = 50
_STRING = "tag:yaml.org,2002:str"
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".inf", ".Inf", ".INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


class LongYaml:
    """A YAML file of at most `LARGEST` bytes.

    Args:
        path: the file.
        kind: what is raised.

    Attributes:
        path: the file.
        content: what it says: mappings with text as keys, lists, text, numbers, true, false and null.

    Raises:
        LmeecError: of the given kind: the file cannot be read, is not YAML, has a key twice, or says too much by
            aliases of aliases.
    """

    def __init__(self, path: Place, kind: type[LmeecError]) -> None:
        self.path = path
        self._kind = kind
        self._nodes: yaml.Node | None = None
        with reading(path, kind, "a YAML file", "correct it", most=LARGEST):
            text = path.read_text(encoding="utf-8")
            try:
                self.content: Any = _Builder(text).content
            except yaml.MarkedYAMLError as error:
                mark = error.problem_mark or error.context_mark
                line = f", line {mark.line + 1}" if mark else ""
                raise kind(f"{path}{line}: this is not YAML: {in_short(str(error.problem))}") from error
            except yaml.YAMLError as error:
                raise kind(f"{path}: this is not YAML: {in_short(str(error))}") from error

    def line_of(self, keys: Sequence[int | str]) -> int:
        """The line, from 1, of the last of the keys that is in the file; looks into it anew the first time."""
        if self._nodes is None:
            with reading(self.path, self._kind, "a YAML file", "correct it", most=LARGEST):
                self._nodes = yaml.compose(self.path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        line, node = 1, self._nodes
        for key in keys:
            if isinstance(node, yaml.MappingNode) and isinstance(key, int):
                continue  # the only one of a list, which was given without the list
            if isinstance(node, yaml.MappingNode):
                found = next((pair for pair in node.value if pair[0].value == str(key)), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                line = node.start_mark.line + 1
            else:
                break
        return line


class _Open:
    """A list or mapping that is being read."""

    __slots__ = ("anchor", "began", "key", "value")

    def __init__(self, value: Any, anchor: str | None, began: int) -> None:
        self.value, self.anchor, self.began = value, anchor, began
        self.key: str | None = None


class _Builder:
    """Makes the values of a document out of libyaml's events; without recursion, as files nest as they like.

    Attributes:
        content: the document; None for an empty one.
    """

    def __init__(self, text: str) -> None:
        self.content: Any = None
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0
        documents = 0
        for event in yaml.parse(text, yaml.CSafeLoader):
            if isinstance(event, yaml.ScalarEvent):
                self._add(_scalar(event), event, event.anchor)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], event)
            elif isinstance(event, yaml.CollectionEndEvent):
                done = self._open.pop()
                self._put(done.value, event)
                if done.anchor is not None:
                    self._anchors[done.anchor] = done.value, self._values - done.began
            elif isinstance(event, yaml.AliasEvent):
                self._add_alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _mistake("there is a second document", event)

    def _begin(self, empty: Any, event: yaml.NodeEvent) -> None:
        _check_tag(event)
        self._count(1, event)
        if len(self._open) >= _DEEPEST:
            raise _mistake(f"values are nested more than {_DEEPEST} deep", event)
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            raise _mistake("a key is no text", event)
        self._open.append(_Open(empty, event.anchor, self._values))

    def _add(self, value: Any, event: yaml.NodeEvent, anchor: str | None) -> None:
        self._count(1, event)
        self._put(value, event)
        if anchor is not None:
            self._anchors[anchor] = value, 1

    def _add_alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            raise _mistake(f"nothing before is called &{event.anchor}", event)
        value, size = self._anchors[event.anchor]
        self._count(size, event)
        self._put(value, event)

    def _put(self, value: Any, event: yaml.Event) -> None:
        if not self._open:
            self.content = value
            return
        within = self._open[-1]
        if isinstance(within.value, list):
            within.value.append(value)
        elif within.key is not None:
            within.value[within.key] = value
            within.key = None
        else:
            within.key = event.value if isinstance(event, yaml.ScalarEvent) else None
            if within.key is None:
                raise _mistake("a key is no text", event)
            if within.key in within.value:
                raise _mistake(f"the key {within.key!r} is there twice", event)

    def _count(self, values: int, event: yaml.Event) -> None:
        self._values += values
        if self._values > _MOST_VALUES:
            raise _mistake(f"it holds more than {_MOST_VALUES:,} values, with what aliases stand for", event)


def _scalar(event: yaml.ScalarEvent) -> Any:
    _check_tag(event)
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789":
        if _WHOLE.fullmatch(text):
            return int(text, 0 if text[:2] in ("0o", "0x") else 10)
        if _NUMBER.fullmatch(text):
            return float(text)
    return text


def _check_tag(event: yaml.NodeEvent) -> None:
    if event.tag not in (None, "!", _STRING):
        raise _mistake(f"the tag {event.tag} means nothing here", event)


def _mistake(said: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=said, problem_mark=event.start_mark)
