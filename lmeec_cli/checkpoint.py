"""`lmeec checkpoint`: look into checkpoint files and make them small."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmeec_cli.help import Command, Group
from lmeec_cli.options import AsJson, Overwrite
from lmeec_cli.terminal import echo, tell_end

if TYPE_CHECKING:
    from lmeec.model.checkpoint import Checkpoint

checkpoint = typer.Typer(cls=Group, help="Look into checkpoint files, and make them small.", no_args_is_help=True)


@checkpoint.command(cls=Command)
def inspect(
    path: Annotated[
        str, typer.Argument(help="Checkpoint file, .pt or .safetensors: a path or URL.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Say what a checkpoint holds, and whether it can predict.

    **Examples**

        lmeec checkpoint inspect weights/EgoExo_checkpoint.pt

        lmeec checkpoint inspect weights/EgoExo_checkpoint.safetensors --json | jq .config.image_size
    """
    from lmeec.files.places import place
    from lmeec.model.checkpoint import read_checkpoint

    facts = _facts(read_checkpoint(place(path)))
    if as_json:
        import json

        echo(json.dumps(facts, indent=2))
        return
    from rich.table import Table

    from lmeec_cli.console import Console

    table = Table(show_header=False)
    for name, value in facts.items():
        if name != "config":
            table.add_row(name, _shown(value))
    Console().print(table)


@checkpoint.command(cls=Command)
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Checkpoint file to read.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write, .safetensors.", show_default=False)],
    overwrite: Overwrite = False,
) -> None:
    """Write the weights alone, with the model's configuration: a released file of 1 GB becomes one of 330 MB.

    Optimiser state is left out; the weights and their digest stay the same.

    **Examples**

        lmeec checkpoint convert EgoExo_checkpoint.pt EgoExo_checkpoint.safetensors
    """
    from lmeec.errors import OutputError
    from lmeec.model.checkpoint import check_weights, config_of, read_checkpoint, write_safetensors

    if out.suffix != ".safetensors":
        raise OutputError(f"{out}: name a .safetensors file to write")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already: name another file, or pass --overwrite to replace it")
    read = read_checkpoint(source)
    config = config_of(read)
    check_weights(read, config)
    write_safetensors(out, read.tensors, config)
    before, after = source.stat().st_size, out.stat().st_size
    echo(f"{out}: {len(read.tensors)} tensors, {after / 1e6:.0f} MB (from {before / 1e6:.0f} MB)")
    tell_end(f"wrote {out}", f"lmeec checkpoint inspect {shlex.quote(str(out))}")


def _facts(read: Checkpoint) -> dict[str, Any]:
    from lmeec.config import PRESETS
    from lmeec.errors import CheckpointError
    from lmeec.files.reading import check_regular
    from lmeec.model.checkpoint import check_weights, config_of, weights_digest

    config = config_of(read)
    preset = next((name for name, make in PRESETS.items() if make() == config), "custom")
    try:
        check_weights(read, config)
        verdict = "yes"
    except CheckpointError as error:
        verdict = f"no: {str(error).removeprefix(f'{read.path}: ')}"
    return {
        "file": str(read.path),
        "megabytes": round(check_regular(read.path, CheckpointError) / 1e6, 1),
        "tensors": len(read.tensors),
        "parameters": sum(tensor.numel() for tensor in read.tensors.values()),
        "types": sorted({str(tensor.dtype).removeprefix("torch.") for tensor in read.tensors.values()}),
        "model": f"{preset} ({'stored' if read.config else 'recognised by its tensors'})",
        "can predict": verdict,
        "digest": weights_digest(read.tensors),
        "also in the file": read.extra,
        "config": config.to_dict(),
    }


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name}: {entry}" for name, entry in value.items()) or "nothing"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
