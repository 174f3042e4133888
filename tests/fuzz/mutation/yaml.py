"""Changes of YAML: of its lines and tokens, and of what it says, which is written as JSON, as YAML takes that too."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutation import octets
from tests.fuzz.mutation.documents import change, dumped

if TYPE_CHECKING:
    from random import Random

_TOKENS = (
    "2001-99-99", "2001-01-01T99:99:99", "12:99:99", "0o9", "0b2", ".inf", "-.inf", ".nan", "~", "null", "yes", "1_000",
    "!!python/object/apply:os.system [x]", "!!binary x", "!!timestamp x", "!!set {a}", "!!omap [a]", "!!int x",
    "!!float x",
    "!x y", "&a [*a]", "*a", "&a x", "<<: *a", "{<<: 1}", "? [a]", "? {a: b}", "[a, b", "{a: b", '"\\ud800"', '"\\x"',
    "'",
    "|", ">", "|9", "- - -", "---", "...", "%YAML 9.9", "%TAG ! x", "\t", "@", "`", "a: b: c", "[" * 200, "- " * 200,
    "{a: " * 200, "é", "\u2028", "\x07", "\ud800", "1e999", "9" * 400, "x" * 2000, "[" + "1, " * 2000 + "]",
    "key" * 200 + ":",
)  # fmt: skip
_WORD = re.compile(rb"[^\s:,\[\]{}]+")


def mutate(data: bytes, random: Random) -> bytes:
    """Change a YAML file."""
    drawn = random.random()
    if drawn < 0.15:
        return octets.mutate(data, random)
    if drawn < 0.6:
        return dumped(change(_parsed(data), random))
    lines = data.splitlines()
    for _ in range(random.randint(1, 3)):
        _change_line(lines, random)
    return b"\n".join(lines) + b"\n"


@lru_cache(64)
def _parsed(data: bytes) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(data)


def _change_line(lines: list[bytes], random: Random) -> None:
    at = random.randrange(len(lines)) if lines else 0
    line = lines[at] if lines else b""
    token = random.choice(_TOKENS).encode(errors="surrogatepass")
    how = random.randrange(7)
    if how == 0:
        del lines[at : at + 1]
    elif how == 1:
        lines[at:at] = [line]
    elif how == 2:
        lines[at:at] = [b" " * random.randrange(6) + token]
    elif how == 3:
        lines[at : at + 1] = [b" " * random.randrange(6) + line.lstrip()]
    elif how == 4:
        lines[at : at + 1] = [line.partition(b":")[0] + b": " + token]
    else:
        words = list(_WORD.finditer(line))
        if words:
            word = random.choice(words)
            lines[at : at + 1] = [line[: word.start()] + token + line[word.end() :]]
