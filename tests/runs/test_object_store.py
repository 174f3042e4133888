"""Commands on takes in a bucket do what they do on a disk."""

from __future__ import annotations

import json
import uuid

import pyarrow.parquet as pq
import pytest

from lmeec.data.takes import find_takes
from lmeec.runs.sources import renewed, sources_of
from lmeec.tables import read_results
from tests.support.command import lmeec
from tests.support.prediction_files import reference_files
from tests.support.stores import stand_before, upload
from tests.support.tables import assert_same, assert_same_but_for_the_calls

SIZE = (270, 480)


@pytest.fixture
def bucket(s3, s3_server, rendered_takes, tiny, monkeypatch):
    """The takes and a checkpoint in a bucket, behind a server that counts and fails; their URL and what is asked."""
    monkeypatch.setattr("lmeec.files.remote.attempts.FIRST_WAIT_S", 0.001)
    with stand_before(s3_server) as (address, traffic):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        # Not the connections of another test, which go to another address.
        monkeypatch.setattr("lmeec.files.remote.protocols._CONNECTIONS", 10 + int(address.rpartition(":")[2]))
        url = f"{s3}/{uuid.uuid4().hex}"
        upload(rendered_takes.root, f"{url}/takes")
        upload(tiny, f"{url}/tiny.safetensors")
        traffic.clear()
        yield url, traffic


def rows_of(table):
    return read_results(table).to_pylist()


@pytest.fixture(scope="module")
def on_disk(rendered_takes, tiny, tmp_path_factory):
    """The table of the same takes on a disk."""
    out = tmp_path_factory.mktemp("on_disk") / "results.parquet"
    done = lmeec("predict", rendered_takes.root, "--out", out, "--checkpoint", tiny, "--workers", 0)
    assert done.status == 0, done.err
    return out


def test_predictions_are_those_of_the_takes_on_a_disk(bucket, on_disk, tmp_path):
    url, traffic = bucket
    relations = f"{url}/takes/annotations/relations_val.json"
    given = ("--checkpoint", f"{url}/tiny.safetensors", "--annotations", relations, "--workers", 0)
    done = lmeec("predict", f"{url}/takes", "--out", tmp_path / "r.parquet", *given)
    assert done.status == 0, done.err
    assert rows_of(tmp_path / "r.parquet") == rows_of(on_disk)
    listings = [one for one in traffic.of("GET") if "list-type" in one[1]]
    assert len(listings) <= 4, "however many takes there are"
    traffic.clear()
    again = lmeec("predict", f"{url}/takes", "--out", tmp_path / "r.parquet", *given)
    assert again.status == 0
    assert "holds all of this run already" in again.err
    assert not traffic.of("GET", ".mp4"), "what a store says of its files tells that they are the same"


def test_whole_files_are_fetched_once_into_a_cache(bucket, on_disk, rendered_takes, tmp_path):
    url, traffic = bucket
    given = ("--checkpoint", f"{url}/tiny.safetensors", "--cache", tmp_path / "cache", "--workers", 0)
    for name in ("one", "two"):
        done = lmeec("predict", f"{url}/takes", "--out", tmp_path / f"{name}.parquet", *given)
        assert done.status == 0, done.err
        assert rows_of(tmp_path / f"{name}.parquet") == rows_of(on_disk)
    fetched = traffic.of("GET", ".mp4")
    assert len(fetched) == len({path for _, path, _ in fetched}) == len(list((tmp_path / "cache").glob("*.mp4")))
    assert done.status == 0


def test_a_video_that_the_store_does_not_give_costs_what_needs_it(bucket, on_disk, rendered_takes, tmp_path):
    url, traffic = bucket
    name = f"{rendered_takes.names[0]}/frame_aligned_videos/gp01.mp4"
    traffic.faults = lambda _method, path: "500" if name in path else None
    given = (f"{url}/takes", "--out", tmp_path / "r.parquet", "--checkpoint", f"{url}/tiny.safetensors", "--workers", 0)
    done = lmeec("predict", *given, "--retries", 1)
    assert done.status == 1
    failures = json.loads((tmp_path / "r.parquet.failures.json").read_text())
    assert "gp01.mp4: cannot be read: the store gave no answer in 5 attempts" in json.dumps(failures)
    failed = [row for row in rows_of(tmp_path / "r.parquet") if row["missing"] == "failed"]
    cameras = {(row["take_name"], camera) for row in failed for camera in (row["query_cam"], row["target_cam"])}
    assert cameras == {(rendered_takes.names[0], camera) for camera in ("gp01", "aria01_214-1")}
    traffic.faults = lambda _method, _path: None
    assert lmeec("predict", *given).status == 0
    assert_same(read_results(tmp_path / "r.parquet"), read_results(on_disk))


