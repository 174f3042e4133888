"""Time and memory of `lmeec clips` on many descriptions: `python -m benchmarks.clips [--descriptions N]`, JSON out.

Takes have five cameras each, whose videos are links to one file, as long as the data set's are on average.
Each command runs in a process of its own, whose largest memory is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.commands import measure
from lmeec.synthetic.video import data_set_video

CAMERAS = ("aria01_214-1", "cam01", "cam02", "cam03", "cam04")
SECONDS, FPS, SIDE = 145, 30, 32
ANNOTATORS = 2
VERBS = ("picks up", "puts down", "turns", "wipes", "opens", "closes", "looks at", "moves")
THINGS = ("blue mug", "pan", "cutting board", "knife", "bottle", "cloth", "spoon", "wheel", "wrench", "tyre lever")
SCENARIOS = ("Cooking", "Bike Repair", "Health", "Music", "Basketball")

COMMANDS = {
    "clips": "clips {takes} --out {folder}/clips.parquet --overwrite --json",
    "clips, duplicates merged": "clips {takes} --out {folder}/merged.parquet --merge-duplicates overlapping --json",
    "instruct": "clips instruct {folder}/clips.parquet --out {folder}/data.json --json",
}


def make_takes(root: Path, descriptions: int, a_take: int) -> None:
    """A data set of so many descriptions."""
    video = root / "video.mp4"
    root.mkdir()
    with data_set_video(video, (SIDE, SIDE), FPS) as add:
        for number in range(SECONDS * FPS):
            add(np.full((SIDE, SIDE, 3), number % 256, np.uint8))
    draw = random.Random(0)
    takes, annotations = [], {}
    for number in range(-(-descriptions // a_take)):
        uid, name = f"{number:08d}-take", f"take_{number:06d}"
        folder = root / "takes" / name / "frame_aligned_videos"
        folder.mkdir(parents=True)
        for camera in CAMERAS:
            os.link(video, folder / f"{camera}.mp4")
        scenario = SCENARIOS[number % len(SCENARIOS)]
        take = {"take_uid": uid, "take_name": name, "root_dir": f"takes/{name}", "parent_task_name": scenario}
        takes.append(take | {"frame_rate": FPS})
        annotations[uid] = [
            {"annotator_id": f"a{one}", "rejected": False, "descriptions": one_pass(draw, a_take // ANNOTATORS)}
            for one in range(ANNOTATORS)
        ]
    (root / "annotations").mkdir()
    (root / "takes.json").write_text(json.dumps(takes))
    (root / "annotations" / "atomic_descriptions_train.json").write_text(json.dumps({"annotations": annotations}))


def one_pass(draw: random.Random, count: int) -> list[dict[str, object]]:
    return [
        {
            "text": f"C {draw.choice(VERBS)} the {draw.choice(THINGS)} with the {draw.choice(('left', 'right'))} hand.",
            "timestamp": time_stamp,
            "subject": "C",
            "ego_visible": draw.random() < 0.9,
            "best_exo": {"cam_id": draw.choice(CAMERAS[1:])},
            "unsure": draw.random() < 0.05,
        }
        for time_stamp in sorted(draw.uniform(0, SECONDS) for _ in range(count))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--descriptions", type=int, default=1_000_000)
    parser.add_argument("--a-take", type=int, default=200)
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_takes(folder / "data", arguments.descriptions, arguments.a_take)
        report: dict[str, object] = {
            "descriptions": arguments.descriptions,
            "takes": -(-arguments.descriptions // arguments.a_take),
            "cores": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 2),
        }
        for command in arguments.commands:
            report[command] = measure(shlex.split(COMMANDS[command].format(takes=folder / "data", folder=folder)))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
