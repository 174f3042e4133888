"""Tables on a terminal: a row is a line, names are whole, and what finds no room is said."""

from __future__ import annotations

import pytest
from rich.box import SIMPLE_HEAD
from rich.table import Table

from lmeec_cli import console
from lmeec_cli.console import print_fitting

NAMES = ("a long name of a camera_0", "pink pan_1")


@pytest.fixture
def shown(monkeypatch, capsys):
    """What a terminal of a width shows."""

    def show(width, terminal=True):
        class Terminal(console.Console):
            def __init__(self, **settings):
                super().__init__(**{"width": width, "force_terminal": terminal, "color_system": None} | settings)

        monkeypatch.setattr(console, "Console", Terminal)
        table = Table("camera", "IoU %", "contour\naccuracy", "takes", box=SIMPLE_HEAD)
        for column in table.columns:
            column.no_wrap = True
        for name in NAMES:
            table.add_row(name, "36.01", "0.569", "2")
        print_fitting(table, ("takes", "contour accuracy"), "--csv")
        return capsys.readouterr().out

    return show


@pytest.mark.parametrize(
    ("width", "left_out"), [(80, ""), (48, "room: takes;"), (40, "room: takes, contour accuracy;"), (10, "room: takes")]
)
def test_columns_are_left_out_before_rows_are_broken(shown, width, left_out):
    lines = shown(width).splitlines()
    for name in NAMES:
        assert sum(name in line and "36.01" in line for line in lines) == 1
    assert "…" not in "".join(lines)
    said = " ".join("".join(f"{line} " for line in lines).split())
    assert (left_out in said) if left_out else ("left out" not in said)
    if width >= 40:
        assert max(map(len, map(str.rstrip, lines))) <= width


def test_files_get_all(shown):
    assert "takes" in shown(40, terminal=False)
