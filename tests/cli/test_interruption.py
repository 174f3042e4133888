"""A prediction run that is stopped from outside goes on where it was."""

from __future__ import annotations

import signal
import time

import pytest

from lmeec.tables import list_parts, parts_directory, read_results
from tests.support.command import start_lmeec
from tests.support.tables import names_left


@pytest.fixture
def arguments(takes, tiny, tmp_path):
    takes.add_copies(4)
    return ["predict", takes.root, "--out", tmp_path / "results.parquet", "--checkpoint", tiny]


def finish(arguments):
    """Run undisturbed, in a process of its own as well: rounding depends on what a process has done before."""
    process = start_lmeec(*arguments)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return err


def stop_midway(arguments, out, number):
    """Send a signal once the second part is there; all of the rest is still to do."""
    process = start_lmeec(*arguments)
    try:
        while len(list_parts(parts_directory(out))) < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        process.send_signal(number)
        _, err = process.communicate(timeout=200)
    finally:
        process.kill()
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_stopped_run_leaves_parts_and_a_rerun_completes_it(number, arguments, tmp_path):
    out = tmp_path / "results.parquet"
    status, err = stop_midway(arguments, out, number)
    if number == signal.SIGINT:
        assert status == 130
        assert "run the same command again" in err
        assert "Traceback" not in err
        assert not list(parts_directory(out).glob(".*")), "nothing half-written is left"
    done_before = len(list_parts(parts_directory(out)))
    assert 2 <= done_before < 12
    assert not out.exists()

    assert f"{done_before} done before" in finish(arguments)

    undisturbed = tmp_path / "undisturbed.parquet"
    finish([*arguments[:2], "--out", undisturbed, *arguments[4:]])
    assert read_results(out).equals(read_results(undisturbed))
    assert names_left(tmp_path) == ["results.parquet", "takes", "undisturbed.parquet"]
