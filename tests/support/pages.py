"""What pages of docs/ have in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def rows_of_tables(page: Path) -> list[list[str]]:
    """The rows of a page's tables, as lists of cells, without headings' rules."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        for line in lines
        if not set(line) <= set("|-")
    ]
