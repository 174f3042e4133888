"""`lmeec recipe`: jobs to copy, edit and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmeec.errors import ConfigError, OutputError
from lmeec_cli.options import Overwrite
from lmeec_cli.settings import HoldsSettings
from lmeec_cli.terminal import echo

if TYPE_CHECKING:
    from lmeec.analysis.evaluation import DirectionScore
    from lmeec_cli.recipe_file import Ablation, EgoExoClip, Overnight, Predict, Training

recipe = typer.Typer(help="List, copy and run recipes: jobs to copy and edit.", no_args_is_help=True)

_STOPPED = 130


@recipe.command("ls")
def list_recipes() -> None:
    """List the recipes that come with lmeec.

    **Examples**

        lmeec recipe ls
    """
    shipped = _shipped()
    width = max(map(len, shipped))
    for name, path in shipped.items():
        echo(f"{name:{width}}  {_summary(path)}")


@recipe.command("cp")
def copy(
    name: Annotated[str, typer.Argument(help="Name in `lmeec recipe ls`.", show_default=False)],
    to: Annotated[Path | None, typer.Argument(help="File or folder to copy to.", show_default="here")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Copy a recipe, to edit it.

    **Examples**

        lmeec recipe cp overnight

        lmeec recipe cp slurm jobs/tonight.sh
    """
    source = _find(name)
    target = to or Path(source.name)
    if target.is_dir():
        target = target / source.name
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already: name another file, or pass --overwrite")
    try:
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from error
    echo(str(target))


@recipe.command("run")
def run(
    file: Annotated[
        str,
        typer.Argument(help="A recipe's file, or its name in `lmeec recipe ls`.", show_default=False),
        HoldsSettings("the recipe"),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key, as predict.takes=/data; repeat for more."),
    ] = None,
) -> None:
    """Run a recipe. Run again after an interruption, it goes on where it was.

    **Examples**

        lmeec recipe run overnight.yaml

        lmeec recipe run ablation --set predict.takes=/data/egoexo4d --set 'policies=[drop, fifo]'
    """
    from lmeec_cli.recipe_file import Ablation, Overnight, Training, read_recipe

    path = Path(file) if Path(file).is_file() else _find(file)
    if path.suffix != ".yaml":
        raise ConfigError(f"{path}: lmeec does not run this one; copy it with `lmeec recipe cp` and read its beginning")
    wanted = read_recipe(path, overrides or ())
    if isinstance(wanted, Overnight):
        _run_overnight(wanted)
    elif isinstance(wanted, Ablation):
        _run_ablation(wanted)
    elif isinstance(wanted, Training):
        _run_training(wanted)
    else:
        _run_ego_exoclip(wanted)


def _shipped() -> dict[str, Path]:
    folder = Path(str(resources.files("lmeec_cli"))) / "recipes"
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".yaml", ".sh")}


def _find(name: str) -> Path:
    shipped = _shipped()
    if name not in shipped:
        raise ConfigError(f"{name}: neither a file nor a recipe; there are {', '.join(shipped)}")
    return shipped[name]


def _summary(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("# ") for line in lines if line.startswith("# "))


def _run_overnight(wanted: Overnight) -> None:
    from lmeec.analysis.evaluation import evaluate

    status = _predict(wanted.predict, {})
    scores = evaluate(wanted.predict.out)
    _show({"": scores})
    if wanted.scores is not None:
        _write(wanted.scores, _plain(scores))
    raise typer.Exit(status)


def _run_ablation(wanted: Ablation) -> None:
    from lmeec.analysis.evaluation import evaluate
    from lmeec.tables import location

    folder = location(wanted.predict.out)
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
    status = 0
    scores: dict[str, Mapping[str, DirectionScore]] = {}
    for policy in wanted.policies:
        out = folder / f"{policy}.parquet"
        echo(f"memory policy {policy}", err=True)
        status = max(status, _predict(wanted.predict, {"memory_policy": policy, "out": str(out)}))
        scores[policy] = evaluate(out)
    _show(scores)
    if wanted.scores is not None:
        _write(wanted.scores, {policy: _plain(by_direction) for policy, by_direction in scores.items()})
    raise typer.Exit(status)


def _run_ego_exoclip(wanted: EgoExoClip) -> None:
    from lmeec_cli.clips import make
    from lmeec_cli.clips_instruct import instruct

    options = wanted.clips.model_dump()
    status = _status_of(lambda: make(form=options.pop("format"), workers=str(options.pop("workers")), **options))
    if wanted.instruct is not None:
        instruct(wanted.clips.out, overwrite=True, **wanted.instruct.model_dump())
    raise typer.Exit(status)


def _run_training(wanted: Training) -> None:
    from lmeec_cli.train import start

    start(**(wanted.train.model_dump() | {"workers": str(wanted.train.workers), "settings": wanted.settings}))


def _predict(options: Predict, changes: Mapping[str, Any]) -> int:
    """Predict; a run with failures has a table too, so what follows goes on and the status is kept."""
    from lmeec_cli.predict import predict

    given = options.model_dump() | {name: str(getattr(options, name)) for name in ("workers", "batch_tracks")}
    return _status_of(lambda: predict(**(given | dict(changes))))


def _status_of(command: Callable[[], None]) -> int:
    """The exit status of a command; one that the user stopped stops the recipe as well."""
    try:
        command()
    except typer.Exit as end:
        if end.exit_code == _STOPPED:
            raise
        return end.exit_code
    return 0


def _plain(scores: Mapping[str, DirectionScore]) -> dict[str, Any]:
    from dataclasses import asdict

    return {direction: asdict(score) for direction, score in scores.items()}


def _write(path: Path, document: Mapping[str, Any]) -> None:
    import json

    from lmeec.files.whole import written_whole

    with written_whole(path) as file:
        file.write((json.dumps(document, indent=2) + "\n").encode())


def _show(scores: Mapping[str, Mapping[str, DirectionScore]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.console import Console

    table = Table(box=SIMPLE_HEAD)
    for name in ("policy", "direction") if any(scores) else ("direction",):
        table.add_column(name, no_wrap=True)
    for name in ("IoU %", "location\nerror", "contour\naccuracy", "balanced\naccuracy %"):
        table.add_column(name, justify="right", no_wrap=True)
    for policy, by_direction in scores.items():
        for direction, score in by_direction.items():
            cells = (
                _number(score.iou, 100, 2),
                _number(score.location_error, 1, 3),
                _number(score.contour_accuracy, 1, 3),
                _number(score.balanced_accuracy, 100, 2),
            )
            table.add_row(*((policy, direction) if policy else (direction,)), *cells)
    Console().print(table)


def _number(value: float | None, scale: int, digits: int) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"
