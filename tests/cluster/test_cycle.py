"""`lmeec cycle` on Ray workers: killed workers, and a killed driver, do not change the table."""

from __future__ import annotations

import re
import signal
import time

from lmeec.tables import list_parts, parts_directory, read_results
from tests.support.command import lmeec, start_lmeec
from tests.support.predictions import predict_fairly
from tests.support.ray_workers import Workers
from tests.support.tables import assert_same


def test_killed_workers_and_a_killed_driver_do_not_change_the_round_trips(cluster, takes, tiny, tmp_path):
    takes.add_copies(4)
    table = predict_fairly(takes.root, tmp_path / "results.parquet")

    def call(out, *options):
        return ["cycle", table, takes.root, "--out", out, "--checkpoint", tiny, *options]

    out, undisturbed = tmp_path / "trips.parquet", tmp_path / "undisturbed.parquet"
    on_ray = call(out, "--workers", 2, "--cpus-per-worker", 1, "--ray-address", cluster, "--retries", 20)
    driver, killed = start_lmeec(*on_ray), False
    deadline = time.monotonic() + 120
    while (parts := len(list_parts(parts_directory(out)))) < 3 or not killed:
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < deadline
        killed = killed or Workers().send(signal.SIGKILL)
        time.sleep(0.05)
    driver.kill()
    driver.communicate()
    assert parts < 12
    assert not out.exists()

    again = start_lmeec(*on_ray)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert re.search(r"[1-9] takes and directions to predict, ([3-9]|1[01]) done before", err), err
    assert lmeec(*call(undisturbed, "--workers", 0)).status == 0
    rows = read_results(out)
    assert not rows["cycle_iou"].null_count
    assert_same(rows, read_results(undisturbed))
    assert not parts_directory(out).exists()
