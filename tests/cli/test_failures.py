"""How the command ends where it cannot go on: a message and a status, whatever happens."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lmeec.errors import DataError
from tests.support.command import lmeec
from tests.support.full import leave_room, little_room
from tests.support.places import ROOT
from tests.support.rows import row, square, write_results

COMMAND = [sys.executable, "-c", "from lmeec_cli.main import main; main()"]
PLAIN = {name: value for name, value in os.environ.items() if name != "LMEEC_DEBUG"} | {"PYTHONPATH": str(ROOT)}
NAME = "cup Küche 杯"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("failures") / "results.parquet"
    return write_results(path, [row(30 * at, object=NAME, gt_state="visible", gt=square(10, 40)) for at in range(3)])


def run(*words, env=PLAIN, **options):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run([*COMMAND, *map(str, words)], text=True, env=env, timeout=60, check=False, **streams)


def fail_with(monkeypatch, error):
    def read(*_, **__):
        raise error

    monkeypatch.setattr("lmeec.analysis.frames.load_frames", read)


def test_what_nobody_foresaw_asks_for_a_report_with_the_traceback_in_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("LMEEC_DEBUG", raising=False)
    fail_with(monkeypatch, ZeroDivisionError("x" * 5000))
    done = lmeec("score", tmp_path / "r.parquet")
    assert done.status == 70
    assert "Traceback" not in done.err
    assert "ZeroDivisionError" in done.err
    assert "report it" in done.err
    assert len(done.err) < 1000
    details = Path(re.search(r"with (\S+\.txt)", done.err)[1])
    assert details.stat().st_mode & 0o077 == 0
    text = details.read_text()
    assert "Traceback" in text
    assert "in read" in text
    assert "r.parquet" in text


def test_where_no_file_can_be_written_it_says_how_to_see_more(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    fail_with(monkeypatch, KeyError("x"))
    done = lmeec("score", tmp_path / "r.parquet")
    assert done.status == 70
    assert "LMEEC_DEBUG=1" in done.err


def test_a_panic_of_a_library_is_a_defect_too(monkeypatch, tmp_path):
    class PanicException(BaseException):
        """As those of libraries in Rust, no `Exception`."""

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, PanicException("gave up"))
    assert lmeec("score", tmp_path / "r.parquet").status == 70


@pytest.mark.parametrize("way", ["before the command", "after it", "LMEEC_DEBUG"])
def test_debug_shows_the_traceback_with_its_causes(way, monkeypatch, tmp_path):
    try:
        try:
            {}["inner"]
        except KeyError as error:
            raise DataError("r.parquet: is broken") from error
    except DataError as error:
        fail_with(monkeypatch, error)
    words = ["score", tmp_path / "r.parquet"]
    assert "Traceback" not in lmeec(*words).err
    if way == "LMEEC_DEBUG":
        monkeypatch.setenv(way, "1")
    else:
        words.insert(0 if way.startswith("before") else 2, "--debug")
    done = lmeec(*words)
    assert done.status == 1
    assert "Traceback" in done.err
    assert "KeyError: 'inner'" in done.err
    assert done.err.splitlines()[-1] == "error: r.parquet: is broken"


def test_a_defect_with_debug_shows_its_traceback_and_writes_no_file(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail_with(monkeypatch, IndexError("there"))
    done = lmeec("score", tmp_path / "r.parquet", "--debug")
    assert done.status == 70
    assert "Traceback" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["lmeec_cli.score", "pyarrow"])
def test_ctrl_c_while_importing(place, results):
    """Python's own signal is sent when the import of a module begins."""
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {place!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from lmeec_cli.main import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "score", results], capture_output=True, text=True, env=PLAIN, check=False
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_ctrl_c_that_a_library_turned_into_its_own_error(monkeypatch, tmp_path):
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("numpy could not be imported") from error
    except ImportError as error:
        fail_with(monkeypatch, error)
    assert lmeec("score", tmp_path / "r.parquet").status == 130


