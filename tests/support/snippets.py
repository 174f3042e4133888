"""The code in Markdown pages: fenced blocks and indented ones, by section, as commands and Python."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHELL = ("", "bash", "sh", "console")
PYTHON = ("python", "py")
DATA = ("json", "yaml", "text", "toml")
"""Languages of blocks that show what a file or an output looks like; there is nothing to run."""


@dataclass(frozen=True)
class Snippet:
    """A command, or a block of Python.

    Attributes:
        where: file and line of its block.
        text: a command in one line, without its comment, or the block.
        python: which of the two.
    """

    where: str
    text: str
    python: bool = False


@dataclass
class Section:
    """What a page has under one heading of the second level, in order."""

    page: str
    title: str
    snippets: list[Snippet] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.page}: {self.title}"


def sections(path: Path, name: str) -> Iterator[Section]:
    """The sections of a page that have code.

    Raises:
        ValueError: a block is in a language that nothing is known of.
    """
    section, heading = Section(name, "top"), False
    for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
        if heading:
            yield from [section] if section.snippets else []
            section = Section(name, token.content)
        heading = token.type == "heading_open" and token.tag == "h2"
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            section.snippets += _snippets(f"{name}:{token.map[0] + 1}", token.info.strip(), token.content)
    yield from [section] if section.snippets else []


def _snippets(where: str, language: str, text: str) -> Iterator[Snippet]:
    if language in PYTHON:
        yield Snippet(where, text, python=True)
    elif language in SHELL:
        for line in text.replace("\\\n", " ").splitlines():
            command = shlex.join(shlex.split(line.removeprefix("$ "), comments=True))
            if command:
                yield Snippet(where, command)
    elif language not in DATA:
        raise ValueError(f"{where}: a block of {language!r}, which is neither known to be code nor data")
