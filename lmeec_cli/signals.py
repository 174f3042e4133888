"""What Ctrl-C and the signals of batch systems mean for a run."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from lmeec_cli.terminal import echo_in_a_signal

if TYPE_CHECKING:
    from lmeec.runs.stop import Stop


class Stopped(BaseException):
    """The user wants to stop at once. No `Exception`, so that nothing takes it for a failed job."""


@contextmanager
def stopping(
    stop: Stop,
    saying: str = "stopping when the takes at hand are finished; Ctrl-C again stops at once",
    gentle: Collection[int] = (signal.SIGINT,),
) -> Iterator[None]:
    """Ctrl-C lets jobs at hand finish; a second one, SIGTERM and SIGHUP stop at once.

    Args:
        stop: is asked to stop.
        saying: what to tell the user then.
        gentle: signals that let jobs at hand finish.

    Raises:
        Stopped: on a signal to stop at once.
    """

    def first(number: int, _frame: FrameType | None) -> None:
        if stop.requested or number not in gentle:
            raise Stopped
        stop.request()
        echo_in_a_signal(saying)

    before = {number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
