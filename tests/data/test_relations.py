"""Relations files: lean reading, masks on demand, and what is said of broken ones."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import lzstring
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmeec.data.lz import decompress
from lmeec.data.relations import RelationsFile
from lmeec.errors import DataError
from lmeec.masks import RunLengthMask
from tests.support.memory import peak_of_objects
from tests.support.places import ASSETS
from tests.support.trees import annotated, encoded_mask, square_mask, take_annotations, write_relations

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = json.loads((ASSETS / "relations/sample_masks.json").read_text())["masks"]


def with_mask(path: Path, **fields: object) -> RelationsFile:
    """A file with one mask of which some fields are replaced."""
    camera = {"annotation": {"30": encoded_mask(30) | fields}, "annotated_frames": [30]}
    write_relations(path, {"uid": take_annotations("the take", {"red mug_0": {"cam01": camera}})})
    return RelationsFile(path)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample['camera']}-{sample['frame']}")
def test_real_masks_decode_to_their_area_and_box(tmp_path, sample):
    fields = {name: sample[name] for name in ("width", "height", "encodedMask")}
    mask = with_mask(tmp_path / "r.json", **fields).tracks("uid")["red mug_0", "cam01"].mask(30)
    assert mask == RunLengthMask(sample["height"], sample["width"], sample["counts"])
    assert mask.area == sample["area"]
    rows, columns = np.nonzero(mask.decode())
    assert [columns.min(), rows.min(), columns.max(), rows.max()] == sample["bbox_xyxy"]


def test_tracks_tell_visible_hidden_and_unannotated_frames(tmp_path):
    objects = {"red mug_0": {"aria01_214-1": annotated([30, 0], [0, 30, 60]), "cam01": annotated([], [30])}}
    path = write_relations(tmp_path / "r.json", {"uid": take_annotations("the take", objects)})
    relations = RelationsFile(path)
    assert relations.heads["uid"].take_name == "the take"
    assert relations.heads["uid"].cameras == ["aria01_214-1", "cam01"]
    tracks = relations.tracks("uid")
    ego, exo = tracks["red mug_0", "aria01_214-1"], tracks["red mug_0", "cam01"]
    assert (ego.annotated_frames, ego.frames, ego.size) == ((0, 30, 60), (0, 30), (96, 128))
    assert np.array_equal(ego.mask(30).decode(), square_mask(30))
    assert ego.mask(60) is None
    assert (exo.annotated_frames, exo.frames, exo.size) == ((30,), (), None)


def test_the_query_masks_of_the_test_split_need_nothing_else(tmp_path):
    mask = {name: value for name, value in encoded_mask(0).items() if name != "clicks"}
    document = {"annotations": {"uid": {"object_masks": {"mug": {"aria01": {"annotation": {"0": mask}}}}}}}
    path = tmp_path / "relations_test.json"
    path.write_text(json.dumps(document))
    track = RelationsFile(path).tracks("uid")["mug", "aria01"]
    assert (track.annotated_frames, track.frames) == (None, (0,))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"encodedMask": "not LZString!"}, "alphabet"),
        ({"encodedMask": "Ωμέγα"}, "alphabet"),
        ({"encodedMask": ""}, "empty"),
        ({"encodedMask": SAMPLES[0]["encodedMask"][:-40]}, "middle"),
        ({"encodedMask": lzstring.LZString().compressToEncodedURIComponent("no counts")}, "mask"),
        ({"width": 127}, "12288 pixels"),
        ({"height": 97}, "12288 pixels"),
        ({"width": 0}, "0"),
        ({"width": 10**9, "height": 10**9}, "1000000000"),
        ({"width": 10**30}, r"96x10\^30"),
    ],
)
def test_a_bad_mask_is_named_by_file_take_object_camera_and_frame(tmp_path, fields, reason):
    track = with_mask(tmp_path / "r.json", **fields).tracks("uid")["red mug_0", "cam01"]
    with pytest.raises(DataError, match=reason) as caught:
        track.mask(30)
    for part in (str(tmp_path / "r.json"), "'the take'", "'red mug_0'", "'cam01'", "frame 30"):
        assert part in str(caught.value)


def test_masks_of_two_sizes_in_one_camera_are_refused(tmp_path):
    camera = {"annotation": {"0": encoded_mask(0), "30": encoded_mask(30, (48, 64))}, "annotated_frames": []}
    path = write_relations(tmp_path / "r.json", {"uid": take_annotations("t", {"mug": {"cam01": camera}})})
    track = RelationsFile(path).tracks("uid")["mug", "cam01"]
    assert track.mask(0) is not None
    with pytest.raises(DataError, match=r"frame 30.*48x64.*96x128"):
        track.mask(30)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"annotations": {\n  "a": {},\n  "b": oops}}', "line 3, column 8"),
        ('{"annotations": {\n  "a": {"take_name": "cut', "breaks off at line 2, column 26"),
        ('{"annotations": {}}\n\n  more', "line 3, column 3"),
    ],
)
def test_broken_json_is_named_by_line_and_column(tmp_path, text, place):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        RelationsFile(path)
    assert str(path) in str(caught.value)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b'{"annotations": {\n"\xff": {}}}', "line 2, column 2 is not valid UTF-8"),
        (b'{"takes": []}', "annotations"),
        (b'{"annotations": {"a": ' + b"[" * 100_000, "nested"),
    ],
)
def test_other_files_are_refused(tmp_path, data, reason):
    path = tmp_path / "r.json"
    path.write_bytes(data)
    with pytest.raises(DataError, match=reason):
        RelationsFile(path)


def test_a_take_of_another_shape_leaves_the_others_usable(tmp_path):
    good = take_annotations("good", {"mug": {"cam01": annotated([0])}})
    relations = RelationsFile(write_relations(tmp_path / "r.json", {"bad": {"object_masks": 3}, "good": good}))
    assert "'bad'" in relations.unreadable["bad"]
    assert relations.tracks("good")["mug", "cam01"].mask(0) is not None


def test_a_bad_frame_number_is_an_error_of_its_take(tmp_path):
    camera = {"annotation": {"-1": encoded_mask(0)}}
    path = write_relations(tmp_path / "r.json", {"uid": take_annotations("t", {"mug": {"cam01": camera}})})
    with pytest.raises(DataError, match="'uid'"):
        RelationsFile(path).tracks("uid")


def test_the_file_is_not_loaded_into_memory(tmp_path):
    clicks = [{"x": number, "y": number, "positive": True} for number in range(2000)]
    camera = annotated([0]) | {"clicks_per_annotation": clicks}
    takes = {f"uid{n}": take_annotations(f"take {n}", {"mug": {"cam01": camera}}) for n in range(100)}
    path = write_relations(tmp_path / "r.json", takes)
    assert peak_of_objects(read_one_of_many, path) < path.stat().st_size / 20


def read_one_of_many(path):
    assert RelationsFile(path).tracks("uid7")["mug", "cam01"].frames == (0,)


def test_digests_tell_whether_annotations_changed(tmp_path):
    first = with_mask(tmp_path / "a.json").digest("uid")
    assert with_mask(tmp_path / "b.json").digest("uid") == first
    assert with_mask(tmp_path / "c.json", width=64).digest("uid") != first


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, alphabet=st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])))
def test_decompress_undoes_the_lzstring_package(text):
    assert decompress(lzstring.LZString().compressToEncodedURIComponent(text)) == text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ABCDwxyz0189+-$", min_size=1))
def test_decompress_survives_any_text(text):
    with contextlib.suppress(DataError):
        assert len(decompress(text, max_length=1000)) <= 1000


def test_a_few_bytes_that_stand_for_gigabytes_are_refused():
    bomb = lzstring.LZString().compressToEncodedURIComponent("0" * 200_000)
    assert len(bomb) < 2000
    with pytest.raises(DataError, match="more than 1,000 characters"):
        decompress(bomb, max_length=1000)


def test_half_a_surrogate_pair_in_a_name_costs_no_other_object(tmp_path):
    """It is no text, and is read as U+FFFD; what looks like it but is text stays."""
    objects = {f"{name}": {"cam01": annotated([0])} for name in ("cup \ud800", "bowl", "\\ud800", "🎥", "\\\udc00")}
    path = write_relations(tmp_path / "r.json", {"uid": take_annotations("t", objects), "other": {}})
    relations = RelationsFile(path)
    assert not relations.unreadable
    names = [name for name, _ in relations.tracks("uid")]
    assert names == ["cup \ufffd", "bowl", "\\ud800", "🎥", "\\\ufffd"]
    assert relations.tracks("uid")["cup \ufffd", "cam01"].mask(0) is not None
