"""The one definition of a target frame's ground truth, from every kind of annotation file."""

from __future__ import annotations

import json

import lzstring
import pytest

from lmeec.data.processed import read_tracks
from lmeec.data.relations import RelationsFile
from lmeec.data.tracks import EncodedMask, MaskTrack
from lmeec.data.truth import EvaluationSizes, UncountedMasks, frame_truth, state_of
from lmeec.errors import DataError
from lmeec.importing.truth import TruthFile
from lmeec.masks import RunLengthMask
from tests.support.trees import SIZE, annotated, encoded_mask, take_annotations, write_processed, write_relations

EMPTY = RunLengthMask.empty(*SIZE)
STATES = {0: "visible", 30: "visible", 60: "absent", 90: "unannotated", 120: "unannotated", 150: "unannotated"}
"""Of a mask, a mask without foreground, no mask, a mask outside the annotated frames, a null mask, and nothing."""


@pytest.fixture
def relations(tmp_path):
    camera = annotated([0, 30, 90, 120], [0, 30, 60, 120])
    camera["annotation"]["30"] = encoded_mask(30) | {"encodedMask": empty_text()}
    camera["annotation"]["120"] = None
    return write_relations(tmp_path / "r.json", {"uid": take_annotations("the take", {"mug": {"cam01": camera}})})


def empty_text():
    return lzstring.LZString().compressToEncodedURIComponent(EMPTY.counts)


def ground_truth_file(path):
    """The benchmark's processed file of the same annotations."""
    mask = {"size": list(SIZE), "counts": RunLengthMask.encode(~EMPTY.decode()).counts}
    masks = {"0": mask, "30": mask | {"counts": EMPTY.counts}, "90": mask, "120": None}
    take = {"masks": {"mug": {"cam01": masks}}, "annotated_frames": {"mug": {"cam01": [0, 30, 60, 120]}}}
    path.write_text(json.dumps({"annotations": {"uid": take}}))
    return path


def test_states_of_a_relations_file(relations):
    track = RelationsFile(relations).tracks("uid")["mug", "cam01"]
    assert {frame: state_of(track, frame) for frame in STATES} == STATES
    assert {frame: frame_truth(track, frame).mask is not None for frame in STATES} == {
        frame: state == "visible" for frame, state in STATES.items()
    }
    assert frame_truth(track, 30) == ("visible", EMPTY)
    assert track.frames == (0, 30, 90)  # as a query, the mask outside of the annotated frames is one too
    assert state_of(None, 0) == "unannotated"


@pytest.mark.parametrize("null", [None, {"width": 128, "height": 96, "encodedMask": None}, {"width": 1, "height": 1}])
def test_null_masks_of_relations_leave_the_take_usable(tmp_path, null):
    camera = annotated([0], [0, 30])
    camera["annotation"]["30"] = null
    path = write_relations(tmp_path / "r.json", {"uid": take_annotations("t", {"mug": {"cam01": camera}})})
    track = RelationsFile(path).tracks("uid")["mug", "cam01"]
    assert [state_of(track, frame) for frame in (0, 30)] == ["visible", "unannotated"]
    assert track.frames == (0,)


def test_states_of_the_benchmarks_processed_file_are_the_same(tmp_path):
    track = TruthFile(ground_truth_file(tmp_path / "gt.json")).take("uid").tracks["mug", "cam01"]
    assert {frame: state_of(track, frame) for frame in STATES} == STATES


def test_the_processed_layout_knows_only_where_masks_are(tmp_path):
    folder = write_processed(tmp_path, "uid")
    document = json.loads((folder / "annotation.json").read_text())
    masks = document["masks"]["red mug_0"]["cam01"]
    masks |= {"30": masks["0"] | {"counts": EMPTY.counts}, "90": None}
    (folder / "annotation.json").write_text(json.dumps(document))
    track = read_tracks(folder)["red mug_0", "cam01"]
    states = {0: "visible", 30: "visible", 60: "unannotated", 90: "unannotated", 120: "unannotated"}
    assert {frame: state_of(track, frame) for frame in states} == states
    assert track.frames == (0, 30)


def test_masks_that_do_not_count_are_counted_and_the_first_is_named(relations):
    uncounted = UncountedMasks()
    for _ in range(2):
        uncounted.add(RelationsFile(relations).tracks("uid").values())
    outside, null = uncounted.warnings()
    assert outside == (
        "2 masks are not at annotated frames, and do not count as ground truth; the first is take 'the take', object "
        "'mug', camera 'cam01', frame 90"
    )
    assert null.startswith("2 masks are null, as their decoding failed")
    assert null.endswith("frame 120")
    assert list(UncountedMasks().warnings()) == []


def test_masks_are_compared_at_the_size_of_the_objects_own_or_else_of_the_camera(tmp_path):
    objects = {
        "mug": {"cam01": annotated([0])},
        "pan": {"cam01": annotated([], [0]), "cam02": annotated([], [0])},
        "pot": {"cam01": {"annotation": {"0": encoded_mask(0, (48, 128))}, "annotated_frames": [0]}},
    }
    path = write_relations(tmp_path / "r.json", {"uid": take_annotations("t", objects)})
    sizes = EvaluationSizes(RelationsFile(path).tracks("uid"), {"cam01": (1, 1), "cam02": (100, 100)})
    assert sizes.of("mug", "cam01", "exo") == (360, 480)
    assert sizes.of("pot", "cam01", "exo") == (180, 480)
    assert sizes.of("pan", "cam01", "exo") == (360, 480)
    assert sizes.of("pan", "cam02", "exo") == (480, 480)
    assert sizes.of("pan", "cam03", "exo") == (270, 480)
    assert sizes.of("pan", "aria01", "ego") == (480, 480)


def test_a_size_that_is_none_names_the_annotations_object_and_camera(tmp_path):
    track = MaskTrack("cup_0", "cam01", None, {0: EncodedMask(24, -32, "")}, "take", tmp_path / "relations.json", str)
    with pytest.raises(DataError, match=r"relations\.json: object cup_0, camera cam01: .* not 24x-32"):
        EvaluationSizes({("cup_0", "cam01"): track}).of("cup_0", "cam01", "exo")
