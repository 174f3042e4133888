"""Options that several commands have, and the values that they take."""

from __future__ import annotations

import ast
from collections import defaultdict

from typer.main import get_command

from lmeec_cli.app import app
from lmeec_cli.settings import commands
from tests.support.places import ROOT

SHARED = ("--take", "--object", "--video", "--device", "--calibration", "--log-format", "--json")
"""Flags that mean the same in every command that has them."""


def lists_of_values():
    """The values of each `Literal` with two and more, and where it stands."""
    for folder in ("lmeec", "lmeec_cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
                    values = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                    if len(values) > 1 and all(isinstance(value, ast.Constant) for value in values):
                        where = f"{path.relative_to(ROOT)}:{node.lineno}"
                        yield frozenset(value.value for value in values), where


def test_the_values_of_a_setting_are_written_in_one_place():
    places = defaultdict(list)
    for values, where in lists_of_values():
        places[values].append(where)
    assert len(places) > 20
    assert not {where for ones in places.values() if len(ones) > 1 for where in ones}


def test_a_shared_option_says_the_same_in_every_command():
    said = {flag: [] for flag in SHARED}
    for command in commands(get_command(app)):
        for option in command.params:
            if flag := next((flag for flag in option.opts if flag in said), None):
                said[flag].append(option.help)
    assert all(len(texts) > 1 for texts in said.values())
    differing = {flag: texts for flag, texts in said.items() if len(set(texts)) > 1}
    assert not differing
