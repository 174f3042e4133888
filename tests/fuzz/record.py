"""What runs found so far, in one JSON file that every run adds to; and the inputs that failed, beside it.

Everything is by reader and seed, as the inputs of a seed are tried in order from number 0: of two records, that which
is further with a seed holds what the other does. So records of several machines are merged without counting an input
twice, however often that is done.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.readers import Reader

KEPT = ROOT / "tests" / "fuzz" / "campaign.json"
"""The record that the repository keeps."""

Content = dict[str, Any]


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
        before: A record that a new one goes on from.
    """

    def __init__(self, folder: Path, before: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "fuzz.json"
        if before is not None and before.exists() and not self.path.exists():
            shutil.copyfile(before, self.path)

    def read(self) -> Content:
        """All of it."""
        return read(self.path)

    def next_number(self, reader: str, seed: int) -> int:
        """The first input of a seed that was not tried."""
        number: int = self.read()["readers"].get(reader, {}).get(str(seed), {}).get("next", 0)
        return number

    def count(self, told: dict[str, Any], seed: int, commit: str) -> None:
        """Add what a worker told of inputs."""
        with self._changed() as content:
            one = _of_seed(content, told["reader"], seed)
            for name in ("inputs", "refused", "failed"):
                one[name] += told[name]
            one["cpu_s"] = round(one["cpu_s"] + told["cpu"], 3)
            one["peak_mb"] = max(one["peak_mb"], told["peak"] >> 20)
            slow = {"seconds": round(told["slowest"][0], 4), "number": told["slowest"][1]}
            one["slowest"] = max(one["slowest"], slow, key=lambda entry: entry["seconds"])
            one["next"] = max(one["next"], told["next"])
            one["commits"][commit] = one["commits"].get(commit, 0) + told["inputs"]

    def skip(self, reader: str, seed: int, past: int, commit: str) -> None:
        """Do not try again what ended a worker."""
        with self._changed() as content:
            one = _of_seed(content, reader, seed)
            one["inputs"] += 1
            one["failed"] += 1
            one["next"] = max(one["next"], past)
            one["commits"][commit] = one["commits"].get(commit, 0) + 1

    def add_failure(self, reader: Reader, found: Found, data: bytes | None) -> None:
        """Add a failure; the first of its kind with its input."""
        key = f"{reader.name}: {found.kind}: {found.where}"
        with self._changed() as content:
            known = content["failures"].setdefault(
                key,
                {
                    "reader": reader.name,
                    "kind": found.kind,
                    "where": found.where,
                    "said": found.said,
                    "first": {"seed": found.seed, "number": found.number, "commit": found.commit},
                    "seeds": {},
                    "file": None,
                },
            )
            known["seeds"][str(found.seed)] = known["seeds"].get(str(found.seed), 0) + 1
            known["found_at"] = _now()
            if data is not None and known["file"] is None:
                known["file"] = self._keep(reader, data)

    def mended(self, key: str, commit: str) -> None:
        """A failure's input has it no more."""
        with self._changed() as content:
            content["failures"][key] |= {"mended": commit, "mended_at": _now()}

    def failing(self, entry: dict[str, Any]) -> Path:
        """Where the input of a failure is."""
        return self.folder / "failing" / (entry["file"] or "")

    def _keep(self, reader: Reader, data: bytes) -> str:
        name = f"{reader.name}.{hashlib.sha256(data).hexdigest()[:8]}{Path(reader.place).suffix}"
        place = self.folder / "failing" / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        return name

    @contextmanager
    def _changed(self) -> Iterator[Content]:
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self.read()
            yield content
            _write(self.path, content)


def read(path: Path) -> Content:
    """A record; an empty one if there is none."""
    if not path.exists():
        return {"readers": {}, "failures": {}}
    content: Content = json.loads(path.read_text())
    return content


def keep(record: Record, kept: Path = KEPT) -> None:
    """Merge a record into that which the repository keeps."""
    _write(kept, merged(read(kept), record.read()))


def merged(one: Content, other: Content) -> Content:
    """What two records found together."""
    readers = {
        name: _merged_seeds(one["readers"].get(name, {}), other["readers"].get(name, {}))
        for name in sorted(one["readers"].keys() | other["readers"].keys())
    }
    failures = {
        key: _merged_failure(one["failures"].get(key), other["failures"].get(key))
        for key in sorted(one["failures"].keys() | other["failures"].keys())
    }
    return {"readers": readers, "failures": failures}


def _merged_seeds(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {seed: [tried[seed] for tried in (one, other) if seed in tried] for seed in one.keys() | other.keys()}
    return {seed: max(both[seed], key=lambda tried: tried["next"]) for seed in sorted(both, key=int)}


def _merged_failure(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any]:
    if one is None or other is None:
        return dict(one or other or {})
    counts = {
        seed: max(one["seeds"].get(seed, 0), other["seeds"].get(seed, 0))
        for seed in sorted(one["seeds"].keys() | other["seeds"].keys(), key=int)
    }
    found_at = max(one["found_at"], other["found_at"])
    last_mend = max((one, other), key=lambda entry: entry.get("mended_at", ""))
    mend = {name: last_mend[name] for name in ("mended", "mended_at") if name in last_mend}
    return {**other, **one, "seeds": counts, "found_at": found_at, **mend, "file": one["file"] or other["file"]}


def is_open(failure: dict[str, Any]) -> bool:
    """Whether a failure was found and not mended since."""
    return "mended_at" not in failure or bool(failure["mended_at"] < failure["found_at"])


def _of_seed(content: Content, reader: str, seed: int) -> dict[str, Any]:
    empty = {
        "inputs": 0, "refused": 0, "failed": 0, "cpu_s": 0.0, "peak_mb": 0, "slowest": {"seconds": 0.0, "number": 0},
        "next": 0, "commits": {},
    }  # fmt: skip
    found: dict[str, Any] = content["readers"].setdefault(reader, {}).setdefault(str(seed), empty)
    return found


def _write(path: Path, content: Content) -> None:
    aside = path.with_suffix(".aside")
    aside.write_text(json.dumps(content, indent=1) + "\n")
    aside.replace(path)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
