"""Start-up with a manifest of thousands of takes: CPU seconds and peak of memory, each form in a process of its own.

    python -m benchmarks.manifest --takes 10000

Every take has four cameras whose videos are there (as empty files), and COCO masks of one object in ten frames of the
first. `listed` is what passes until all takes are known and the first is read, with importing; `planned` until
`lmeec predict` knows all jobs, for which all masks are read.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CAMERAS = ("head", "side", "window", "door")
HEIGHT, WIDTH = 1080, 1920


def write_takes(root: Path, takes: int) -> list[dict[str, object]]:
    """Write the files of all takes, and give their entries."""
    masks = {
        "images": [{"id": n, "file_name": f"{30 * n:06d}.jpg", "height": HEIGHT, "width": WIDTH} for n in range(10)],
        "annotations": [
            {
                "image_id": n,
                "category_id": 1,
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": [n, 99, HEIGHT * WIDTH - n - 99]},
            }
            for n in range(10)
        ],
        "categories": [{"id": 1, "name": "cup"}],
    }
    text = json.dumps(masks)
    entries: list[dict[str, object]] = []
    for number in range(takes):
        folder = root / f"take{number:05d}"
        folder.mkdir()
        (folder / "head.json").write_text(text)
        cameras = []
        for name in CAMERAS:
            (folder / f"{name}.mp4").touch()
            view = "ego" if name == "head" else "exo"
            own = {"masks": [{"coco": f"{folder.name}/head.json"}]} if name == "head" else {"offset_frames": 12}
            cameras.append({"name": name, "view": view, "video": f"{folder.name}/{name}.mp4", **own})
        entries.append({"name": f"kitchen {number}", "scenario": "Cooking", "frame_rate": 30.0, "cameras": cameras})
    return entries


def write_manifests(root: Path, entries: list[dict[str, object]]) -> list[Path]:
    """Write them as YAML, in the style that people have, and as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import yaml

    with (root / "recordings.yaml").open("w") as file:
        yaml.dump({"takes": entries}, file, Dumper=yaml.CSafeDumper, sort_keys=False)
    pq.write_table(pa.Table.from_pylist(entries), root / "recordings.parquet")
    return [root / "recordings.yaml", root / "recordings.parquet"]


def start_up(path: Path) -> dict[str, float]:
    """Measure in this process, since it began."""
    from lmeec.data.takes import find_takes
    from lmeec.runs.jobs import jobs_of

    def so_far() -> tuple[float, float]:
        return round(time.process_time(), 2), round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3)

    takes = find_takes(path)
    assert takes[0].objects == ("cup",)
    listed = so_far()
    assert takes.annotation_digest
    jobs = list(jobs_of(takes, ("ego2exo", "exo2ego")))
    assert len(jobs) == 2 * len(takes)
    planned = so_far()
    return dict(
        zip(("listed_cpu_s", "listed_peak_gb", "planned_cpu_s", "planned_peak_gb"), listed + planned, strict=True)
    )


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--takes", type=int, default=10_000)
    parser.add_argument("--only", type=Path, help="measure one manifest in this process")
    wanted = parser.parse_args()
    if wanted.only is not None:
        print(json.dumps(start_up(wanted.only)))
        return
    with tempfile.TemporaryDirectory() as folder:
        manifests = write_manifests(Path(folder), write_takes(Path(folder), wanted.takes))
        found = {}
        for path in manifests:
            call = [sys.executable, "-m", "benchmarks.manifest", "--only", str(path)]
            done = subprocess.run(call, check=True, capture_output=True, text=True)
            found[path.suffix.removeprefix(".")] = {"bytes": path.stat().st_size, **json.loads(done.stdout)}
        print(json.dumps({"takes": wanted.takes, "cameras": len(CAMERAS), **found}, indent=2))


if __name__ == "__main__":
    main()
