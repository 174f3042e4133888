"""How to install the parts of lmeec that are extras."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """The command that adds an extra, for the user.

    No package index has lmeec yet, so that it is installed from a checkout; `sam2` must be built against the torch
    that is there.

    Args:
        extra: its name in pyproject.toml, as `ray` or `s3`.

    Example:
        >>> how_to_install("ray")
        "in lmeec's checkout, pip install --no-build-isolation '.[ray]'"
    """
    return f"in lmeec's checkout, pip install --no-build-isolation '.[{extra}]'"
