"""Make the files of the built-in Exo2Ego model: `python -m benchmarks.exo2ego_weights OUT/full-0/stage3/model`.

What does not answer, the exo encoder and G, is left out, adapters are worked into the language model, and weights are
written in float16. Then both models are asked about held-out takes, and what differs is printed as JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch

from lmeec.mllm.answers import SCHEMA
from lmeec.mllm.built_in import BUILT_IN
from lmeec.mllm.checkpoint import load_mllm, save_mllm
from lmeec.mllm.data.sets import JoinedClips
from lmeec.mllm.evaluation.answering import Answering
from lmeec.mllm.evaluation.asking import AskConfig
from lmeec.mllm.evaluation.marks import mark
from lmeec.mllm.evaluation.scores import score
from lmeec.mllm.synthetic.store import drawn_clips
from lmeec.mllm.synthetic.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmeec.mllm.data.source import AskedClips


def main() -> None:
    """Write the files and print what they are worth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("training", type=Path, help="folder of a trained model")
    parser.add_argument("--out", type=Path, default=BUILT_IN["nano"])
    parser.add_argument("--takes", type=int, default=60, help="held out, that both models are asked about")
    parser.add_argument("--drawn", type=Path, help="drawn clips are here, or are kept here")
    arguments = parser.parse_args()
    write_small(arguments.training, arguments.out)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = drawn_clips(arguments.drawn or Path(scratch), World(), "held_out", arguments.takes)
        report = compared(arguments.training, arguments.out, JoinedClips((drawn.captions(), drawn.questions())))
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(json.dumps({"bytes": size, "takes": arguments.takes, **report}, indent=1))


def write_small(training: Path, out: Path) -> None:
    """Write what answers, in float16, with adapters worked in."""
    loaded = load_mllm(training, merge=True)
    save_mllm(out, loaded.model, loaded.tokenizer, dtype=torch.float16)


def compared(training: Path, small: Path, clips: AskedClips) -> dict[str, Any]:
    """By task, the share of equal replies, and the scores of both models."""
    asked = AskConfig(open_tokens=24, likelihoods=False)
    before, after = (Answering(folder, config=asked).ask(clips) for folder in (training, small))
    equal: dict[str, list[bool]] = {}
    for one, other in zip(before, after, strict=True):
        equal.setdefault(one["task"], []).append(one.get("reply") == other.get("reply"))
    return {
        "equal_replies": {task: [sum(same), len(same)] for task, same in equal.items()},
        "scores": {"trained": exact(before), "written": exact(after)},
    }


def exact(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Exact match by task."""
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    return {one.task: round(one.value, 4) for one in score(mark(table)) if one.measure == "exact_match"}


if __name__ == "__main__":
    main()
