"""The call of this command, as what it makes keeps it."""

from __future__ import annotations

import shlex
import sys


def command_line() -> str:
    """The words of the call, without what gives access to URLs."""
    from lmeec.files.secrets import without_access

    return shlex.join(["lmeec", *map(without_access, sys.argv[1:])])
