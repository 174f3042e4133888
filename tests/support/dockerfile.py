"""The Dockerfile without Docker: what it says, and its pip lines run in an empty environment.

    python -m tests.support.dockerfile build/docker

That is not a build: the base image is this machine's Python, and what needs root or changes the system is left out.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Instruction:
    """One of a Dockerfile, as `RUN` and what follows it."""

    name: str
    value: str


def instructions(device: str) -> list[Instruction]:
    """Those that the image of a device is made by, of all stages that it is built upon, in their order.

    Args:
        device: the build argument DEVICE.
    """
    arguments = {"DEVICE": device}
    stages: dict[str, list[Instruction]] = {}
    last: list[Instruction] = []
    for one in _parsed((ROOT / "Dockerfile").read_text()):
        if one.name == "ARG":
            name, _, value = one.value.partition("=")
            arguments.setdefault(name, value)
        elif one.name == "FROM":
            base, _, name = _filled(one.value, arguments).partition(" AS ")
            last = [*stages.get(base, [Instruction("FROM", base)])]
            stages[name] = last
        else:
            last.append(one)
    return last


def _parsed(text: str) -> Iterator[Instruction]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, value = line.partition(" ")
            yield Instruction(name, " ".join(value.split()))


def _filled(text: str, arguments: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], text)


def commands(run: str) -> list[str]:
    """The commands of a RUN line."""
    return [command.strip() for command in run.split("&&")]


def build(folder: Path, device: str = "cpu") -> None:
    """Make an empty environment, and do in it what the image's pip lines say; then what a container starts.

    Args:
        folder: is made anew.
        device: the build argument DEVICE.

    Raises:
        subprocess.CalledProcessError: a command failed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    context, environment = folder / "build", folder / "environment"
    context.mkdir(parents=True)
    venv.create(environment, with_pip=True)
    variables = os.environ | {"PATH": f"{environment.resolve() / 'bin'}:{os.environ['PATH']}"}
    for one in instructions(device):
        match one.name:
            case "ENV":
                variables |= dict(word.split("=", 1) for word in shlex.split(one.value))
            case "COPY":
                *sources, target = one.value.split()
                for source in sources:
                    _copy(ROOT / source, context / target / ("" if (ROOT / source).is_dir() else Path(source).name))
            case "RUN":
                for command in commands(one.value):
                    _run(command, context, variables)
            case "CMD":
                print("==", one.value)
                subprocess.run(shlex.split(one.value.strip("[]").replace(",", " ")), env=variables, check=True)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _run(command: str, context: Path, variables: Mapping[str, str]) -> None:
    if not re.match(r"(\w+=\S+ )*pip ", command):
        print("== left out:", command)
        return
    command = re.sub(r"--index-url \S+", "", command)  # that index may be out of reach; this one's torch does
    print("==", command, flush=True)
    subprocess.run(["sh", "-c", command], cwd=context, env=variables, check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
