"""Time and memory of the analysis of a large table: `python -m benchmarks.million_rows [--rows N]`, JSON out.

The table is made of a few thousand frames with real masks and their true metrics, repeated over takes; each command
runs in a process of its own, whose largest memory is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.commands import measure
from lmeec.masks import RunLengthMask
from lmeec.tables import (
    PartWriter,
    ResultRow,
    RunMetadata,
    list_parts,
    merge_parts,
    parts_directory,
    rows_to_batch,
)
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


def make_table(rows: int, folder: Path) -> Path:
    table = folder / "results.parquet"
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
    merge_parts(list_parts(parts_directory(table)), table)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help=f"in takes of {ROWS_A_TAKE:,}, two at least")
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = make_table(arguments.rows, folder)
        report: dict[str, object] = {
            "rows": arguments.rows,
            "table_MB": round(table.stat().st_size / 1e6),
            "cores": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2),
        }
        for command in arguments.commands:
            report[command] = measure(shlex.split(COMMANDS[command].format(table=table, folder=folder)))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
