"""Help at the width of a terminal: nothing is cut, and calls can be copied."""

from __future__ import annotations

import inspect
import re
import shlex
from itertools import pairwise

import pytest

from tests.cli.test_main import COMMANDS
from tests.support.command import lmeec


@pytest.fixture(params=[80, 120])
def width(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(request.param))
    return request.param


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_and_cuts_nothing(name, width):
    text = lmeec(*name.split(), "--help").out
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "\n\n\n" not in text
    shown = re.sub(r"\s+", "", text)
    for one in COMMANDS[name].params:
        for flag in [*one.opts, *one.secondary_opts]:
            if flag.startswith("-"):
                assert flag in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_whole_when_they_are_copied(name, width):
    text = lmeec(*name.split(), "--help").out.replace("\\\n", " ")
    shown = [shlex.split(line) for line in text.splitlines() if line.startswith("    lmeec ")]
    text = re.sub(r"\n {4}(?!lmeec )(?=\S)", " ", inspect.cleandoc(COMMANDS[name].help).replace("\\\n", " "))
    assert [shlex.split(line) for line in text.splitlines() if line.startswith("    lmeec ")] == shown


def test_an_option_and_its_value_are_on_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    broken = re.findall(r"^ {4,}\S.* (--?[a-z-]+) \\\n +([^-\s].*)", "".join(_all_helps()), re.MULTILINE)
    assert broken == []


def test_what_is_marked_as_code_does_not_make_short_lines(monkeypatch):
    """The marks are not shown, and take no room."""
    monkeypatch.setenv("COLUMNS", "80")
    for name in COMMANDS:
        text = lmeec(*name.split(), "--help").out.partition("\nExamples\n")[0]
        for one, after in pairwise(text.splitlines()):
            if one and after and not (one.startswith(("Usage", " ")) or after.startswith(" ")):
                assert len(f"{one} {after.split()[0]}") > 80 or one in _HEADINGS, (name, one)


_HEADINGS = {"Arguments", "Commands", "Options"}


def _all_helps():
    return [lmeec(*name.split(), "--help").out for name in COMMANDS]


def test_several_are_marked_once_and_flags_name_their_default():
    assert "Usage: lmeec fuse [OPTIONS] RUN...\n" in lmeec("fuse", "--help").out
    assert "[default: --shard]" in " ".join(lmeec("mllm", "plan", "--help").out.split())


def test_the_usage_of_a_command_below_one_with_an_argument_is_true(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert lmeec("clips", "instruct", "--help").out.startswith("Usage: lmeec clips instruct [OPTIONS] CLIPS\n")
    wrong = lmeec("clips", "instruct")
    assert wrong.err.startswith("Usage: lmeec clips instruct [OPTIONS] CLIPS\n")
    assert "{" not in wrong.err


def test_values_and_defaults_are_there(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = lmeec("predict", "--help").out
    assert "--memory-policy drop|merge|fifo|kmeans|iou" in text
    assert "-o, --out TEXT" in text
    assert "[required]" in text
    assert "[default: drop]" in text
