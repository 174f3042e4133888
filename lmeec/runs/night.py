"""How a run went, so far or to its end, by its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmeec.analysis.night import Night, sum_up
from lmeec.errors import OutputError
from lmeec.tables import Output
from lmeec.tables.trace import read_trace

if TYPE_CHECKING:
    from lmeec.runs.status import RunStatus


def night_of(found: RunStatus) -> Night:
    """Read and sum up the trace of a run.

    Args:
        found: how far it is.

    Raises:
        OutputError: it has none, or it cannot be read.
    """
    output = Output.of(found.out)
    trace = read_trace(output)
    if not trace.sessions:
        raise OutputError(
            f"{found.out}: there is no trace of how it was made ({output.trace} is not there): earlier versions of "
            "lmeec kept none"
        )
    heard = None if found.heartbeat is None else found.heartbeat.time
    return sum_up(trace.settled(running=found.state == "running"), heard)
