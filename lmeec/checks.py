"""Checks of settings, which name the one that is wrong."""

from __future__ import annotations

from lmeec.errors import ConfigError


def require(holds: bool, setting: str, value: object, expected: str) -> None:
    """Raise a `ConfigError` unless a setting's value is as expected.

    Example:
        >>> require(0 < 3, "batch", 3, "positive")
    """
    if not holds:
        raise ConfigError(f"{setting} is {value!r}, but must be {expected}")
