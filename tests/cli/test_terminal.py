"""Names out of files do not steer the terminal, wherever the command shows them."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

import lmeec_cli
from lmeec.runs.events import JobFailed, JobFinished, JobRetried, JobStarted, Notice
from lmeec.runs.jobs import Job
from lmeec.runs.progress import Progress
from lmeec.tables.failures import Failure
from lmeec_cli.console import Console
from lmeec_cli.progress import LogReporter, render
from tests.support.command import lmeec
from tests.support.rendered import EGO

EVIL = "kit\x1b]0;gone\x07chen\x1b[2J\x9b31m\r\u202eneg"
SHOWN = r"kit\u001b]0;gone\u0007chen\u001b[2J\u009b31m\r\u202eneg"


def assert_harmless(text):
    bad = {one for one in text if not one.isprintable()} - {"\n"}
    assert not bad, f"{bad} in {text!r}"


@pytest.fixture
def evil(takes):
    """Takes of which one has a name that would clear the screen, and objects and cameras too."""
    (takes.root / "takes.json").unlink()
    (takes.root / "takes" / takes.names[0]).rename(takes.root / "takes" / EVIL)
    takes.names[0] = EVIL
    with takes.annotations() as annotated:
        take = annotated[takes.uids[0]]
        take["take_name"] = EVIL
        take["scenario"] = f"scenario {EVIL}"
        objects = take["object_masks"]
        objects[f"cup {EVIL}"] = objects.pop(next(iter(objects)))
    takes.rename_camera(0, "gp02", f"cam{EVIL}")
    with takes.annotations() as annotated:  # a camera that is not there
        for cameras in annotated[takes.uids[0]]["object_masks"].values():
            cameras[f"none{EVIL}"] = cameras[f"cam{EVIL}"]
    return takes


def test_through_the_whole_command(evil, tiny, tmp_path):
    out = tmp_path / "results.parquet"
    evil.video(0, "gp01").write_text("no video")
    call = ["predict", evil.root, "--out", out, "--checkpoint", tiny, "--workers", 0]
    runs = [
        lmeec("takes", evil.root),
        lmeec("takes", evil.root, "--check"),
        lmeec("predict", evil.root, "--take", EVIL + "?", "--out", out, "--checkpoint", tiny),
        lmeec("predict", evil.root, "--object", f"no {EVIL}", "--out", out, "--checkpoint", tiny),
        lmeec(*call),
        lmeec("status", out),
        lmeec("score", out, "--by", "object"),
        lmeec("score", out, "--by", "scenario"),
        lmeec("score", out, "--by", "take"),
    ]
    assert runs[4].status == 1
    assert f"{SHOWN} ego2exo" in runs[4].err
    for done in runs:
        assert_harmless(done.out)
        assert_harmless(done.err)
    shown = "".join(done.out + done.err for done in runs)
    assert SHOWN in shown
    assert "Traceback" not in shown


def test_json_says_the_names_as_they_are(evil, tiny, tmp_path):
    out = tmp_path / "results.parquet"
    evil.video(0, EGO).write_text("no video")
    call = ["predict", evil.root, "--out", out, "--checkpoint", tiny, "--workers", 0, "--log-format", "json"]
    lines = lmeec(*call).err
    assert_harmless(lines)
    assert any("kit" in json.loads(line).get("job", "") for line in lines.splitlines() if line.startswith("{"))
    told = lmeec("status", out, "--json").out
    assert_harmless(told)
    assert EVIL in {one["take_name"] for one in json.loads(told)["failures"]}
    listed = lmeec("takes", evil.root, "--json").out
    assert_harmless(listed)
    assert EVIL in {one["name"] for one in json.loads(listed)["takes"]}


def test_nothing_is_said_past_the_one_place():
    for path in Path(lmeec_cli.__file__).parent.glob("*.py"):
        if path.name not in ("terminal.py", "console.py"):
            said = path.read_text()
            assert "typer.echo" not in said, path
            assert "import rich.console" not in said, path
            assert not re.search(r"rich\.console import .*Console", said), path


def test_in_every_line_of_progress():
    job = Job(0, "uid", EVIL, "ego2exo")
    progress = Progress(jobs=2, frames=10)
    progress.set_job("0", job)
    progress.failures.append(Failure("uid", EVIL, "ego2exo", EVIL, 1, EVIL))
    file = io.StringIO()
    reporter = LogReporter(Console(file=file, force_terminal=False, width=400))
    reporter.update(progress)
    for event in (
        JobStarted("0", EVIL, 3, 1),
        JobFinished("0", EVIL, 1, 3, 1.0, (EVIL,)),
        JobRetried("0", EVIL, EVIL, 1),
        JobFailed("0", EVIL, EVIL, 3),
        Notice(EVIL),
    ):
        reporter.event(event)
    Console(file=file, force_terminal=False, width=400).print(render(progress.standing()))
    assert_harmless(file.getvalue())
    assert file.getvalue().count(r"kit\u001b]0;gone") >= 8
    colours = io.StringIO()
    Console(file=colours, force_terminal=True, width=400).print(f"[b]fat[/b] {EVIL}", highlight=False)
    assert "\x1b[1mfat\x1b[0m" in colours.getvalue()
    assert_harmless(colours.getvalue().replace("\x1b[1mfat\x1b[0m", ""))
