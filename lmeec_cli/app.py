"""The `lmeec` command line: joins the subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from lmeec_cli.calibrate import calibrate
from lmeec_cli.checkpoint import checkpoint
from lmeec_cli.clips import clips
from lmeec_cli.cycle import cycle
from lmeec_cli.export import export
from lmeec_cli.fuse import fuse
from lmeec_cli.help import Command, Group
from lmeec_cli.import_predictions import import_predictions
from lmeec_cli.mllm import mllm
from lmeec_cli.predict import predict
from lmeec_cli.recipe import recipe
from lmeec_cli.render import render
from lmeec_cli.report import report
from lmeec_cli.score import score
from lmeec_cli.select import select
from lmeec_cli.status import status
from lmeec_cli.synth import synth
from lmeec_cli.takes import takes
from lmeec_cli.terminal import echo
from lmeec_cli.train import train

app = typer.Typer(
    cls=Group,
    name="lmeec",
    help="Segment the same object across first-person and third-person video of Ego-Exo4D.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from lmeec.version import __version__

        echo(f"lmeec {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show where an error comes from. Also after a command's name, and as LMEEC_DEBUG=1."
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            help="Say nothing but results, warnings and errors, as suits scripts. Also after a command's name, and as "
            "LMEEC_QUIET=1.",
        ),
    ] = False,
) -> None:
    pass  # `lmeec_cli.main` heeds --debug and --quiet, wherever they stand


app.add_typer(takes, name="takes")
app.command(cls=Command)(predict)
app.command(cls=Command)(cycle)
app.command(cls=Command)(status)
app.command(cls=Command)(score)
app.command("import", cls=Command)(import_predictions)
app.command(cls=Command)(calibrate)
app.command(cls=Command)(fuse)
app.command(cls=Command)(select)
app.command(cls=Command)(report)
app.command(cls=Command)(render)
app.command(cls=Command)(export)
app.add_typer(clips, name="clips")
app.command(cls=Command)(synth)
app.command(cls=Command)(train)
app.add_typer(mllm, name="mllm")
app.add_typer(checkpoint, name="checkpoint")
app.add_typer(recipe, name="recipe")
