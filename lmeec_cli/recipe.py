"""`lmeec recipe`: jobs to copy, edit and run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmeec.errors import ConfigError, OutputError
from lmeec.files.whole import naming_the_file, written_whole
from lmeec_cli.help import Command, Group
from lmeec_cli.metric_formats import METRICS, shown
from lmeec_cli.options import Overwrite
from lmeec_cli.settings import HoldsSettings
from lmeec_cli.terminal import echo, tell, tell_end

if TYPE_CHECKING:
    from lmeec.analysis.evaluation import DirectionScore
    from lmeec.config import Policy
    from lmeec_cli.recipe_file import Ablation, EgoExoClip, Overnight, Predict, Training

recipe = typer.Typer(cls=Group, help="List, copy and run recipes: jobs to copy and edit.", no_args_is_help=True)


@recipe.command("ls", cls=Command)
def list_recipes() -> None:
    """List the recipes that come with lmeec.

    **Examples**

        lmeec recipe ls
    """
    shipped = _shipped()
    width = max(map(len, shipped))
    for name, path in shipped.items():
        echo(f"{name:{width}}  {_summary(path)}")


@recipe.command("cp", cls=Command)
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
    with written_whole(target) as copied:
        copied.write(source.read_bytes())
    echo(str(target))
    if target.suffix == ".yaml":
        tell(f"next: edit it, then lmeec recipe run {shlex.quote(str(target))}")


@recipe.command("run", cls=Command)
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

        lmeec recipe run ablation --set predict.takes=/data/egoexo4d --set 'predict.checkpoint=[weights/]'
    """
    from lmeec_cli.recipe_file import Ablation, Exo2Ego, Overnight, Training, read_recipe

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
    elif isinstance(wanted, Exo2Ego):
        from lmeec_cli.recipe_exo2ego import run_exo2ego

        run_exo2ego(wanted)
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

    status = _predict(wanted.predict)
    scores = evaluate(wanted.predict.out)
    _show({"": scores})
    if wanted.scores is not None:
        _write(wanted.scores, _plain(scores))
        tell_end(f"wrote {wanted.predict.out} and {wanted.scores}")
    raise typer.Exit(status)


def _run_ablation(wanted: Ablation) -> None:
    from lmeec.analysis.evaluation import evaluate
    from lmeec.tables import location

    folder = location(wanted.predict.out)
    if isinstance(folder, Path):
        with naming_the_file(folder):
            folder.mkdir(parents=True, exist_ok=True)
    status = 0
    scores: dict[str, Mapping[str, DirectionScore]] = {}
    for policy in wanted.policies:
        out = folder / f"{policy}.parquet"
        tell(f"memory policy {policy}")
        status = max(status, _predict(wanted.predict, policy=policy, out=str(out)))
        scores[policy] = evaluate(out)
    _show(scores)
    if wanted.scores is not None:
        _write(wanted.scores, {policy: _plain(by_direction) for policy, by_direction in scores.items()})
        tell_end(f"wrote {wanted.predict.out} and {wanted.scores}")
    raise typer.Exit(status)


def _run_ego_exoclip(wanted: EgoExoClip) -> None:
    from lmeec.clips import ClipsConfig, LengthConfig
    from lmeec.clips.instruct import InstructConfig
    from lmeec_cli.clips import make_table
    from lmeec_cli.clips_extract import Extraction
    from lmeec_cli.clips_instruct import write_conversations

    options = wanted.clips
    config = ClipsConfig(
        length=LengthConfig(options.rule, options.seconds, options.min_length, options.max_length),
        ego_visible_only=options.ego_visible_only,
        best_exo_only=options.best_exo_only,
        include_unsure=options.include_unsure,
        include_rejected=options.include_rejected,
        duplicates=options.merge_duplicates,
        video=options.video,
    )
    extraction = None
    if options.extract is not None:
        extraction = Extraction.of(
            options.extract, options.format, options.short_side, options.workers, options.ray_address
        )
    status = make_table(
        options.takes,
        options.out,
        config,
        extraction,
        annotations=options.annotations,
        results=options.results,
        overwrite=options.overwrite,
    )
    if wanted.instruct is not None:
        asked = wanted.instruct
        conversations = InstructConfig(asked.val_share, asked.seed, asked.in_words)
        write_conversations(options.out, asked.out, conversations, videos=asked.videos, overwrite=True)
    raise typer.Exit(status)


def _run_training(wanted: Training) -> None:
    from lmeec_cli.train import start

    start(**(wanted.train.model_dump() | {"workers": str(wanted.train.workers), "settings": wanted.settings}))


def _predict(options: Predict, *, policy: Policy | None = None, out: str | None = None) -> int:
    """Predict; a run with failures has a table too, so what follows goes on and the status is kept."""
    from lmeec.analysis.calibration import read_calibration
    from lmeec.cluster.resources import Wanted
    from lmeec.config import ExecutionConfig, MemoryConfig, PredictConfig
    from lmeec_cli.options import directions_of, file_cache
    from lmeec_cli.predicting import predict_takes

    return predict_takes(
        options.takes,
        out or options.out,
        PredictConfig(
            directions=directions_of(options.direction),
            memory=MemoryConfig(policy=policy or options.memory_policy, size=options.memory_size),
            dtype=options.dtype,
            video=options.video,
            pixels=options.pixels,
            refine=options.refine,
            objects=tuple(options.objects),
            targets=options.targets,
            calibration=None if options.calibration is None else read_calibration(options.calibration),
        ),
        ExecutionConfig(options.device, options.batch_tracks),
        Wanted(options.workers, options.gpus_per_worker, options.cpus_per_worker, options.ray_address, options.device),
        checkpoint=options.checkpoint,
        annotations=options.annotations,
        names=options.take,
        every=options.every,
        overwrite=options.overwrite,
        retries=options.retries,
        take_timeout=options.take_timeout,
        log_format=options.log_format,
        cache=file_cache(options.cache, options.cache_size),
    )


def _plain(scores: Mapping[str, DirectionScore]) -> dict[str, Any]:
    from dataclasses import asdict

    return {direction: asdict(score) for direction, score in scores.items()}


def _write(path: Path, document: Mapping[str, Any]) -> None:
    import json

    with written_whole(path) as file:
        file.write((json.dumps(document, indent=2) + "\n").encode())


def _show(scores: Mapping[str, Mapping[str, DirectionScore]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from lmeec_cli.console import Console

    table = Table(box=SIMPLE_HEAD)
    for name in ("policy", "direction") if any(scores) else ("direction",):
        table.add_column(name, no_wrap=True)
    for form in METRICS.values():
        table.add_column(form.heading, justify="right", no_wrap=True)
    for policy, by_direction in scores.items():
        for direction, score in by_direction.items():
            cells = [shown(name, getattr(score, name)) for name in METRICS]
            table.add_row(*((policy, direction) if policy else (direction,)), *cells)
    Console().print(table)
