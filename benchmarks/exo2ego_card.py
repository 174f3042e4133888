"""The tables of nano's card out of an experiment's scores: `python -m benchmarks.exo2ego_card OUT/scores.json`.

Markdown for `lmeec/weights/exo2ego-nano.md`, and what became of the two targets that docs/exo2ego.md set.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

TASKS = {"object": "which object", "action": "action", "hand": "hand", "whose": "whose hand", "next": "what is next"}
TARGET = "object"
TIMES = 3
"""How often the score on a blank clip is to be had."""

RIVALS = ("alone", "twice")

Score = dict[str, Any]


def main() -> None:
    """Print the tables and the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path)
    scores = json.loads(parser.parse_args().scores.read_text(encoding="utf-8"))
    print("\n\n".join([by_task(scores), by_variant(scores), *verdicts(scores)]))


def by_task(scores: dict[str, Any]) -> str:
    """What nano knows of clips, and of blank ones."""
    rows = [
        [name, f"{found['questions']:,}", shown(found), shown(one_of(scores["blank"], task, measure))]
        for task, measure, name in (
            *((task, "exact_match", name) for task, name in TASKS.items()),
            ("caption", "rougeL", "caption (ROUGE-L)"),
        )
        if (found := one_of(scores["scores"]["full"], task, measure)) is not None
    ]
    return table(["task", "questions", "nano", "the same on a blank clip"], rows)


def by_variant(scores: dict[str, Any]) -> str:
    """Which object, by what was trained: the variants, and what nano has over each."""
    rows = [
        [name, shown(one_of(of_variant, TARGET)), shown(one_of(scores["over"].get(name, []), TARGET), signed=True)]
        for name, of_variant in scores["scores"].items()
    ]
    return table(["variant", "which object", "full has over it"], rows)


def verdicts(scores: dict[str, Any]) -> list[str]:
    """Whether each target is met."""
    full, blank = one_of(scores["scores"]["full"], TARGET), one_of(scores["blank"], TARGET)
    assert full is not None
    assert blank is not None
    met = full["value"] >= TIMES * blank["value"]
    ratio = f", {full['value'] / blank['value']:.1f} times" if blank["value"] else ""
    said = [
        f"1. Which object at {TIMES} times the score on a blank clip: {yes(met)} "
        f"({shown(full)} and {shown(blank)}{ratio})."
    ]
    for name in RIVALS:
        over = one_of(scores["over"].get(name, []), TARGET)
        if over is None:
            said.append(f"2. (x, F(x)) over {name}: not measured.")
        else:
            met = over["interval"] is not None and over["interval"][0] > 0
            said.append(f"2. (x, F(x)) over {name}: {yes(met)} ({shown(over, signed=True)}).")
    return said


def one_of(scores: list[Score], task: str, measure: str = "exact_match") -> Score | None:
    """The score of a task by a measure."""
    return next((one for one in scores if (one["task"], one["measure"]) == (task, measure)), None)


def shown(score: Score | None, *, signed: bool = False) -> str:
    """Percent, with the 95% interval."""
    if score is None:
        return "-"
    sign = "+" if signed else ""
    value, *interval = (f"{100 * number:{sign}.1f}" for number in (score["value"], *(score["interval"] or ())))
    return f"{value} ({' to '.join(interval)})" if interval else value


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def yes(met: bool) -> str:
    """The verdict in a word."""
    return "yes" if met else "no"


if __name__ == "__main__":
    main()
