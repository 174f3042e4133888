"""Run all benchmarks, one after the other, each in a process of its own: `python -m benchmarks`.

A table of their figures goes to standard error as they come, JSON to standard output. What fails is named with its exit
status, and the others go on; the exit status is 1 then. A target that is missed is told and is no failure. Figures of
time hold on a machine that does nothing else.

    python -m benchmarks --quick                 # small settings: whether all of them work, in minutes
    python -m benchmarks                         # as published, hours
    python -m benchmarks --only network scheduling --out figures.json
    python -m benchmarks --list
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.suite import SUITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.suite import Benchmark

WIDTH = 160
SAID = 160
"""Characters of what a failed benchmark said last."""


def main(arguments: Sequence[str] | None = None, suite: Sequence[Benchmark] = SUITE) -> int:
    """Run them; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small settings")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these; a first word takes all that begin with it")
    parser.add_argument("--list", action="store_true", help="show the commands, run nothing")
    parser.add_argument("--minutes", type=float, default=120, help="after which a benchmark is ended")
    parser.add_argument("--out", type=Path, help="write the JSON there")
    given = parser.parse_args(arguments)
    chosen = [one for one in suite if given.only is None or not {one.name, one.name.split()[0]}.isdisjoint(given.only)]
    if not chosen:
        parser.error(f"there is none of these; there are {', '.join(one.name for one in suite)}")
    if given.list:
        for one in chosen:
            print(command(one, small=given.quick))
        return 0
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH)
    results = []
    for number, one in enumerate(chosen, 1):
        console.print(f"{number} of {len(chosen)}: {command(one, small=given.quick)}", style="dim", highlight=False)
        results.append(run(one, small=given.quick, limit_s=60 * given.minutes))
    console.print(table(results))
    about = {"quick": given.quick, "cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 2)}
    text = json.dumps(about | {"benchmarks": results}, indent=2)
    if given.out is None:
        print(text)
    else:
        given.out.write_text(text)
    return int(any(result["status"] != 0 for result in results))


def command(one: Benchmark, *, small: bool) -> str:
    """What repeats a benchmark."""
    return shlex.join(["python", *one.words(small=small)])


def run(one: Benchmark, *, small: bool, limit_s: float) -> dict[str, object]:
    """Run a benchmark; what became of it, its figures and all that it printed."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, *one.words(small=small)], capture_output=True, text=True, check=False, timeout=limit_s
        )
        status, out, said = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        status, out, said = -1, "", f"ended after {limit_s / 60:g} minutes"
    report = last_of(out) if status == 0 else None
    if status == 0 and report is None:
        status, said = -1, "printed no JSON"
    values = [(figure, figure.of(report)) for figure in one.figures]
    return {
        "name": one.name,
        "command": command(one, small=small),
        "status": status,
        "seconds": round(time.perf_counter() - start, 1),
        **({} if status == 0 else {"said": ((said.strip().splitlines() or ["nothing"])[-1])[:SAID]}),
        "figures": [
            {
                "what": figure.what,
                "figure": value,
                "target": None if figure.target is None else f"{figure.target[0]} {figure.target[1]:g}",
                "verdict": figure.verdict(value, small=small) if status == 0 else "failed",
            }
            for figure, value in values
        ],
        "report": report,
    }


def last_of(text: str) -> object:
    r"""The last JSON document of some; None if there is none.

    Example:
        >>> last_of('{"a": 1}\n{"a": 2}\n')
        {'a': 2}
    """
    decoder, place, found = json.JSONDecoder(), 0, None
    while (rest := text[place:].lstrip()) != "":
        try:
            found, length = decoder.raw_decode(rest)
        except ValueError:  # a line of progress
            length = rest.find("\n") + 1 or len(rest)
        place = len(text) - len(rest) + length
    return found


def table(results: Sequence[dict[str, object]]) -> Table:
    """A row a figure."""
    shown = Table(title="Benchmarks")
    for name in ("benchmark", "what", "figure", "target", "", "command"):
        shown.add_column(name, no_wrap=name in ("figure", "target", ""))
    for result in results:
        figures = result["figures"]
        assert isinstance(figures, list)
        name, call = str(result["name"]), str(result["command"]).removeprefix("python -m ")
        if result["status"] != 0:
            shown.add_row(name, f"{result['said']}", "", "", f"failed, status {result['status']}", call, style="red")
            continue
        for one in figures or [{"what": "runs", "figure": None, "target": None, "verdict": ""}]:
            value = one["figure"]
            number = f"{value:,.4g}" if isinstance(value, float) else "" if value is None else str(value)
            style = {"pass": "green", "miss": "yellow"}.get(one["verdict"])
            shown.add_row(name, one["what"], number, one["target"] or "", one["verdict"], call, style=style)
    return shown


if __name__ == "__main__":
    sys.exit(main())
