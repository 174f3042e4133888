"""`lmeec mllm`: Exo2Ego, which answers questions about ego video; each command is in its own file."""

from __future__ import annotations

import typer

from lmeec_cli.help import Command, Group
from lmeec_cli.mllm_answer import answer
from lmeec_cli.mllm_evaluate import evaluate
from lmeec_cli.mllm_plan import plan
from lmeec_cli.mllm_train import train

mllm = typer.Typer(
    cls=Group,
    help="Exo2Ego: a language model that answers questions about ego video, and learned from exo video.",
    no_args_is_help=True,
)
mllm.command(cls=Command)(train)
mllm.command(cls=Command)(plan)
mllm.command(cls=Command)(answer)
mllm.command(cls=Command)(evaluate)
