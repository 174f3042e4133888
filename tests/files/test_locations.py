"""Files in folders and in object stores."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lmeec.errors import OutputError
from lmeec.files.locations import location
from lmeec.files.whole import create_exclusively


def test_of_many_that_make_a_file_one_does(store):
    path = location(f"{store}/folder/owner-000001.json")
    barrier = threading.Barrier(6)

    def make(number):
        barrier.wait()
        return create_exclusively(path, str(number).encode())

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(make, range(6)))
    assert sum(made) == 1
    assert path.read_bytes() == str(made.index(True)).encode()
    assert create_exclusively(path, path.read_bytes()), "an upload that is sent again is not another's"


@pytest.mark.parametrize("url", ["nothing://bucket/x.parquet", "gs://bucket/x.parquet"])
def test_an_unknown_or_missing_file_system_is_told(url):
    with pytest.raises(OutputError, match=r"not a known file system|\[gcs\]"):
        location(url)
