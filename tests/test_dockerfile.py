"""The Dockerfile is sound, and installs what pyproject.toml asks for in versions that are named.

That its RUN lines work is shown by `make check-docker`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lmeec.version import __version__
from tests.support.dockerfile import ROOT, commands, instructions

EXTRAS = ("ray", "metrics", "s3", "gcs", "http", "hf")
"""What the image is for: workers of a cluster, and takes wherever they are."""


def run_lines(device):
    return [command for one in instructions(device) if one.name == "RUN" for command in commands(one.value)]


def pinned():
    lines = (ROOT / "docker" / "requirements.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(one.name): one for one in requirements}


def test_hadolint_finds_nothing():
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_installed_is_what_pyproject_asks_for_in_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for name in EXTRAS for one in project["optional-dependencies"][name])]
    torch = dict(re.findall(r"\b(torch|torchvision)==(\S+)", " ".join(run_lines("cpu"))))
    versions = {name: str(one.specifier).removeprefix("==") for name, one in pinned().items()} | torch
    assert all(re.fullmatch(r"==[\w.!+]+", str(one.specifier)) for one in pinned().values())
    for one in map(Requirement, asked):
        assert one.specifier.contains(versions[canonicalize_name(one.name)]), one
    assert f"torch=={torch['torch']} torchvision=={torch['torchvision']}" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize(("device", "from_index"), [("cpu", True), ("cuda", False)])
def test_a_build_argument_chooses_torch_and_the_rest_is_the_same(device, from_index):
    torch = [line for line in run_lines(device) if "torch==" in line]
    assert len(torch) == 1
    assert ("download.pytorch.org/whl/cpu" in torch[0]) == from_index
    other = "cuda" if device == "cpu" else "cpu"
    assert set(run_lines(device)) - set(torch) < set(run_lines(other))


def test_it_ends_as_another_user_than_root_and_copies_nothing_that_is_ignored():
    assert [one.value for one in instructions("cuda") if one.name == "USER"] == ["1000"]
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = {path for one in instructions("cuda") if one.name == "COPY" for path in one.value.split()[:-1]}
    assert copied == set(kept)
    assert all((ROOT / path).exists() for path in copied)


def test_the_kuberay_job_uses_an_image_of_this_version():
    images = re.findall(r"image: (\S+)", (ROOT / "recipes" / "kuberay-job.yaml").read_text())
    assert {image.rpartition(":")[2] for image in images} == {__version__}
    tags = re.findall(r"--tag (\S+)", (ROOT / "Dockerfile").read_text())
    assert images[0] in tags
