"""The pages of docs/ against what they are about: the columns of the table, messages, names, and links."""

from __future__ import annotations

import ast
import re
from pkgutil import resolve_name
from typing import get_args

import pytest

from lmeec.tables import SCHEMA
from lmeec.tables.trace import TRACE_SCHEMA, Outcome
from lmeec_cli.app import app
from lmeec_cli.settings import words_for_settings
from tests.support.pages import rows_of_tables
from tests.support.places import ROOT

DOCS = ROOT / "docs"


def test_every_column_is_explained():
    explained = [row for row in rows_of_tables(DOCS / "table.md") if re.fullmatch(r"`\w+`", row[0])]
    said = [(name.strip("`"), kind.strip("`"), null == "yes") for name, kind, null, _ in explained]
    known = [(field.name, str(field.type), field.nullable) for field in SCHEMA]
    assert said == known
    assert all(meaning for *_, meaning in explained)


def test_every_column_and_outcome_of_the_trace_is_explained():
    first = " ".join(row[0] for row in rows_of_tables(DOCS / "watch.md"))
    names = re.findall(r"`(\w+)`", first)
    assert names == [*TRACE_SCHEMA.names, *(one for one in names if one in get_args(Outcome))]
    assert set(get_args(Outcome)) <= set(names)


@pytest.fixture(scope="module")
def texts_in_code():
    """All text in the code, as one line each, with `…` where something is put in; settings as the command has them."""
    say = words_for_settings(app, [])
    found = []
    for folder in ("lmeec", "lmeec_cli"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                    found.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return [re.sub(r"`([a-z_.]+)(?:=([^`]*))?`", lambda named: say(named[1], named[2]), text) for text in found] + found


def says(text, message):
    """Whether a text has the words of a message in their order, with anything where the message has `…`."""
    return re.search(".*".join(re.escape(part.strip()) for part in message.split("…")), text, re.DOTALL)


def messages():
    for row in rows_of_tables(DOCS / "errors.md"):
        yield from re.findall(r"`([^`]+)`", row[0])


@pytest.mark.parametrize("message", list(messages()))
def test_explained_messages_are_those_of_the_code(message, texts_in_code):
    assert any(says(text, message) for text in texts_in_code), "no message has these words any more"


PAGES = ["README.md", "CONTRIBUTING.md", *(path.relative_to(ROOT).as_posix() for path in sorted(DOCS.glob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_names_are_those_of_the_code(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"`(lmeec(?:\.\w+)+)(?:\(.*?\))*`", text):
        assert resolve_name(name), f"there is no {name}"
    for path in re.findall(r"`([a-z_./]+/[a-z_.]+\.(?:py|md))`", text):
        assert (ROOT / path).exists() or (ROOT / "lmeec" / path).exists(), f"there is no {path}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    lost = [target for target in targets if "://" not in target and not (ROOT / target.partition("#")[0]).exists()]
    assert not lost


def test_the_first_page_stays_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
