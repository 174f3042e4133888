"""The `lmeec` command's outermost boundary: whatever happens, the user gets a message and a status.

Nothing is imported here but what Python has loaded anyway, so that Ctrl-C is heeded while everything else is.
"""

from __future__ import annotations

import os
import sys

_DEBUG, _QUIET = "--debug", "--quiet"


def main() -> None:
    """Run the command line.

    The exit status is 1 for an error of the user's input or machine, 2 for a wrong call, 70 for a defect of lmeec, 130
    for Ctrl-C and 141 when who reads the output goes away, as `head` does.
    """
    try:
        sys.exit(_run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)


def _run(words: list[str]) -> str | int | None:
    """Do what a call says; gives the exit status."""
    options = words[: words.index("--")] if "--" in words else words
    debug, quiet = (
        flag in options or os.environ.get(variable, "") not in ("", "0")
        for flag, variable in ((_DEBUG, "LMEEC_DEBUG"), (_QUIET, "LMEEC_QUIET"))
    )
    words = [word for word in options if word not in (_DEBUG, _QUIET)] + words[len(options) :]
    try:
        from lmeec_cli.terminal import begin, name_standard_output

        begin(quiet=quiet)
        from lmeec_cli.app import app

        name_standard_output()
        _check_working_directory()
        try:
            app(words, prog_name="lmeec")
        except SystemExit as end:
            sys.stdout.flush()
            return end.code
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # panics of libraries written in Rust are no `Exception`
        from lmeec_cli.failure import told_failure

        return told_failure(error, words, debug=debug)
    return 0


def _check_working_directory() -> None:
    """Refuse to run in a folder that is gone: what torch loads ends the process there, without a word of why."""
    from lmeec.errors import DataError

    try:
        os.getcwd()  # noqa: PTH109 - before anything is imported that is not needed
    except FileNotFoundError as error:
        raise DataError("the working directory was removed: change to another and run again") from error
