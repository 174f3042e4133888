"""What signs of trust are worth, on takes kept for nothing else: `python -m benchmarks.trust [--folder F]`, JSON out.

A table goes to standard error. The takes are those of `benchmarks.trust_takes`. The model predicts them once for each
way of the round trip, with the settings that users have otherwise, and all that is fitted is cross-validated over the
takes. AUROC is of "IoU over 0.5" over frames that show the object, balanced accuracy over all annotated ones, both with
95% intervals over takes. `--folder` keeps takes and tables for the next time. `--fusion` adds what fusing runs brings
(`benchmarks.trust_fusion`), with the first way of the round trip for all of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.nano import Silent
from benchmarks.trust_fusion import RUNS, fusion
from benchmarks.trust_takes import trust_takes
from lmeec.analysis.bootstrap import RESAMPLES, SEED
from lmeec.analysis.existence import fit_calibration
from lmeec.analysis.expected_iou import fit_iou_rule
from lmeec.analysis.signs import signs_of
from lmeec.analysis.trust import best_half, mean_over_takes
from lmeec.config import CycleWay, Direction, PredictConfig
from lmeec.runs.executor import InProcess
from lmeec.runs.predict import run_predictions
from lmeec.runs.worker import Worker
from lmeec.tables import scan_takes
from lmeec.tables.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from lmeec.analysis.existence import Fitted
    from lmeec.analysis.groups import Estimate
    from lmeec.data.takes import TakeSet

SHOWN = (
    "object_score",
    "predicted_iou",
    "cycle_iou",
    "cycle_score",
    "log_area_share",
    "largest_piece",
    "overlap_near",
    "views_mean",
)
"""Signs that the table shows; the JSON has all."""


def main() -> None:
    """Predict, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="nano")
    parser.add_argument("--folder", type=Path, help="keep the takes and tables here")
    parser.add_argument("--ways", default=",".join(get_args(CycleWay)), help="of the round trip, joined by commas")
    parser.add_argument("--fusion", action="store_true", help="predict other runs too, and fuse them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        takes = trust_takes(folder / "takes", "trust")
        ways: list[CycleWay] = arguments.ways.split(",")
        tables = {
            way: predicted(takes, arguments.checkpoint, PredictConfig(cycle=way), folder / f"trust-{way}.parquet")
            for way in ways
        }
        fitted = {way: fit_calibration(path) for way, path in tables.items()}
        expecting = {way: gain_by_expected_iou(path) for way, path in tables.items()}
        found: dict[str, object] = {
            "takes": len(takes),
            "ways": {way: report(one, expecting[way]) for way, one in fitted.items()},
        }
        if arguments.fusion:
            runs = {"drop": tables[ways[0]]} | {
                name: predicted(
                    takes,
                    arguments.checkpoint,
                    replace(config, cycle=ways[0]),
                    folder / f"trust-{name}-{ways[0]}.parquet",
                )
                for name, config in RUNS.items()
                if name != "drop"
            }
            found["fusion"] = fusion(runs, folder)
    print(json.dumps(found, indent=1))
    console = Console(stderr=True, width=160)
    for direction in get_args(Direction):
        console.print(table(direction, fitted, expecting))


def predicted(takes: TakeSet, checkpoint: str, config: PredictConfig, out: Path) -> Path:
    """Where results of both directions are; they are predicted unless they are there."""
    if not out.exists():
        worker = Worker(dict.fromkeys(get_args(Direction), checkpoint), config)
        run_predictions(InProcess(worker), takes, out, Silent())
    return out


def gain_by_expected_iou(results: Path) -> dict[str, Estimate]:
    """IoU of the half of visible frames whose expected IoU is largest, over that of all, by direction.

    The rule is that of `lmeec select --fit`; of each take, a fit without it decides.
    """
    rule = fit_iou_rule([results])
    frames: dict[str, list[NDArray[np.float64]]] = {}
    for number, (uid, direction, rows) in enumerate(scan_takes(results, SCHEMA.names)):
        expected = rule.expected(direction, signs_of(rows), uid)
        seen = np.asarray(pc.and_(pc.is_null(rows["missing"]), pc.equal(rows["gt_state"], "visible")))
        iou = np.asarray(rows["iou"])
        frames.setdefault(direction, []).append(np.stack([expected, iou, np.full(iou.size, number)])[:, seen])
    found = {}
    for direction, some in frames.items():
        expected, iou, take = np.concatenate(some, axis=1)
        half = best_half(expected)
        found[direction] = mean_over_takes(
            iou, take.astype(np.int64), half, less=np.ones_like(half), resamples=RESAMPLES, seed=SEED
        )
    return found


def report(fitted: Fitted, expecting: Mapping[str, Estimate]) -> dict[str, object]:
    """What was found, by direction, without the curves."""
    found: dict[str, object] = {}
    for direction, trust in fitted.trust.items():
        scores = asdict(fitted.scores[direction]) if direction in fitted.scores else {}
        scores.pop("roc", None)
        found[direction] = {
            "trust": asdict(trust),
            "presence": scores,
            "gain_by_expected_iou": asdict(expecting[direction]),
        }
    return found


def table(direction: str, fitted: Mapping[str, Fitted], expecting: Mapping[str, Mapping[str, Estimate]]) -> Table:
    """A direction's numbers, a column a way."""
    shown = Table(box=SIMPLE_HEAD, title=direction, title_justify="left")
    shown.add_column("", no_wrap=True)
    for way in fitted:
        shown.add_column(way, justify="right", no_wrap=True)
    trust = [one.trust[direction] for one in fitted.values()]
    for name in SHOWN:
        shown.add_row(f"AUROC, {name}", *(_cell(one.signs.get(name)) for one in trust))
    shown.add_row("AUROC, fitted rule", *(_cell(one.rule) for one in trust))
    shown.add_row("IoU of all", *(_cell(one.all) for one in trust))
    shown.add_row("IoU of the half trusted most, over that of all", *(_cell(one.gain) for one in trust))
    shown.add_row(
        "the same of the half with the largest expected IoU", *(_cell(expecting[way][direction]) for way in fitted)
    )
    scores = [one.scores[direction] for one in fitted.values()]
    shown.add_row("balanced accuracy, confidence > 0.5", *(_cell(one.confidence) for one in scores))
    shown.add_row("balanced accuracy, calibrated", *(_cell(one.calibrated) for one in scores))
    shown.add_row("AUROC of presence, confidence", *(_cell(one.auroc_of_confidence) for one in scores))
    shown.add_row("AUROC of presence, calibrated", *(_cell(one.auroc) for one in scores))
    return shown


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


if __name__ == "__main__":
    main()
