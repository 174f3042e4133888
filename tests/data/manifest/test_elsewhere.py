"""Manifests, videos and masks in an object store or on a web server."""

import json
import shutil
import uuid

import pytest

import lmeec
from lmeec.data.takes import find_takes
from lmeec.errors import DataError
from tests.support.own import own_take, write_manifest
from tests.support.stores import serve_files, upload


@pytest.fixture(scope="module")
def model(tiny):
    return lmeec.load_model(tiny, device="cpu")


@pytest.fixture(scope="module")
def here(rendered_takes, tmp_path_factory):
    """Folders with a manifest of one take, by the form of its masks."""
    root = tmp_path_factory.mktemp("own")
    for form in ("coco", "png"):
        take = own_take(rendered_takes, root / form, form)
        write_manifest(root / form / "recordings.yaml", take)
    return root


def rows_of(model, manifest):
    (take,) = find_takes(manifest)
    assert not take.problems
    return [row for batch in lmeec.predict_take(model, take, "ego2exo") for row in batch.to_pylist()]


@pytest.mark.parametrize("form", ["coco", "png"])
def test_a_manifest_in_a_bucket_is_read_as_one_on_disk(model, here, s3, form):
    url = f"{s3}/{uuid.uuid4().hex}"
    upload(here / form, url)
    assert rows_of(model, f"{url}/recordings.yaml") == rows_of(model, here / form / "recordings.yaml")


def test_a_manifest_on_the_web_needs_no_listing(model, here):
    with serve_files(here / "coco") as (url, _):
        assert rows_of(model, f"{url}/recordings.yaml") == rows_of(model, here / "coco" / "recordings.yaml")


def test_folders_of_pictures_are_not_listed_on_the_web(here):
    with serve_files(here / "png") as (url, _):
        (problem,) = find_takes(f"{url}/recordings.yaml")[0].problems
    assert "a web server does not tell what is in a folder" in problem


def entry_of(folder):
    from ruamel.yaml import YAML

    (take,) = YAML(typ="safe").load(folder / "recordings.yaml")["takes"]
    return take


def test_files_here_and_elsewhere_go_together_and_signatures_are_not_told(model, here, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(here / "coco", folder)
    expected = rows_of(model, folder / "recordings.yaml")
    take = entry_of(folder)
    with serve_files(here / "coco") as (url, _):
        digests = set()
        for signature in ("0a1b", "2c3d"):
            signed = f"{url}/videos/cam a.mp4?X-Amz-Signature={signature}"
            cameras = [take["cameras"][0] | {"video": signed}, *take["cameras"][1:]]
            manifest = write_manifest(folder / "signed.yaml", take | {"cameras": cameras})
            assert rows_of(model, manifest) == expected
            digests.add(find_takes(manifest).annotation_digest)
        assert len(digests) == 1
        gone = signed.replace("cam a", "nowhere")
        write_manifest(manifest, take | {"cameras": [cameras[0] | {"video": gone}, *cameras[1:]]})
        (problem,) = find_takes(manifest)[0].problems
        assert "nowhere.mp4?***" in problem
        assert "2c3d" not in problem


@pytest.mark.parametrize("root", ["/etc", "~/secret", "file:///etc"])
def test_a_manifest_from_elsewhere_names_no_folder_of_this_machine(here, tmp_path, root):
    write_manifest(tmp_path / "recordings.yaml", entry_of(here / "coco"), root=root)
    with serve_files(tmp_path) as (url, _), pytest.raises(DataError, match=r"line 1: root: .*(machine|not read)"):
        find_takes(f"{url}/recordings.yaml")


def test_many_videos_of_a_bucket_are_asked_for_once_each(here, s3, tmp_path):
    """And those that are not there are named, each by its line."""
    cameras = [{"name": f"c{i}", "view": "exo" if i else "ego", "video": f"{i}.mp4"} for i in range(4)]
    takes = [{"name": f"t{i}", "root": f"{s3}/{uuid.uuid4().hex}", "cameras": cameras} for i in range(3)]
    found = find_takes(write_manifest(tmp_path / "recordings.yaml", *takes))
    assert len(found) == 3
    lines = (tmp_path / "recordings.yaml").read_text().splitlines()
    for take in found:
        assert len(take.problems) == 4
        for problem in take.problems:
            line = int(problem.split(", line ")[1].split(":")[0])
            assert lines[line - 1].strip().endswith(problem.rsplit("/", 1)[-1])
    assert json.dumps(found.missing.cameras).count("t0") == 4
