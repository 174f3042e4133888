"""Rooms use each other as docs/architecture.md has it; the contracts are in pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"]


def lint(folder):
    done = subprocess.run([*LINT, "--no-cache"], cwd=folder, check=False, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_every_contract_is_kept():
    status, said = lint(ROOT)
    assert status == 0, said
    assert "5 kept, 0 broken" in said


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("lmeec/files/names.py", "from lmeec.tables import read", "Arrows between rooms"),
        ("lmeec/runs/jobs.py", "from lmeec.clips import table", "No circles"),
        ("lmeec/runs/jobs.py", "import ray", "Ray is in"),
        ("lmeec/data/take.py", "from rich import print", "speak to a terminal"),
        ("lmeec/data/take.py", "import lmeec_cli.main", "does not know its command line"),
    ],
)
def test_a_forbidden_import_is_told(tmp_path, module, line, contract):
    for name in ("lmeec", "lmeec_cli"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"{line}\n")
    if contract == "No circles":
        with (tmp_path / "lmeec/clips/table.py").open("a") as file:
            file.write("from lmeec.runs import jobs\n")
    status, said = lint(tmp_path)
    assert status == 1
    assert f"{contract}" in said
    assert "BROKEN" in next(row for row in said.splitlines() if contract in row)
