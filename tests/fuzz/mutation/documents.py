"""Changes of documents: JSON, JSON lines, and whatever is made of mappings, lists and values."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutation import octets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

Path = tuple[Any, ...]

RAW = "\x01raw"
"""Begins a text that stands for what no value says, see `_UNSAYABLE`."""

_UNSAYABLE = {
    f"{RAW}{number}": text
    for number, text in enumerate(
        (
            "1e999", "-1e999", "1e-999", "9" * 400, "-0", "-0.0", "NaN", "Infinity", "01", "+1", '"\\ud800"', '"\\x"',
            "[" * 600 + "]" * 600, "[" * 3000, '{"a":' * 600 + "1" + "}" * 600, '{"a":1,"a":2}', "tru", "", "'x'",
            "/* c */ 1",
        )
    )
}  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 30, 255, 256, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64,
    -(2**63) - 1, 10**6, 10**9, 10**19, 10**30, 0.0, -0.0, 0.5, -1.5, 1e-300, 1e300, 1e19, float("nan"), float("inf"),
    float("-inf"), "", " ", "0", "1", "-1", "1e9", "0x10", "nan", "true", "a", "\0", "a\0b", "\ud800", "\x1b[31m",
    "\u202e",
    "é", "日本", "..", "../x", "/etc/passwd", "a/b", "C:\\x", "a\nb", "=1+1", "x" * 300, "y" * 5000, "é" * 200, "`x`",
    "aria01_214-1", "cam01", "cup_0", "ego2exo", "both", "nano", "2001-99-99", [], {}, [[]], [None], [0], ["a"], [1,
    "a"],
    {"a": 1}, {"": None}, [-1, 2**40], [0] * 3, [1e9, 1e9], list(range(40)), ["z" * 90] * 40,
    {str(n): n for n in range(40)},
)  # fmt: skip
"""What stands where something else should; a changed document gets one of these, or another part of itself."""

_KEYS = (
    "",
    " ",
    "\0",
    "\ud800",
    "0",
    "-1",
    "a",
    "../a",
    "é" * 150,
    "x" * 300,
    "99999999999",
    "1e3",
    "__metadata__",
    "kind",
)


def mutate_json(data: bytes, random: Random) -> bytes:
    """Change a JSON file: its values, its structure, its bytes."""
    return _with_bytes(data, random, lambda: dumped(change(_parsed(data), random)))


def mutate_lines(data: bytes, random: Random) -> bytes:
    """Change a file of JSON lines."""

    def changed() -> bytes:
        lines = data.splitlines()
        at = random.randrange(len(lines))
        line = mutate_json(lines[at], random)
        return b"\n".join([*lines[:at], line, *lines[at + random.randint(0, 1) :]])

    return _with_bytes(data, random, changed)


def _with_bytes(data: bytes, random: Random, changed: Callable[[], bytes]) -> bytes:
    drawn = random.random()
    if drawn < 0.2:
        return octets.mutate(data, random)
    return octets.mutate(changed(), random, 1) if drawn < 0.35 else changed()


def dumped(document: Any) -> bytes:
    """A document as JSON, with what no value says put in."""
    text = json.dumps(document)
    if "\\u0001raw" in text:
        for name, raw in _UNSAYABLE.items():
            text = text.replace(json.dumps(name), raw)
    return text.encode()


def change(
    document: Any, random: Random, values: Sequence[Any] = (*VALUES, *_UNSAYABLE), keys: Sequence[Any] = _KEYS
) -> Any:
    """A document that differs from another in one place or a few.

    Args:
        document: mappings, lists and tuples of values; stays as it is.
        random: chance.
        values: what may stand in a changed place.
        keys: what a key may become.
    """
    seed, places = document, _places_of(document)
    for _ in range(1 if random.random() < 0.6 else random.randint(2, 5)):
        path = random.choice(places)
        if not _has(document, path):  # no more, after the changes before
            continue
        how = random.random()
        if not path or how < 0.5:
            # Parts of the document itself have types that pass where random ones do not.
            value = random.choice(values) if random.random() < 0.75 else _at(seed, random.choice(places))
            document = _replaced(document, path, lambda _, value=value: value)
        elif how < 0.65:
            document = _replaced(document, path[:-1], lambda parent, key=path[-1]: _without(parent, key))
        elif how < 0.8:
            new = random.choice(keys)
            document = _replaced(document, path[:-1], lambda parent, key=path[-1], new=new: _renamed(parent, key, new))
        elif how < 0.9:
            count = random.choice((2, 3, 50))
            document = _replaced(document, path, lambda value, count=count: [value] * count)
        else:
            document = _replaced(document, path, lambda value: _closely(value, random))
    return document


def _closely(value: Any, random: Random) -> Any:
    """Something near to a value."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return random.choice((value + 1, value - 1, -value, value * 1000, float(value), str(value), value + 0.5))
    if isinstance(value, str):
        at = random.randrange(len(value) + 1)
        return random.choice(
            (value[:at], value[:at] + chr(random.randrange(1, 0x250)) + value[at:], value * 20, [value])
        )
    if isinstance(value, dict):
        return random.choice((list(value.items()), list(value.values()), {**value, "extra": value}))
    if isinstance(value, list | tuple):
        return random.choice(
            (value[1:], value[::-1], dict(enumerate(value)) if len(value) < 50 else {}, [*value, *value])
        )
    return None


@lru_cache(64)
def _parsed(data: bytes) -> Any:
    return json.loads(data)


def _places_of(document: Any) -> list[Path]:
    """The places of a seed, found once; the seed is kept, so that no other object gets its number."""
    if id(document) not in _PLACES:
        if len(_PLACES) >= _KEPT:
            _PLACES.clear()
        _PLACES[id(document)] = document, list(_places(document, ()))
    return _PLACES[id(document)][1]


_PLACES: dict[int, tuple[Any, list[Path]]] = {}
_KEPT = 256


def _places(document: Any, path: Path) -> Iterator[Path]:
    yield path
    if len(path) < 12:
        items = document.items() if isinstance(document, dict) else ()
        items = enumerate(document[:30]) if isinstance(document, list | tuple) else items
        for key, value in items:
            yield from _places(value, (*path, key))


def _has(document: Any, path: Path) -> bool:
    for key in path:
        if isinstance(document, dict):
            found = key in document
        else:
            found = isinstance(document, list | tuple) and isinstance(key, int) and key < len(document)
        if not found:
            return False
        document = document[key]
    return True


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def _replaced(document: Any, path: Path, by: Callable[[Any], Any]) -> Any:
    """A copy of the document along a path alone, with something else at its end."""
    if not path:
        return by(document)
    key, rest = path[0], path[1:]
    if isinstance(document, dict):
        return {**document, key: _replaced(document[key], rest, by)}
    return type(document)([*document[:key], _replaced(document[key], rest, by), *document[key + 1 :]])


def _without(parent: Any, key: Any) -> Any:
    if isinstance(parent, dict):
        return {name: value for name, value in parent.items() if name != key}
    return type(parent)([*parent[:key], *parent[key + 1 :]])


def _renamed(parent: Any, key: Any, new: Any) -> Any:
    if isinstance(parent, dict):
        return {new if name == key else name: value for name, value in parent.items()}
    return _without(parent, key)
