"""Numbers and names in words."""

from __future__ import annotations

import re


def duration(seconds: float) -> str:
    """Hours, minutes and seconds.

    Example:
        >>> duration(3725)
        '1:02:05'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def snake_case(name: str) -> str:
    """A class's name as a JSON value.

    Example:
        >>> snake_case("JobFinished")
        'job_finished'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
