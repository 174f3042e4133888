"""A part whose rows are damaged is set aside where a run goes on, and what it held is done again."""

from __future__ import annotations

import pytest

from lmeec.config import ExecutionConfig, PredictConfig
from lmeec.runs.events import JobFinished, Notice
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import predict, predict_job
from lmeec.runs.stop import Stop
from lmeec.runs.worker import Worker
from lmeec.tables import list_parts, parts_directory, read_part_info, read_results
from tests.support.tables import assert_same, names_left
from tests.support.watching import Watcher


@pytest.fixture
def run(tiny, rendered_takes):
    def go(out, watcher=None, stop=None, **changes):
        config, execution = PredictConfig(objects=(), **changes), ExecutionConfig(device="cpu")
        job = predict_job(
            rendered_takes.root, out, checkpoint=[str(tiny)], config=config, execution=execution,
            names=rendered_takes.names[:1],
        )  # fmt: skip
        return predict(job, InProcess(Worker(job.sources, job.config, job.execution)), watcher, stop)

    return go


def flip(path):
    """Change one byte of a column's values in the middle of a part; what it says of itself stays as it is."""
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    data[(len(data) - footer) // 2] ^= 0x10
    path.write_bytes(data)


def test_a_run_goes_on_where_a_part_is_damaged_and_its_table_is_the_same(run, tmp_path):
    run(tmp_path / "whole.parquet")
    out, stop = tmp_path / "results.parquet", Stop()
    stopped = run(out, Watcher(lambda event: stop.request() if isinstance(event, JobFinished) else None), stop)
    assert stopped.waiting == 1
    (part,) = list_parts(parts_directory(out))
    flip(part)
    read_part_info(part)

    again = Watcher()
    done = run(out, again)
    assert done.parts == 2
    assert done.resumed == 0
    (said,) = [notice.text for notice in again.of(Notice) if "damaged" in notice.text]
    assert "1 parts of an earlier run are damaged; they are set aside, and what they held is done again" in said
    assert f"{part}.damaged" in said
    assert_same(read_results(out), read_results(tmp_path / "whole.parquet"))
    assert names_left(tmp_path) == ["results.parquet", "whole.parquet"]


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing else"])
def test_what_is_no_part_at_all_is_set_aside_too(run, tmp_path, content):
    out, stop = tmp_path / "results.parquet", Stop()
    stop.request()
    run(out, stop=stop)
    folder = parts_directory(out)
    folder.mkdir(exist_ok=True)
    (folder / "other.ego2exo.part.parquet").write_bytes(content)
    again = Watcher()
    assert run(out, again, stop).waiting == 2
    assert any("other.ego2exo.part.parquet.damaged" in notice.text for notice in again.of(Notice))
    assert not list_parts(folder)
