"""What a run with many parts costs besides its predictions: status, going on, and joining them.

    python -m benchmarks.many_parts                      # 50,000 parts on disk
    python -m benchmarks.many_parts --links              # the same without the join, in a minute
    python -m benchmarks.many_parts --parts 300 --s3     # in S3, of a server of moto on this machine

Each part has the rows of a take in one direction, 20 by default, with real masks. Times are of the processor too, as
the machine may do other work. Requests to S3 are counted at the server. `--links` makes parts that are links to
one, quickly: what is asked for status and for going on is their names, sizes and times alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from benchmarks.million_rows import one_take
from benchmarks.object_store import BUCKET, served
from lmeec.files.stamps import stamp_of, stamps_in
from lmeec.runs.heartbeat import PLAN_FILE, RunRecord
from lmeec.runs.index import RunIndex
from lmeec.runs.inventory import Inventory
from lmeec.runs.jobs import Job, Share, remaining
from lmeec.runs.progress import Progress
from lmeec.runs.status import read_status
from lmeec.tables import Output, PartWriter, RunMetadata, merge_parts, part_path, read
from lmeec.tables.coverage import Coverage, Source
from lmeec.tables.index import index_files
from lmeec.tables.notes import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")

RUN = RunMetadata("generated", {"ego2exo": "0"}, {}, {}, "0")
CAMERAS = ("cam01", "cam02", "cam03", "cam04")
SOURCES = {name: Source("full", 123_456_789, content="0" * 16) for name in ("aria01", *CAMERAS)}


def job_of(index: int) -> Job:
    shares = tuple(Share(name, 100, 100, ("aria01",)) for name in CAMERAS)
    uid = f"{index:08x}-0000-0000-0000-000000000000"
    return Job(index, uid, f"lab_cooking_{index:06d}", "ego2exo", shares, 100, sources=SOURCES)


@dataclass
class Counted:
    """Parquet files that were opened, and requests, since the last time.

    Attributes:
        opened: how often a file was opened.
        requests: of a store, at its server.
    """

    opened: int = 0
    requests: Callable[[], int] = lambda: 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=50_000)
    parser.add_argument("--rows", type=int, default=20, help="of each part")
    parser.add_argument("--s3", action="store_true", help="in a store on this machine")
    parser.add_argument("--links", action="store_true", help="parts that are links to one, which are not joined")
    parser.add_argument("--folder", type=Path, help="where they are made; default the usual one for such files")
    arguments = parser.parse_args()
    with ExitStack() as ending:
        counted = Counted()
        if arguments.s3:
            traffic = ending.enter_context(served(0.0))
            counted.requests = lambda: len(traffic.requests)
            out = Output.of(f"{BUCKET}/results.parquet")
        else:
            folder = ending.enter_context(tempfile.TemporaryDirectory(dir=arguments.folder))
            out = Output.of(Path(folder, "results.parquet"))
        real = read.pq.ParquetFile

        def opening(*given: object, **options: object) -> object:
            counted.opened += 1
            return real(*given, **options)

        read.pq.ParquetFile = opening
        report = measure(out, arguments, counted)
        about = {"parts": arguments.parts, "rows_a_part": arguments.rows, "where": "S3" if arguments.s3 else "disk"}
        print(json.dumps(about | report | {"load_average": round(os.getloadavg()[0], 2)}, indent=2), flush=True)


def measure(out: Output, arguments: argparse.Namespace, counted: Counted) -> dict[str, object]:
    jobs = [job_of(index) for index in range(arguments.parts)]
    report: dict[str, object] = {}

    def timed(name: str, work: Callable[[], Result]) -> Result:
        counted.opened, before = 0, counted.requests()
        start, used = time.perf_counter(), time.process_time()
        result = work()
        report[name] = {
            "seconds": round(time.perf_counter() - start, 2),
            "cpu_seconds": round(time.process_time() - used, 2),
            "files_opened": counted.opened,
            "requests": counted.requests() - before,
            "largest_memory_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        return result

    index = RunIndex(out.parts, RUN, print)
    index.begin({})
    for note in (make_links if arguments.links else make_parts)(out, jobs, arguments.rows):
        index.add(note)
    index.close()
    with RunRecord(out.parts, Progress(), print) as record:
        record.plan(jobs)
    files = index_files(out.parts)
    report["index_MB"] = round(sum(stamp_of(path).size for path in files) / 1e6, 1)
    report["plan_MB"] = round(stamp_of(out.parts / PLAN_FILE).size / 1e6, 1)
    assert timed("status", lambda: read_status(out)).done == len(jobs)
    timed("go on by index", lambda: go_on(out, jobs))
    if arguments.links:
        return report
    for path in index_files(out.parts):
        path.unlink()
    inventory = timed("go on by parts", lambda: go_on(out, jobs))
    infos = list(inventory.parts())
    timed("join", lambda: merge_parts(infos, out))
    return report


def go_on(out: Output, jobs: list[Job]) -> Inventory:
    """What a run that goes on does before it gives out a job."""
    index = RunIndex(out.parts, RUN, print)
    inventory = Inventory(out, RUN, jobs, index)
    inventory.bring_up_to_date(print)
    index.begin(stamps_in(out.parts))
    assert not list(remaining(jobs, inventory.done()))
    index.close()
    return inventory


def make_parts(out: Output, jobs: list[Job], rows: int) -> Iterator[Note | None]:
    """Write a part a job."""
    take = one_take().slice(0, rows)
    place = take.schema.get_field_index("take_uid")
    for job in jobs:
        own = take.set_column(place, take.schema.field(place), pa.array([job.take_uid] * rows))
        with PartWriter(out.parts, RUN, job.take_uid, job.direction, None, coverage_of(job)) as part:
            part.write_batch(own)
        yield part.note


def make_links(out: Output, jobs: list[Job], rows: int) -> Iterator[Note]:
    """Write one part and give it the names of all, as what is asked of them is size and time alone."""
    (first,) = make_parts(out, jobs[:1], rows)
    assert first is not None
    whole = out.parts / first.name
    for job in jobs:
        path = part_path(out.parts, job.take_uid, job.direction)
        if path != whole:
            os.link(whole, path)
        yield Note(path.name, stamp_of(path), job.take_uid, job.direction, rows, first.run, coverage_of(job))


def coverage_of(job: Job) -> Coverage:
    return Coverage(tuple(sorted(job.pairs)), SOURCES)


if __name__ == "__main__":
    main()
