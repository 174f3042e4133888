"""The templates of pages, which are one file each and need nothing else."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def fill(template: str, filters: Mapping[str, Callable[..., object]], values: Mapping[str, object]) -> bytes:
    """A page of a template beside this file, in the style of all; what it is given is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= filters
    page = environment.from_string(_text(template)).render(style=Markup(_text("style.css")), **values)
    return page.encode(errors="replace")


def _text(name: str) -> str:
    return resources.files("lmeec.report").joinpath(name).read_text("utf-8")
