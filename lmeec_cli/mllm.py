"""`lmeec mllm`: Exo2Ego, which answers questions about ego video; each command is in its own file."""

from __future__ import annotations

import typer

from lmeec_cli.mllm_answer import answer
from lmeec_cli.mllm_evaluate import evaluate
from lmeec_cli.mllm_plan import plan
from lmeec_cli.mllm_train import train

mllm = typer.Typer(
    help="Exo2Ego: a language model that answers questions about ego video, and learned from exo video.",
    no_args_is_help=True,
)
mllm.command()(train)
mllm.command()(plan)
mllm.command()(answer)
mllm.command()(evaluate)
