"""The code in README and docs runs: section by section, in order, beside a small data set under the names it uses."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.answers import write_answers
from tests.support.command import lmeec
from tests.support.places import ROOT
from tests.support.predictions import predict_fairly
from tests.support.rendered import TakesOnDisk
from tests.support.snippets import sections

PAGES_LEFT_OUT = {"benchmarks/NOTES.md": "its commands take minutes to hours, and measure this machine"}

LEFT_OUT = {
    r"make |\.ci/run": "installs, and runs these tests",
    r"python3 -m venv |(SAM2_BUILD_CUDA=0 )?pip install ": "installs packages",
    r"docker build ": "there is no Docker; tests/test_dockerfile.py has what can be told without",
    r"egoexo ": "downloads, under a licence",
    r"lmeec checkpoint convert weights/EgoExo_checkpoint.pt ": "the released weights are a download",
    r"lmeec predict (/shared/|s3://)": "needs a cluster or a bucket; tests/runs/test_object_store.py has one",
    r"lmeec mllm train .*--synthetic ": "trains for half an hour; tests/cli/test_mllm_train.py trains at a small size",
    r"lmeec mllm train --videollama ": "VideoLLaMA2's weights are a download, and train on GPUs",
    r"lmeec mllm answer ": "needs the model of that training; tests/mllm has small ones that answer",
    r"lmeec predict .*sam2.1_hiera_base_plus.pt": "SAM 2.1's weights are a download; tests/inference has small ones",
    r"lmeec train .*sam2.1_hiera_base_plus.pt": "SAM 2.1's weights are a download; base_plus trains on a GPU",
}
"""How commands begin that do not run here, and why."""

ADDED = {
    r"lmeec recipe run overnight.yaml ": ("--set predict.take_timeout=null", "with a time limit it starts Ray"),
    r"lmeec clips .*--extract ": ("--workers 0", "it starts Ray where there are several cores"),
    r"lmeec select trusted.parquet ": ("--where 'cycle_iou > 0'", "with random weights hardly anything comes back"),
    r"lmeec train .*--only presence": ("--clip-frames 3 --batch 2 --steps 2", "the takes here last two seconds"),
}
"""How commands begin that run with options added, and why."""

PIXELS = np.zeros((2, 64, 64, 3), np.uint8)
GIVEN = {"query": PIXELS, "target": PIXELS, "masks": np.ones((2, 64, 64), bool)}
"""Arrays that the text says the reader has."""


def pages():
    for path in (ROOT / "README.md", *sorted(ROOT.glob("[a-z]*/**/*.md"))):
        name = path.relative_to(ROOT).as_posix()
        if name not in PAGES_LEFT_OUT and not name.startswith(("shared/", "build/")):
            yield from sections(path, name)


SECTIONS = list(pages())


def matching(text, table):
    return next((pattern for pattern in table if re.match(pattern, text)), None)


@pytest.fixture(scope="module")
def stock(rendered_takes, tiny, tmp_path_factory):
    """All that the sections name: takes, annotations, weights, tables."""
    folder = tmp_path_factory.mktemp("stock")
    shutil.copytree(rendered_takes.root, folder / "egoexo4d")
    takes = TakesOnDisk(folder / "egoexo4d")
    takes.uids.reverse()
    takes.names.reverse()
    takes.add_copies(1)  # a calibration needs two takes with absent frames, which the second one has
    shutil.copytree(folder / "egoexo4d", folder / "takes")
    relations = folder / "egoexo4d" / "annotations" / "relations_val.json"
    for name in ("relations_val.json", "relations_test.json"):
        shutil.copy(relations, folder / name)
    for name in ("weights/EgoExo_checkpoint", "weights/ExoEgo_checkpoint", "run/best"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(tiny, folder / f"{name}.safetensors")
    for name, shift in (("results", 4), ("drop", 4), ("merge", 2)):
        table = predict_fairly(folder / "egoexo4d", tmp_path_factory.mktemp("run") / f"{name}.parquet", shift=shift)
        shutil.copy(table, folder)
    table = pq.read_table(folder / "results.parquet")
    for direction in ("ego2exo", "exo2ego"):
        pq.write_table(table.filter(pc.equal(table["direction"], direction)), folder / f"{direction}.parquet")
    for name, right in (("answers", 30), ("seed0", 30), ("seed1", 25), ("alone0", 12), ("alone1", 14)):
        write_answers(folder / f"{name}.parquet", right)
    written = ("--format", "challenge", "--annotations", relations, "--out", folder / "peers.json")
    assert lmeec("export", folder / "results.parquet", *written).status == 0
    return folder


@pytest.mark.parametrize("section", SECTIONS, ids=str)
def test_code_runs(section, stock, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(stock, tmp_path / "here"))
    for name in {name for one in section.snippets if not one.python for name in outputs(one.text)}:
        if Path(name).is_file():
            Path(name).unlink()
    for one in section.snippets:
        if one.python:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(one.text, one.where, "exec"), dict(GIVEN))
        elif matching(one.text, LEFT_OUT) is None:
            run(one)


def run(one):
    program, *arguments = shlex.split(one.text)
    if program == "python" and arguments[0].startswith("examples/"):
        run_example(*arguments)
        return
    assert program == "lmeec", f"{one.where}: is neither run nor left out for a reason: {one.text}"
    if pattern := matching(one.text, ADDED):
        arguments += shlex.split(ADDED[pattern][0])
    done = lmeec(*arguments)
    assert done.status == 0, f"{one.where}: {one.text}\n{done.err}"
    for name in outputs(one.text):
        assert Path(name).exists(), f"{one.where}: {one.text}\nhas not written {name}"


def run_example(name, *arguments):
    with mock.patch.object(sys, "argv", [name, *arguments]), contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(ROOT / name))


def outputs(command):
    return re.findall(r"--out (\S+)", command)


def test_what_is_left_out_is_known(capsys):
    snippets = [one for section in SECTIONS for one in section.snippets]
    left = [matching(one.text, LEFT_OUT) for one in snippets if not one.python]
    out = sum(pattern is not None for pattern in left)
    print(f"{len(snippets) - out} snippets run, {out} are left out: {'; '.join(dict.fromkeys(LEFT_OUT.values()))}")
    assert set(LEFT_OUT) <= set(left), "no snippet begins so any more"
    added = {matching(one.text, ADDED) for one in snippets}
    assert set(ADDED) <= added, "no snippet begins so any more"
    assert all((ROOT / name).is_file() for name in PAGES_LEFT_OUT)
