"""Time and memory of the analysis of a large table: `python -m benchmarks.million_rows [--rows N]`, JSON out.

The table is made of a few thousand frames with real masks and their true metrics, repeated over takes; each command
runs in a process of its own, whose largest memory is measured. `--partitioned` makes a folder with a file a take, as
`lmeec predict --out DIR/` does; beyond `--distinct` takes its files are copies of others, as what scoring needs
depends on their number alone.

    python -m benchmarks.million_rows --rows 10000000 --partitioned --commands score
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.commands import measure
from lmeec.masks import RunLengthMask
from lmeec.tables import (
    PartWriter,
    ResultRow,
    RunMetadata,
    list_parts,
    merge_parts,
    parts_directory,
    remove_parts,
    rows_to_batch,
)
from lmeec.tables.metadata import CONTENTS_KEY
from lmeec.tables.read import result_files
from tests.support.places import ASSETS

REFERENCE = ASSETS / "reference/metrics.json"
SCENARIOS = ("Cooking", "Bike Repair", "Health", "Music", "Basketball")
ROWS_A_TAKE = 5_000
OBJECTS, CAMERAS = 5, 4

COMMANDS = {
    "score": "score {table} --json",
    "score by everything": "score {table} --json --by scenario --by object --by size --by length --by camera",
    "compare": "score {table} {table} --json --by scenario",
    "calibrate": "calibrate {table} --out {folder}/calibration.json --overwrite --json",
    "score with calibration": "score {table} --calibration {folder}/calibration.json --json",
    "report": "report {table} --out {folder}/report.html",
    "export challenge": "export {table} --format challenge --out {folder}/submission.json --overwrite",
    "export coco": "export {table} --format coco --out {folder}/coco --overwrite",
}


def one_take() -> pa.RecordBatch:
    """Frames of one take: every track goes through the reference's exo masks; every fifth frame's object is absent."""
    pairs = [pair for pair in json.loads(REFERENCE.read_text())["pairs"] if tuple(pair["size"]) == (270, 480)]
    random = np.random.default_rng(0)
    frames = ROWS_A_TAKE // (OBJECTS * CAMERAS)
    rows = []
    for track in range(OBJECTS * CAMERAS):
        for step in range(frames):
            pair = pairs[int(random.integers(len(pairs)))]
            seen = step % 5 > 0
            rows.append(
                ResultRow(
                    take_uid="take",
                    take_name="take",
                    scenario="scenario",
                    object=f"object_{track // CAMERAS}",
                    query_cam="aria01_214-1",
                    target_cam=f"cam{track % CAMERAS + 1:02d}",
                    direction="ego2exo",
                    frame=30 * step,
                    step=step,
                    mask=RunLengthMask(270, 480, pair["pred"]),
                    object_score=float(random.normal(2 if seen else 0, 2)),
                    predicted_iou=float(random.uniform()),
                    gt_state="visible" if seen else "absent",
                    gt=RunLengthMask(270, 480, pair["gt"]) if seen else None,
                )
            )
    return rows_to_batch(rows)


def make_folder(rows: int, distinct: int, folder: Path) -> Path:
    """A partitioned table, of which so many takes are drawn and the others are copies."""
    takes = max(rows // ROWS_A_TAKE, 2)
    table = make_table(min(takes, distinct) * ROWS_A_TAKE, folder, partitioned=True)
    for path in sorted(table.iterdir()):
        whole = pq.read_table(path)
        about = {**whole.schema.metadata, CONTENTS_KEY: json.dumps({"count": takes, "digest": "0"}).encode()}
        pq.write_table(whole.replace_schema_metadata(about), path, compression="zstd")
    drawn = sorted(table.iterdir())
    for number in range(takes - len(drawn)):
        shutil.copy(drawn[number % len(drawn)], table / f"copy-{number:06d}.ego2exo.parquet")
    return table


def make_table(rows: int, folder: Path, *, partitioned: bool = False) -> Path:
    table = folder / ("results" if partitioned else "results.parquet")
    run = RunMetadata("generated", {"ego2exo": "0"}, {}, {}, "0")
    take = one_take()
    for number in range(rows // take.num_rows):
        changes = {"take_uid": f"take-{number:06d}", "scenario": SCENARIOS[number % len(SCENARIOS)]}
        batch = take
        for name, value in changes.items():
            place = take.schema.get_field_index(name)
            batch = batch.set_column(place, take.schema.field(place), pa.array([value] * take.num_rows))
        with PartWriter(parts_directory(table), run, changes["take_uid"], "ego2exo") as part:
            part.write_batch(batch)
    parts = parts_directory(table)
    merge_parts(list_parts(parts), f"{table}/" if partitioned else table)
    remove_parts(parts)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help=f"in takes of {ROWS_A_TAKE:,}, two at least")
    parser.add_argument("--partitioned", action="store_true", help="a folder, with a file a take")
    parser.add_argument("--distinct", type=int, default=40, help="takes of it that are drawn")
    parser.add_argument("--folder", type=Path, help="where it is made; default the usual one for such files")
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        if arguments.partitioned:
            table = make_folder(arguments.rows, arguments.distinct, folder)
        else:
            table = make_table(arguments.rows, folder)
        report: dict[str, object] = {
            "rows": arguments.rows,
            "files": len(result_files(table)),
            "table_MB": round(sum(one.stat().st_size for one in result_files(table)) / 1e6),
            "cores": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2),
        }
        for command in arguments.commands:
            report[command] = measure(shlex.split(COMMANDS[command].format(table=table, folder=folder)))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
