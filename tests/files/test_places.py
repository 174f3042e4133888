"""Files of object stores and web servers: what is asked for, what fails, and how it is told."""

from __future__ import annotations

import errno
import pickle
import threading

import pytest

from lmeec.errors import DataError
from lmeec.files.json import decode_file
from lmeec.files.places import look_up, place
from lmeec.files.reading import check_regular
from lmeec.files.remote.cache import FileCache
from tests.support.stores import serve_files, stand_before

CONTENT = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Ask again at once."""
    monkeypatch.setattr("lmeec.files.remote.attempts.FIRST_WAIT_S", 0.001)


@pytest.fixture
def web(tmp_path):
    (tmp_path / "web" / "a b").mkdir(parents=True)
    (tmp_path / "web" / "a b" / "ü.bin").write_bytes(CONTENT)
    (tmp_path / "web" / "empty.json").write_bytes(b"")
    (tmp_path / "web" / "list.json").write_bytes(b"[1, 2]")
    return tmp_path / "web"


def read_in_parts(where):
    with where.ranges() as file:
        file.seek(-1000, 2)
        end = file.read(2000)
        file.seek(500_000)
        return file.read(10), end


EXPECTED = (CONTENT[500_000:500_010], CONTENT[-1000:])


def test_parts_of_a_page(web):
    with serve_files(web) as (url, traffic):
        where = place(url) / "a b" / "ü.bin"
        assert where.name == "ü.bin"
        assert read_in_parts(where) == EXPECTED
        assert traffic.sent < 2 * 2**17 + 2000
        assert place(f"{url}/a%20b/%C3%BC.bin?token=x").read_bytes() == CONTENT
        assert place(f"{url}/a b/ü.bin").open().read() == CONTENT


def test_a_server_without_ranges_gives_whole_files_or_is_named(web, tmp_path):
    with serve_files(web, in_ranges=False) as (url, traffic):
        where = place(f"{url}/a b/ü.bin")
        with pytest.raises(OSError, match=r"gives whole files alone.*`cache`") as caught:
            read_in_parts(where)
        assert caught.value.errno == errno.EOPNOTSUPP
        traffic.clear()
        assert where.read_bytes() == CONTENT
        assert traffic.sent < 2.5 * len(CONTENT)
        kept = place(f"{url}/a b/ü.bin", FileCache(tmp_path / "cache"))
        for _ in range(2):
            with kept.lease() as lease:
                assert lease.path.read_bytes() == CONTENT
        assert decode_file(place(f"{url}/list.json"), list[int]) == [1, 2]


def test_an_empty_page(web):
    with serve_files(web) as (url, _):
        assert place(f"{url}/empty.json").read_bytes() == b""
        with pytest.raises(DataError, match=r"empty\.json: the file is empty"):
            decode_file(place(f"{url}/empty.json"), list[int])


def test_a_page_that_is_not_there_or_too_large(web):
    with serve_files(web) as (url, traffic):
        with pytest.raises(DataError, match=r"none\.bin: there is no such file"):
            check_regular(place(f"{url}/none.bin"), DataError)
        assert len(traffic.requests) == 1, "that is not asked again"
    with serve_files(web) as (url, traffic):
        with pytest.raises(DataError, match=r"has 2,097,152 bytes, more than the 1,000"):
            check_regular(place(f"{url}/a b/ü.bin"), DataError, most=1000)
        assert traffic.sent <= 1, "the size is known before it is read"


def test_a_page_that_changes_while_it_is_read(web):
    with serve_files(web) as (url, _), place(f"{url}/a b/ü.bin").ranges() as file:
        file.read(10)
        (web / "a b" / "ü.bin").write_bytes(CONTENT[::-1])
        file.seek(2**20)
        with pytest.raises(OSError, match="it was changed while it was read") as caught:
            file.read(10)
        assert caught.value.errno == errno.ESTALE


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_what_passes_is_asked_again(web, fault):
    with serve_files(web) as (url, traffic):
        failures = iter([None, fault, fault])
        traffic.faults = lambda _method, _path: next(failures, None)
        assert place(f"{url}/a b/ü.bin").read_bytes() == CONTENT
        assert len(traffic.requests) == 4
        traffic.faults = lambda _method, _path: "500"
        traffic.clear()
        with pytest.raises(OSError, match=r"no answer in 5 attempts \(StatusError: 500") as caught:
            place(f"{url}/a b/ü.bin").read_bytes()
        assert caught.value.errno == errno.EIO
        assert len(traffic.requests) == 5


def test_a_server_that_stalls(web, monkeypatch):
    for module in ("attempts", "protocols"):
        monkeypatch.setattr(f"lmeec.files.remote.{module}.ANSWER_WITHIN_S", 0.5)
    with serve_files(web) as (url, traffic):
        failures = iter(["stall"])
        traffic.faults = lambda _method, _path: next(failures, None)
        assert place(f"{url}/a b/ü.bin").read_bytes() == CONTENT
        assert len(traffic.requests) == 3


def test_a_web_server_lists_nothing(web):
    with serve_files(web) as (url, _), pytest.raises(OSError, match="name a manifest"):
        list(place(url).iterdir())


@pytest.fixture
def bucket(s3, s3_server, monkeypatch):
    """A bucket behind a server that counts and fails; its URL and what is asked for."""
    import uuid

    with stand_before(s3_server, stalled_s=2) as (address, traffic):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        # Another file system than those of other tests, which go to another address.
        monkeypatch.setattr("lmeec.files.remote.protocols._CONNECTIONS", 10 + int(address.rpartition(":")[2]))
        folder = place(f"{s3}/{uuid.uuid4().hex}")
        files = folder._store._files
        for name, content in {"a b/ü.bin": CONTENT, "a b/c/d.json": b"[1]", "list.json": b"[1, 2]"}.items():
            files.pipe_file(f"{folder.url}/{name}", content)
        traffic.clear()
        yield folder, traffic


def test_folders_of_a_bucket_are_listed_once(bucket):
    folder, traffic = bucket
    folder.list_below()
    assert [one.name for one in folder.iterdir()] == ["a b", "list.json"]
    assert [one.name for one in (folder / "a b").iterdir()] == ["c", "ü.bin"]
    assert (folder / "a b" / "c").is_dir()
    assert (folder / "a b" / "c" / "d.json").is_file()
    assert not (folder / "takes").exists()
    assert (folder / "a b" / "ü.bin").entry().size == len(CONTENT)
    assert [str(one) for one in (folder / "a b").glob("*.bin")] == [f"{folder}/a b/ü.bin"]
    assert len(traffic.requests) == 1


def test_parts_of_an_object(bucket):
    folder, traffic = bucket
    assert read_in_parts(folder / "a b" / "ü.bin") == EXPECTED
    assert traffic.sent < 2 * 2**17 + 2000
    assert decode_file(folder / "list.json", list[int]) == [1, 2]
    assert pickle.loads(pickle.dumps(folder / "list.json")).read_bytes() == b"[1, 2]"


@pytest.mark.parametrize("fault", ["500", "cut", "stall"])
def test_failures_of_a_bucket_that_pass(bucket, fault, monkeypatch):
    folder, traffic = bucket
    monkeypatch.setattr("lmeec.files.remote.protocols.ANSWER_WITHIN_S", 1.0)
    failures = iter([fault, None, fault])
    traffic.faults = lambda _method, _path: next(failures, None)
    assert (folder / "a b" / "ü.bin").read_bytes() == CONTENT
    assert next(failures, "all came") == "all came"


def test_a_bucket_that_does_not_answer(bucket):
    folder, traffic = bucket
    traffic.faults = lambda _method, _path: "500"
    with pytest.raises(OSError, match="no answer in 5 attempts"):
        (folder / "list.json").read_bytes()
    assert len(traffic.requests) == 5


def test_an_object_that_changes_while_it_is_read(bucket):
    folder, _ = bucket
    where = folder / "a b" / "ü.bin"
    with where.ranges() as file:
        file.read(10)
        where._store._files.pipe_file(where.url, CONTENT[::-1])
        file.seek(2**20)
        with pytest.raises(OSError, match="it was changed while it was read") as caught:
            file.read(10)
    assert caught.value.errno == errno.ESTALE
    with pytest.raises(OSError, match="it was changed"):
        where.read_bytes()
    assert where.renewed().read_bytes() == CONTENT[::-1]


def test_missing_buckets_and_denied_ones(s3_server, bucket, monkeypatch):
    folder, traffic = bucket
    with pytest.raises(FileNotFoundError):
        list(place("s3://no-such-bucket/takes").iterdir())
    with pytest.raises(DataError, match=r"s3://no-such-bucket/a\.json: there is no such file"):
        check_regular(place("s3://no-such-bucket/a.json"), DataError)
    traffic.faults = lambda _method, path: "403" if "list-type" in path else None
    with pytest.raises(PermissionError, match="access is denied; check the credentials"):
        list(folder.renewed().iterdir())
    assert (folder.renewed() / "list.json").read_bytes() == b"[1, 2]", "one that may be read is, listed or not"


def test_many_places_are_looked_up_side_by_side(bucket):
    folder, traffic = bucket
    places = [folder / "list.json" for _ in range(20)]
    look_up(places)
    assert len(traffic.requests) == 20
    assert all(one.entry().size == 6 for one in places)
    assert len(traffic.requests) == 20


def test_a_cache_follows_the_versions_of_an_object(bucket, tmp_path):
    folder, traffic = bucket
    cache = FileCache(tmp_path / "cache")
    where = place(f"{folder.url}/list.json", cache)
    assert where.read_bytes() == b"[1, 2]"
    traffic.clear()
    assert where.renewed().read_bytes() == b"[1, 2]"
    assert [one[0] for one in traffic.requests] == ["HEAD"]
    where._store._files.pipe_file(where.url, b"[3, 4]")
    assert where.renewed().read_bytes() == b"[3, 4]"


def test_threads_read_one_bucket(bucket):
    folder, _ = bucket
    read = []

    def work():
        read.append(read_in_parts(folder.renewed() / "a b" / "ü.bin") == EXPECTED)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [True] * 6
