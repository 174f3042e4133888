"""Errors of the library, which knows no flags, as the command line tells them."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest
from typer.main import get_command

import lmeec
from lmeec.config import MemoryConfig
from lmeec.errors import CameraError, ConfigError, DataError, OutputError, TrainingError
from lmeec.training.step import diverged
from lmeec_cli.app import app
from lmeec_cli.settings import commands, options, told

LIBRARY = Path(lmeec.__file__).parent

FLAGS_OF_OTHERS = (
    r"`egoexo [^`]*`",  # the data set's downloader
    r"pip install \S+ \S+",
    r"var\(--[a-z0-9]+\)",  # of style sheets
)


def texts_of_the_library():
    """Every text in its code, docstrings too, with where it is."""
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(LIBRARY)}:{node.lineno}", node.value


def test_the_library_speaks_of_no_flags():
    of_others = re.compile("|".join(FLAGS_OF_OTHERS))
    found = [where for where, text in texts_of_the_library() if re.search(r"--[a-z]", of_others.sub("", text))]
    assert not found


def named_settings():
    """The settings that errors in the library's code name, with where they do."""
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "settings" and isinstance(node.value, ast.List):
                for one in node.value.elts:
                    if isinstance(one, ast.Constant):
                        yield f"{path.relative_to(LIBRARY)}:{one.lineno}", one.value


def fields_of_configurations():
    """Names of fields of the library's classes, of which files of settings have keys."""
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(one) for one in node.decorator_list):
                yield from (one.target.id for one in node.body if isinstance(one, ast.AnnAssign))


def test_every_setting_that_an_error_names_is_an_option_or_a_field_of_a_configuration():
    flags = {}
    for command in commands(get_command(app)):
        flags |= options(command)
    fields = set(fields_of_configurations())
    named = list(named_settings())
    assert len(named) > 20
    assert not [(where, name) for where, name in named if name not in flags and name.split(".")[-1] not in fields]


REFUSED = OutputError("r.parquet exists already: pass `overwrite=True` to replace it", settings=["overwrite"])


@pytest.mark.parametrize(
    ("error", "words", "expected"),
    [
        (REFUSED, "predict takes", "r.parquet exists already: pass --overwrite to replace it"),
        (REFUSED, "clips takes/ --out clips.parquet", "r.parquet exists already: pass --overwrite to replace it"),
        (REFUSED, "clips instruct c.parquet", "r.parquet exists already: pass --overwrite to replace it"),
        (
            REFUSED,
            "recipe run overnight.yaml",
            "r.parquet exists already: pass `overwrite: true` in the recipe to replace it",
        ),
        (
            ConfigError("`memory.size` is 9, but must be 6", settings=["memory.size"]),
            "predict takes",
            "--memory-size is 9, but must be 6",
        ),
        (
            ConfigError("`memory.size` is 9, but must be 6", settings=["memory.size"]),
            "recipe run overnight.yaml",
            "`memory_size` in the recipe is 9, but must be 6",
        ),
        (ConfigError('use `device="cpu"`', settings=["device"]), "train takes", "use --device cpu"),
        (
            ConfigError("not under `shortest`", settings=["shortest"]),
            "clips takes --max-length 1",
            "not under --min-length",
        ),
        (
            DataError('predict with `mask_size="square"`', settings=["mask_size"]),
            "score r.parquet",
            "predict with --mask-size square",
        ),
        (
            TrainingError("use `micro_batch=1`, or fewer `clips.objects`", settings=["micro_batch", "clips.objects"]),
            "train takes",
            "use `micro_batch: 1` in --config FILE, or fewer --objects",
        ),
        (
            diverged("step 3: the loss is nan"),
            "train takes --out run",
            "step 3: the loss is nan. The last saved state is kept. Begin anew with a lower learning rate (--lr) or "
            "--dtype float32, in another --out, with the weights of this one (--checkpoint OUT/last.safetensors)",
        ),
        (DataError("give a folder as `takes`", settings=["takes"]), "takes nowhere", "give a folder as TAKES"),
        (DataError("give a folder as `takes`", settings=["takes"]), "predict nowhere", "give a folder as TAKES"),
        (
            DataError("give a folder as `takes`", settings=["takes"]),
            "recipe run overnight",
            "give a folder as `takes` in the recipe",
        ),
        # What no setting was declared of stays, as the name of a column here that is an option's too.
        (DataError("column `missing` says why"), "score r.parquet", "column `missing` says why"),
    ],
)
def test_settings_are_told_as_the_command_has_them(error, words, expected):
    assert told(error, app, words.split()) == expected


def test_without_a_command_line_settings_have_their_names_in_python():
    with pytest.raises(ConfigError) as refused:
        MemoryConfig(size=0)
    assert str(refused.value) == "`memory.size` is 0, but must be at least 1"


@pytest.mark.parametrize("error", [REFUSED, CameraError("cam01", "cam01.mp4: is cut short"), diverged("step 1: nan")])
def test_errors_cross_to_another_process_whole(error):
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert (str(other), vars(other)) == (str(error), vars(error))
