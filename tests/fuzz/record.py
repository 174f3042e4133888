"""What runs found so far, in one JSON file that every run adds to; and the inputs that failed, beside it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.readers import Reader

_SLOWEST_KEPT = 3


@dataclass(frozen=True)
class Found:
    """A failure, and the input that had it."""

    kind: str
    where: str
    said: str
    seed: int
    number: int
    commit: str


class Record:
    """The file, which several runs may add to at once.

    Args:
        folder: Holds it, and a folder of failing inputs.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "fuzz.json"

    def read(self) -> dict[str, Any]:
        """All of it."""
        if not self.path.exists():
            return {"inputs": 0, "readers": {}, "failures": {}}
        content: dict[str, Any] = json.loads(self.path.read_text())
        return content

    def next_number(self, reader: str, seed: int) -> int:
        """The first input of a seed that was not tried."""
        number: int = self.read()["readers"].get(reader, {}).get("seeds", {}).get(str(seed), 0)
        return number

    def count(self, told: dict[str, Any], seed: int, commit: str) -> None:
        """Add what a worker told of inputs."""
        with self._changed() as content:
            one = _reader(content, told["reader"])
            for name in ("inputs", "refused", "failed"):
                one[name] += told[name]
            one["cpu_s"] = round(one["cpu_s"] + told["cpu"], 3)
            one["peak_mb"] = max(one["peak_mb"], told["peak"] >> 20)
            slow = [
                *one["slowest"],
                {"seconds": round(told["slowest"][0], 4), "seed": seed, "number": told["slowest"][1]},
            ]
            one["slowest"] = sorted(slow, key=lambda entry: -entry["seconds"])[:_SLOWEST_KEPT]
            one["seeds"][str(seed)] = max(one["seeds"].get(str(seed), 0), told["next"])
            one["commits"][commit] = one["commits"].get(commit, 0) + told["inputs"]
            content["inputs"] = sum(entry["inputs"] for entry in content["readers"].values())

    def skip(self, reader: str, seed: int, past: int) -> None:
        """Do not try again what ended a worker."""
        with self._changed() as content:
            one = _reader(content, reader)
            one["inputs"] += 1
            one["failed"] += 1
            one["seeds"][str(seed)] = max(one["seeds"].get(str(seed), 0), past)

    def add_failure(self, reader: Reader, found: Found, data: bytes | None) -> None:
        """Add a failure; the first of its kind with its input."""
        key = f"{reader.name}: {found.kind}: {found.where}"
        with self._changed() as content:
            known = content["failures"].get(key)
            if known is None:
                known = content["failures"][key] = {
                    "reader": reader.name,
                    "kind": found.kind,
                    "where": found.where,
                    "said": found.said,
                    "first": {"seed": found.seed, "number": found.number, "commit": found.commit},
                    "count": 0,
                    "file": None,
                }
            known["count"] += 1
            known["last_commit"] = found.commit
            known.pop("mended", None)
            if data is not None and known["file"] is None:
                known["file"] = str(self._keep(reader, data))

    def mended(self, key: str, commit: str) -> None:
        """A failure's input has it no more."""
        with self._changed() as content:
            content["failures"][key]["mended"] = commit

    def _keep(self, reader: Reader, data: bytes) -> Path:
        place = (
            self.folder / "failing" / f"{reader.name}.{hashlib.sha256(data).hexdigest()[:8]}{Path(reader.place).suffix}"
        )
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        return place

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self.read()
            yield content
            content["changed"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            aside = self.path.with_suffix(".aside")
            aside.write_text(json.dumps(content, indent=1))
            aside.replace(self.path)


def _reader(content: dict[str, Any], name: str) -> dict[str, Any]:
    empty = {
        "inputs": 0, "refused": 0, "failed": 0, "cpu_s": 0.0, "peak_mb": 0, "slowest": [], "seeds": {}, "commits": {},
    }  # fmt: skip
    found: dict[str, Any] = content["readers"].setdefault(name, empty)
    return found


def table(content: dict[str, Any]) -> str:
    """The record as a table in Markdown, by reader, with the failures that are not mended below."""
    lines = [
        "| reader | inputs | refused | CPU s | inputs a CPU s | slowest s | peak MB | failures | open |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in sorted(content["readers"].items()):
        failures = [entry for entry in content["failures"].values() if entry["reader"] == name]
        still = [entry for entry in failures if "mended" not in entry]
        slowest = max((entry["seconds"] for entry in one["slowest"]), default=0.0)
        rate = one["inputs"] / one["cpu_s"] if one["cpu_s"] else 0
        lines.append(
            f"| {name} | {one['inputs']:,} | {one['refused']:,} | {one['cpu_s']:.0f} | {rate:,.0f} | {slowest:.2f} | "
            f"{one['peak_mb']} | {len(failures)} | {len(still)} |"
        )
    lines += [f"| all | {content['inputs']:,} | | | | | | {len(content['failures'])} | |", ""]
    for key, entry in sorted(content["failures"].items()):
        if "mended" not in entry:
            first = entry["first"]
            lines.append(
                f"- {key} ({entry['count']}x; seed {first['seed']}, number {first['number']}): {entry['said'][:160]!r}"
            )
    return "\n".join(lines)
