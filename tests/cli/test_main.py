"""The command line as a whole."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
import typer

from lmeec_cli.app import app
from tests.support.command import lmeec

SLOW_TO_IMPORT = ("torch", "sam2", "av", "numba", "cv2", "numpy", "pandas", "pyarrow", "sklearn", "ray")


def commands():
    """Every command with its words after `lmeec`."""
    waiting = [((), typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        below = getattr(command, "commands", None)
        if below is None or (words and command.invoke_without_command):
            yield words, command
        waiting += [((*words, name), each) for name, each in (below or {}).items()]


COMMANDS = {" ".join(words): command for words, command in commands()}


def examples(command):
    text = (command.help or "").replace("\\\n", " ")
    return [line.strip().strip("`") for line in text.splitlines() if line.strip().startswith("lmeec ")]


def test_help_loads_nothing_that_is_slow():
    script = (
        "import sys; from lmeec_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=True)
    assert "predict" in done.stdout
    assert not set(SLOW_TO_IMPORT) & set(done.stderr.split())


def test_all_commands_are_there():
    assert {"predict", "score", "synth", "takes", "checkpoint inspect", "checkpoint convert"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_worked_examples_that_parse(name):
    calls = [shlex.split(example)[1:] for example in examples(COMMANDS[name])]
    assert any(words[: len(name.split())] == name.split() for words in calls)
    for words in calls:
        called = max((one for one in COMMANDS if words[: len(one.split())] == one.split()), key=len)
        end = min((words.index(mark) for mark in ("|", ">") if mark in words), default=len(words))
        COMMANDS[called].make_context(called, words[len(called.split()) : end])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_examples(name):
    done = lmeec(*name.split(), "--help")
    assert done.status == 0
    assert f"lmeec {name} " in done.out


def test_a_users_mistake_is_one_line_and_status_1(tmp_path):
    done = lmeec("score", tmp_path / "nothing.parquet")
    assert done.status == 1
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert "nothing.parquet" in done.err
    assert "Traceback" not in done.err


def test_a_wrong_call_is_status_2():
    assert lmeec("predict", "--no-such-option").status == 2


def test_version():
    done = lmeec("--version")
    assert done.status == 0
    assert done.out.startswith("lmeec ")