def test_a_working_directory_that_is_gone(tmp_path, results):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'cd "$1" && rmdir "$1" && shift && exec "$@"', "sh", gone, *COMMAND, "score", results],
        capture_output=True,
        text=True,
        env=PLAIN,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the working directory was removed")


@pytest.mark.parametrize("call", ["score", "score --json", "score --csv", "takes --json", "status --json"])
def test_standard_output_on_a_full_disk(call, results, rendered_takes):
    command, *options = call.split()
    with Path("/dev/full").open("w") as full:
        done = run(command, rendered_takes.root if command == "takes" else results, *options, stdout=full)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: cannot write to standard output: No space left on device"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_reader_that_goes_away_is_nothing_to_tell(results):
    reading, writing = os.pipe()
    os.close(reading)
    done = run("score", results, stdout=writing)
    os.close(writing)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "error" not in done.stderr
    assert "Broken pipe" not in done.stderr


def test_closed_standard_output(results):
    done = run("score", results, preexec_fn=lambda: os.close(1))
    assert done.returncode == 1
    assert "cannot write to standard output" in done.stderr


def test_with_nowhere_to_say_it_the_status_tells(tmp_path):
    with Path("/dev/full").open("w") as full:
        assert run("score", tmp_path / "none.parquet", stdout=full, stderr=full).returncode == 1


def test_a_copied_recipe_that_finds_no_room_leaves_nothing(tmp_path):
    with little_room(100):
        done = lmeec("recipe", "cp", "overnight", tmp_path / "mine.yaml")
    assert done.status == 1
    assert f"cannot write {tmp_path / 'mine.yaml'}: File too large" in done.err
    assert not list(tmp_path.iterdir())


def test_a_table_of_scores_that_finds_no_room(results, tmp_path):
    done = run("score", results, "--out", tmp_path / "groups.parquet", preexec_fn=lambda: leave_room(1000))
    assert done.returncode == 1
    assert f"cannot write {tmp_path / 'groups.parquet'}: File too large" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--csv", "--json", "--by=object"])
def test_names_where_letters_have_only_ascii(option, results):
    env = PLAIN | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = run("score", results, option, "--by", "object", env=env)
    assert done.returncode == 0, done.stderr
    assert "cup K" in done.stdout
    assert done.stdout.isascii()


def test_pipes_in_place_of_results_are_refused_at_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for command in ("score", "report", "status"):
        done = run(command, pipe)
        assert done.returncode == 1
        assert "pipe" in done.stderr


@pytest.mark.parametrize("length", [245, 255, 256])
def test_long_names_of_results(length, results, tmp_path):
    path = tmp_path / "".ljust(length, "n")
    if length < 256:
        path.write_bytes(results.read_bytes())
    done = lmeec("score", path)
    assert done.status == (0 if length < 256 else 1), done.err
    for command in ("status", "report"):
        assert lmeec(command, path).status in (0, 1)
    done = lmeec("score", results, "--out", path)
    assert done.status == (0 if length < 256 else 1)


def test_names_look_the_same_on_a_terminal_and_in_a_pipe(tmp_path):
    """What would be colours on a terminal is spelt out."""
    path = write_results(tmp_path / "r.parquet", [row(0, object="\x1b[31mred", gt_state="visible", gt=square(10, 40))])
    ours, theirs = pty.openpty()
    done = run("score", path, "--csv", "--by", "object", stdout=theirs)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "\x1b" not in shown
    assert r"\u001b[31mred" in shown
    assert "\x1b" not in run("score", path, "--by", "object").stdout


def test_a_pipe_in_place_of_a_calibration_is_refused_at_once(results, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = run("score", results, "--calibration", pipe)
    assert done.returncode == 1
    assert "is a named pipe" in done.stderr


@pytest.mark.parametrize("command", ["predict takes", "import peers.json --annotations truth.json", "clips takes"])
def test_a_table_with_the_name_of_another_format_is_refused_before_any_work(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("takes").mkdir()
    done = lmeec(*command.split(), "--out", "night.CSV")
    assert done.status == 1
    assert "night.CSV: the table is written as Parquet" in done.err
    assert "give --out a name such as night.parquet" in done.err
