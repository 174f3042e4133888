"""What a run says of itself may be damaged: its status is told from the rest."""

from pathlib import Path

import msgspec
import pytest

from lmeec.runs.heartbeat import HEARTBEAT_FILE, PLAN_FILE, Plan
from lmeec.runs.status import read_status
from lmeec.tables import Output


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 5000, b'{"state": "asleep"}'])
def test_a_damaged_progress_file_does_not_break_the_status(tmp_path: Path, content: bytes) -> None:
    out = Output.of(tmp_path / "results.parquet")
    parts = Path(str(out.parts))
    parts.mkdir()
    (parts / PLAN_FILE).write_bytes(msgspec.json.encode(Plan([])))
    (parts / HEARTBEAT_FILE).write_bytes(content)
    status = read_status(out.path)
    assert (status.state, status.jobs, status.heartbeat) == ("stopped", 0, None)
