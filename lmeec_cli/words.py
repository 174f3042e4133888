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


def in_time(seconds: float) -> str:
    """How long something took.

    Example:
        >>> in_time(3.42), in_time(48.2), in_time(3725)
        ('3.4 s', '48 s', '1:02:05')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else duration(seconds)


def counted(count: int, name: str, many: str | None = None) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "take"), counted(2000, "take"), counted(2, "loss", "losses")
        ('1 take', '2,000 takes', '2 losses')
    """
    return f"{count:,} {name if count == 1 else many or name + 's'}"


def snake_case(name: str) -> str:
    """A class's name as a JSON value.

    Example:
        >>> snake_case("JobFinished")
        'job_finished'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
