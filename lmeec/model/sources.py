"""Which weights predict which direction: one model for both, a file a direction, or the released pair in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from lmeec.config import Direction
from lmeec.errors import CheckpointError, ConfigError
from lmeec.model.checkpoint import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence

RELEASED_NAMES: dict[Direction, str] = {"ego2exo": "EgoExo_checkpoint", "exo2ego": "ExoEgo_checkpoint"}
"""Stems of the released pair's file names."""


def checkpoint_sources(given: Sequence[str], directions: Sequence[Direction]) -> dict[Direction, str]:
    """The model to load for each direction.

    Args:
        given: what the user named: a built-in model or file for all directions, a folder that holds the released
            pair, or `DIRECTION=FILE` for one direction.
        directions: directions to predict.

    Returns:
        A built-in name or a path for each of the directions.

    Raises:
        CheckpointError: a folder lacks a file of the pair, or a direction is left without a model.
        ConfigError: a direction is named twice, or is none.

    Example:
        >>> checkpoint_sources(["nano"], ["ego2exo", "exo2ego"])
        {'ego2exo': 'nano', 'exo2ego': 'nano'}
    """
    sources: dict[Direction, str] = {}
    for item in given:
        for direction, source in _of_item(item, directions).items():
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


def _of_item(item: str, directions: Sequence[Direction]) -> dict[Direction, str]:
    name, equals, path = item.partition("=")
    if equals and not Path(item).exists():
        if name not in get_args(Direction):
            raise ConfigError(
                f"`checkpoint` {item}: {name!r} is no direction; use one of {', '.join(get_args(Direction))}",
                settings=["checkpoint"],
            )
        return {direction: path for direction in directions if direction == name}
    if Path(item).is_dir():
        return {direction: str(_released_file(Path(item), direction)) for direction in directions}
    return dict.fromkeys(directions, item)


def _released_file(folder: Path, direction: Direction) -> Path:
    candidates = [folder / f"{RELEASED_NAMES[direction]}{suffix}" for suffix in reversed(SUFFIXES)]
    for path in candidates:
        if path.is_file():
            return path
    names = " or ".join(path.name for path in candidates)
    raise CheckpointError(f"{folder}: has no checkpoint for {direction} (looked for {names})")
