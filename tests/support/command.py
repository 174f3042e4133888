"""The `lmeec` command as a user meets it: arguments in, exit status and both outputs out."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from typing import NamedTuple
from unittest import mock

from lmeec_cli.main import main


class Done(NamedTuple):
    status: int
    out: str
    err: str


def lmeec(*arguments: object) -> Done:
    """Run the command in this process.

    Not one that starts Ray: a process that has joined a cluster before gets no workers of any other afterwards.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["lmeec", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Done(status, out.getvalue(), err.getvalue())


def start_lmeec(*arguments: object) -> subprocess.Popen[str]:
    """Start the command in a process of its own, to be sent signals."""
    call = [sys.executable, "-c", "from lmeec_cli.main import main; main()", *map(str, arguments)]
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
