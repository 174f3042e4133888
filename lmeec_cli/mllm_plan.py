"""`lmeec mllm plan`: what a training of Exo2Ego would need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmeec.mllm.config import Preset
from lmeec_cli.options import AsJson
from lmeec_cli.settings import HoldsSettings
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from lmeec.mllm.plan import StagePlan


def plan(
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="Sizes and settings: paper (CLIP-L, Mistral-7B) or nano.", show_default="that of --config, else paper"
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file, as of `lmeec mllm train`.", show_default=False),
        HoldsSettings("--config"),
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs that train together.")] = 1,
    shard: Annotated[bool, typer.Option("--shard/--no-shard", help="Divide the state among the GPUs.")] = True,
    pairs: Annotated[int, typer.Option(min=1, help="Clips of stages 0 to 2; as many as the paper's.")] = 1_100_000,
    questions: Annotated[int, typer.Option(min=1, help="Of stage 3; as many as the paper's.")] = 600_000,
    as_json: AsJson = False,
) -> None:
    """Tell the memory a GPU and the steps of every stage, from sizes alone.

    Counted are parameters, gradients, optimiser state, what divided parameters take when they are gathered, and the
    inputs of layers with the longest text. What the layer at hand computes comes on top.

    **Examples**

    The paper's model on eight GPUs:

        lmeec mllm plan --gpus 8

    Undivided, for a script:

        lmeec mllm plan --gpus 8 --no-shard --json | jq '.[].total'
    """
    from dataclasses import asdict

    from lmeec.mllm.plan import plan_stage
    from lmeec.mllm.settings import STAGES
    from lmeec_cli.mllm_file import read_preset_or_file

    settings = read_preset_or_file(config, preset)
    plans = [
        plan_stage(
            settings.model,
            settings.training,
            stage,
            gpus=gpus,
            clips=questions if stage == STAGES[-1] else pairs,
            shard=shard,
        )
        for stage in STAGES
    ]
    if as_json:
        echo(json.dumps([{**asdict(one), "total": one.total} for one in plans], indent=2))
    else:
        _show(plans)


def _show(plans: list[StagePlan]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.console import print_whole

    table = Table(
        box=SIMPLE_HEAD, caption="memory in GB a GPU, from weights to inputs, then all of it", caption_justify="left"
    )
    table.add_column("stage", no_wrap=True)
    names = ("parameters", "trained", "weights", "gradients", "optimiser", "gathered", "inputs", "all")
    for name in (*names, "passes", "steps"):
        table.add_column(name, justify="right")
    for one in plans:
        sizes = (one.weights, one.gradients, one.optimiser, one.gathered, one.inputs, one.total)
        table.add_row(
            f"{one.stage} {one.name}",
            *(f"{count / 1e6:,.1f}M" for count in (one.parameters, one.trained)),
            *(f"{size / 1e9:.2f}" for size in sizes),
            f"{one.passes:,}",
            f"{one.steps:,}",
        )
    print_whole(table)
