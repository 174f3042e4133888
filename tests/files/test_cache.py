"""Whole files that are kept for all processes of a machine."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from lmeec.errors import ConfigError, DataError
from lmeec.files.places import place
from lmeec.files.remote.cache import FileCache, size_in_bytes
from tests.support.stores import serve_files

MB = 10**6


def kept(cache):
    return sorted(path.read_bytes()[:1] for path in cache.folder.glob("lmeec-cache-*.bin"))


def leased(cache, letter, size=MB, fetched=None):
    def fill(file):
        if fetched is not None:
            fetched.append(letter)
        file.write(letter * size)

    return cache.lease(letter.decode(), size, ".bin", fill)


def test_what_was_used_longest_ago_goes_first(tmp_path):
    cache, fetched = FileCache(tmp_path / "cache", 3 * MB), []
    for letter in (b"a", b"b", b"c", b"a", b"d"):
        leased(cache, letter, fetched=fetched).close()
        time.sleep(0.02)
    assert kept(cache) == [b"a", b"c", b"d"]
    assert fetched == [b"a", b"b", b"c", b"d"]


def test_what_is_in_use_is_not_removed(tmp_path):
    cache = FileCache(tmp_path, 2 * MB)
    first = leased(cache, b"a")
    leased(cache, b"b").close()
    leased(cache, b"c").close()
    assert kept(cache) == [b"a", b"c"]
    second = leased(cache, b"c")
    assert leased(cache, b"d") is None, "there is no room, and nobody is harmed"
    assert first.path.read_bytes() == b"a" * MB
    first.close()
    second.close()
    leased(cache, b"d").close()
    assert kept(cache) == [b"c", b"d"]


def test_a_file_that_is_larger_than_the_cache_is_not_fetched_for_it(tmp_path):
    cache, fetched = FileCache(tmp_path / "cache", MB), []
    assert leased(cache, b"a", size=2 * MB, fetched=fetched) is None
    assert not fetched


def test_a_fetch_that_fails_leaves_nothing_and_is_told(tmp_path):
    cache = FileCache(tmp_path, 2 * MB)

    def fail(file):
        file.write(b"half")
        raise OSError(5, "the store gave no answer")

    with pytest.raises(OSError, match="no answer"):
        cache.lease("a", MB, ".bin", fail)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    assert leased(cache, b"a") is not None


def test_what_a_process_that_died_was_fetching_is_cleared_away(tmp_path):
    cache = FileCache(tmp_path, 2 * MB)
    (tmp_path / "lmeec-cache-abc.mp4.0011.tmp").write_bytes(bytes(2 * MB))
    (tmp_path / "mine.txt").write_text("is no file of the cache")
    leased(cache, b"a").close()
    assert {path.name for path in tmp_path.glob("*.t*")} == {"mine.txt"}


def test_a_file_that_somebody_cut_is_fetched_again(tmp_path):
    cache, fetched = FileCache(tmp_path, 2 * MB), []
    leased(cache, b"a", fetched=fetched).close()
    (path,) = tmp_path.glob("*.bin")
    os.truncate(path, 10)
    with leased(cache, b"a", fetched=fetched) as lease:
        assert lease.path.stat().st_size == MB
    assert fetched == [b"a", b"a"]


def read_often(url, folder, size, results):
    cache = FileCache(Path(folder), size)
    for turn in range(6):
        number = (turn + os.getpid()) % 3
        with place(f"{url}/{number}.bin", cache).open() as file:
            results.put(file.read() == bytes([number]) * MB)


def test_several_processes_share_one(tmp_path):
    (tmp_path / "web").mkdir()
    for number in range(3):
        (tmp_path / "web" / f"{number}.bin").write_bytes(bytes([number]) * MB)
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with serve_files(tmp_path / "web") as (url, traffic):
        workers = [
            context.Process(target=read_often, args=(url, str(tmp_path / "cache"), 10 * MB, results)) for _ in range(3)
        ]
        for worker in workers:
            worker.start()
        read = [results.get(timeout=120) for _ in range(18)]
        for worker in workers:
            worker.join()
    assert all(read)
    bodies = [one for one in traffic.requests if one[2] != "bytes=0-0"]
    assert len(bodies) == 3, "each file was fetched once"
    assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("*.bin")) == 3 * MB
    assert not list((tmp_path / "cache").glob("*.claim"))


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DataError, match=r"file/below: cannot be used to keep files: .*; name another `cache`"):
        leased(FileCache(tmp_path / "file" / "below"), b"a")


def test_sizes():
    assert size_in_bytes("50GB") == 50 * 10**9
    assert size_in_bytes("1.5 gib") == 3 * 2**29
    assert size_in_bytes("1000") == 1000
    for text in ("", "GB", "-1GB", "0", "50 XB", "nan", "infGB", "1e400"):
        with pytest.raises(ConfigError, match="`cache_size` is"):
            size_in_bytes(text)