def test_a_video_that_was_replaced_is_predicted_anew(bucket, rendered_takes, tmp_path):
    url, _ = bucket
    given = (f"{url}/takes", "--out", tmp_path / "r.parquet", "--checkpoint", f"{url}/tiny.safetensors", "--workers", 0)
    assert lmeec("predict", *given).status == 0
    take = f"{url}/takes/takes/{rendered_takes.names[0]}/frame_aligned_videos"
    upload(rendered_takes.video(0, "gp02"), f"{take}/gp01.mp4")
    done = lmeec("predict", *given)
    assert done.status == 0
    assert "1 cameras are not what they were when they were predicted" in done.err
    take = next(iter(find_takes(f"{url}/takes")))
    assert sources_of(take, ["gp01"]) == sources_of(renewed(take), ["gp01"])


def test_takes_are_listed_and_checked(bucket, rendered_takes):
    url, traffic = bucket
    there = json.loads(lmeec("takes", f"{url}/takes", "--check", "--json").out)
    here = json.loads(lmeec("takes", rendered_takes.root, "--check", "--json").out)
    assert str(there).replace(f"{url}/takes", "") == str(here).replace(str(rendered_takes.root), "")
    traffic.clear()
    one = lmeec("takes", f"{url}/takes", "--take", rendered_takes.names[1], "--json")
    assert [take["name"] for take in json.loads(one.out)["takes"]] == [rendered_takes.names[1]]
    assert not traffic.of("GET", rendered_takes.names[0])


def test_denied_listings_and_missing_buckets_are_told(bucket):
    url, traffic = bucket
    traffic.faults = lambda _method, path: "403" if "list-type" in path else None
    done = lmeec("takes", f"{url}/takes")
    assert done.status == 1
    assert f"error: {url}/takes: cannot be read: access is denied; check the credentials of the environment" in done.err
    traffic.faults = lambda _method, _path: None
    done = lmeec("takes", "s3://no-such-bucket/takes")
    assert done.status == 1
    assert "error: s3://no-such-bucket/takes: there is no such folder" in done.err


def test_clips_are_those_of_the_takes_on_a_disk(bucket, rendered_takes, tmp_path):
    url, _ = bucket
    made = {}
    for name, root in (("there", f"{url}/takes"), ("here", str(rendered_takes.root))):
        out, folder = tmp_path / f"{name}.parquet", tmp_path / name
        done = lmeec(
            "clips", root, "--out", out, "--extract", folder, "--workers", 0, "--rule", "fixed", "--seconds", 1
        )
        assert done.status == 0, done.err
        videos = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.mp4")}
        made[name] = str(pq.read_table(out).to_pylist()).replace(root, ""), videos
    assert made["there"] == made["here"]
    assert made["here"][1]


def test_predictions_of_others_are_imported_from_a_bucket(bucket, tmp_path):
    url, _ = bucket
    files = reference_files(SIZE, SIZE)
    peers = files.write_predictions(tmp_path / "peers.json"), files.write_relations(tmp_path / "relations_val.json")
    for path in peers:
        upload(path, f"{url}/{path.name}")
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    assert lmeec("import", peers[0], "--annotations", peers[1], "--out", here).status == 0
    urls = (f"{url}/peers.json", "--annotations", f"{url}/relations_val.json")
    done = lmeec("import", *urls, "--out", there)
    assert done.status == 0, done.err
    assert_same_but_for_the_calls(there, here)


def test_the_processed_layout_is_read_from_a_bucket(bucket, rendered_takes, tmp_path):
    from tests.support.rendered import EGO

    url, traffic = bucket
    take = next(iter(find_takes(rendered_takes.root)))
    folder = tmp_path / "processed" / take.uid
    masks = {"cup": {}}
    for camera in (EGO, "gp01"):
        (folder / camera).mkdir(parents=True)
        masks["cup"][camera] = {}
        track = next(track for (_, name), track in take.tracks.items() if name == camera and track.frames)
        with take.cameras[camera].open() as reader:
            for index, image in reader.read(range(0, 20, 5)):
                write_jpeg(folder / camera / f"{index}.jpg", image)
                mask = track.mask(track.frames[0])
                masks["cup"][camera][str(index)] = {"size": [mask.height, mask.width], "counts": mask.counts}
    (folder / "annotation.json").write_text(json.dumps({"masks": masks, "subsample_idx": [0, 5]}))
    upload(tmp_path / "processed", f"{url}/processed")
    traffic.clear()
    (there,), (here,) = find_takes(f"{url}/processed"), find_takes(tmp_path / "processed")
    assert there.annotation_digest == here.annotation_digest
    assert sources_of(there, there.cameras)[EGO].kind == "frames"
    assert len([one for one in traffic.requests if "list-type" in one[1]]) <= 2
    with there.cameras[EGO].open((64, 64)) as one, here.cameras[EGO].open((64, 64)) as other:
        for (_, image), (_, expected) in zip(one.read([0, 10]), other.read([0, 10]), strict=True):
            assert (image == expected).all()


def write_jpeg(path, image):
    from PIL import Image

    Image.fromarray(image).save(path)
