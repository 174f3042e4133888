"""Which weights predict which direction: one model for both, a file a direction, or the released pair in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from lmeec.config import Direction
from lmeec.errors import CheckpointError, ConfigError
from lmeec.files.places import Place, is_url, place
from lmeec.files.reading import understanding
from lmeec.model.checkpoint import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lmeec.files.remote.cache import FileCache
    from lmeec.files.remote.place import RemotePath

RELEASED_NAMES: dict[Direction, str] = {"ego2exo": "EgoExo_checkpoint", "exo2ego": "ExoEgo_checkpoint"}
"""Stems of the released pair's file names."""


def checkpoint_sources(
    given: Sequence[str], directions: Sequence[Direction], cache: FileCache | None = None
) -> dict[Direction, str | RemotePath]:
    """The model to load for each direction.

    Args:
        given: what the user named: a built-in model or file for all directions, a folder that holds the released
            pair, or `DIRECTION=FILE` for one direction. Files and folders may be URLs.
        directions: directions to predict.
        cache: where whole files of URLs are kept.

    Returns:
        A built-in name, a path or a place for each of the directions.

    Raises:
        CheckpointError: a folder lacks a file of the pair, or a direction is left without a model.
        ConfigError: a direction is named twice, or is none.

    Example:
        >>> checkpoint_sources(["nano"], ["ego2exo", "exo2ego"])
        {'ego2exo': 'nano', 'exo2ego': 'nano'}
    """
    sources: dict[Direction, str | RemotePath] = {}
    for item in given:
        for direction, source in _of_item(item, directions, cache).items():
            if direction in sources:
                raise ConfigError(
                    f"`checkpoint` names {direction} twice: {sources[direction]} and {source}", settings=["checkpoint"]
                )
            sources[direction] = source
    for direction in directions:
        if direction not in sources:
            raise CheckpointError(
                f'no checkpoint for {direction}; add `checkpoint="{direction}=FILE"`', settings=["checkpoint"]
            )
    return {direction: sources[direction] for direction in directions}


def _of_item(
    item: str, directions: Sequence[Direction], cache: FileCache | None
) -> Mapping[Direction, str | RemotePath]:
    name, equals, path = item.partition("=")
    if equals and not is_url(item) and not Path(item).exists():
        if name not in get_args(Direction):
            raise ConfigError(
                f"`checkpoint` {item}: {name!r} is no direction; use one of {', '.join(get_args(Direction))}",
                settings=["checkpoint"],
            )
        return {direction: _as_source(place(path, cache)) for direction in directions if direction == name}
    where = place(item, cache)
    if where.suffix not in SUFFIXES:
        with understanding(where, CheckpointError, "a checkpoint", "name another"):
            if where.is_dir():
                return {direction: _as_source(_released_file(where, direction)) for direction in directions}
    return dict.fromkeys(directions, item if isinstance(where, Path) else where)


def _as_source(where: Place) -> str | RemotePath:
    return str(where) if isinstance(where, Path) else where


def _released_file(folder: Place, direction: Direction) -> Place:
    candidates = [folder / f"{RELEASED_NAMES[direction]}{suffix}" for suffix in reversed(SUFFIXES)]
    for path in candidates:
        if path.is_file():
            return path
    names = " or ".join(path.name for path in candidates)
    raise CheckpointError(f"{folder}: has no checkpoint for {direction} (looked for {names})")
