"""Objects that sentences mention, with the boxes of their masks."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from lmeec.clips import ClipsConfig, LengthConfig, make_clips, read_source
from lmeec.clips.mentions import Mentions
from lmeec.clips.sentences import sentence_key
from lmeec.errors import OutputError
from tests.support.damage import damage_rows
from tests.support.described import annotation, description, write_descriptions
from tests.support.rows import row, square, write_results

CONFIG = ClipsConfig(length=LengthConfig("fixed", 1.0))
EGO, EXO = "aria01_214-1", "gp01"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("C picks up the blue mug.", ["blue mug_0", "blue mug_1"]),
        ("Two BLUE  MUGS stand there", ["blue mug_0", "blue mug_1"]),
        ("C picks up the mug", []),
        ("C cuts it with a knife, then washes both knives", ["knife_0"]),
        ("C takes the measuring cup", ["measuring cup_2"]),
        ("C takes the measuring cups and a cup", ["cup_0", "measuring cup_2"]),
        ("C cleans the lenses", ["lens_0"]),
        ("C cleans a lens", ["lens_0"]),
        ("C cuts with scissors", ["scissors_0"]),
        ("C puts on one glove", ["the gloves_0"]),
        ("C hiccups", []),
        ("C turns the allen-key", ["allen_key_3"]),
        ("他拿起茶碗", ["茶碗_0"]),
        ("C reads 42", []),
        ("", []),
    ],
)
def test_mentions(text, found):
    names = ["blue mug_0", "blue mug_1", "knife_0", "cup_0", "measuring cup_2", "lens_0", "scissors_0", "the gloves_0"]
    assert Mentions([*names, "allen_key_3", "茶碗_0", "42", "_7"]).find(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("वह चाकू उठाता है", ["चाकू_0"]),
        ("वह चाकी उठाता है", []),
        ("वह कपड़ा धोता है", []),
        ("वह कप धोता है", ["कप_1"]),
        ("เขาหยิบตาขึ้น", ["ตา_0"]),
        ("เขาหยิบตี", []),
        ("C holds the café_table", ["café table_0"]),
        ("C holds the cafe\u0301 tables", ["café table_0"]),
        ("C holds the safe\u0301", []),
        ("يأخذ الكوب", ["كوب_0"]),
    ],
)
def test_mentions_in_scripts_with_combining_marks(text, found):
    assert Mentions(["चाकू_0", "कप_1", "ตา_0", "ต_0", "café table_0", "safe_0", "كوب_0"]).find(text) == found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("वह की लेता है", "वह का लेता है", False),
        ("เขากิน", "เขากัน", False),
        ("???", "🙂", False),
        ("???", "???", True),
        ("C lifts them", "C lifts it", False),
        ("C washes us", "C washes me", False),
        ("C lifts the café mugs.", "c lifts a cafe\u0301 mug", True),
    ],
)
def test_what_tells_sentences_apart(one, other, same):
    assert (sentence_key(one) == sentence_key(other)) == same


@pytest.fixture
def ground(takes, tmp_path):
    """Makes the table of sentences of the first take; `rows` are predictions of it."""

    def ground(texts, rows, more=()):
        uid = takes.uids[0]
        write_descriptions(takes.root, {uid: [annotation(*(description(text, time) for text, time in texts))]})
        of_take = [row(**({"take_uid": uid} | values)) for values in rows]
        results = write_results(tmp_path / "results.parquet", [*of_take, *more])
        source = read_source(takes.root, CONFIG)
        summary = make_clips(source, tmp_path / "clips.parquet", CONFIG, results=results)
        return pq.read_table(tmp_path / "clips.parquet").to_pylist(), summary

    return ground


def to_exo(frame, exo=EXO, score=2.5, **values):
    return {"frame": frame, "query_cam": EGO, "target_cam": exo, "object_score": score, **values}


def to_ego(frame, exo=EXO, score=2.5, **values):
    return {"direction": "exo2ego", "query_cam": exo, "target_cam": EGO, "frame": frame, "object_score": score} | values


def test_boxes_are_of_the_prediction_nearest_to_the_middle(ground):
    """At 5 frames a second, 1.5 to 2.5 s are frames 8 to 12, the middle is frame 10."""
    rows, summary = ground(
        [("C lifts the cup", 2.0), ("C waits", 2.0)],
        [
            to_exo(5, mask=square(0, 0)),
            to_exo(11, mask=square(27, 48, 27)),
            to_exo(15, mask=square(0, 0)),
            to_ego(9, score=0.0, mask=square(27, 48, 54), confidence=None),
            to_ego(9, object="pan_0"),
        ],
    )
    (lifted, _), (waiting, _) = rows[:2], rows[2:]
    (cup,) = lifted["objects"]
    assert cup["name"] == "cup_0"
    assert (cup["exo_frame"], cup["ego_frame"]) == (11, 9)
    assert cup["exo_box"] == pytest.approx([48 / 480, 27 / 270, 27 / 480, 27 / 270])
    assert cup["ego_box"] is None, "a confidence of 0.5 is not visible"
    assert cup["confidence"] == lifted["mean_confidence"] == pytest.approx((0.5 + 0.9241418) / 2)
    assert waiting["objects"] == []
    assert waiting["mean_confidence"] is None
    assert summary.grounded == 1
    assert summary.clips == 2


def test_each_exo_camera_has_its_own_predictions_of_both_views(ground):
    rows, _ = ground(
        [("C lifts a cup and two pans", 2.0)],
        [
            to_exo(10, object="cup_0", mask=square(10, 30)),
            to_exo(10, "gp02", object="cup_0", mask=square(20, 60)),
            to_ego(10, "gp02", object="pan_3", mask=square(30, 90)),
        ],
    )
    boxes = {
        (row["exo_cam"], one["name"]): (
            one["ego_box"] and one["ego_box"][0] * 480,
            one["exo_box"] and one["exo_box"][0] * 480,
        )
        for row in rows
        for one in row["objects"]
    }
    assert boxes == {
        ("gp01", "cup_0"): (None, pytest.approx(30)),
        ("gp01", "pan_3"): (None, None),
        ("gp02", "cup_0"): (None, pytest.approx(60)),
        ("gp02", "pan_3"): (pytest.approx(90), None),
    }
    confidence = {(row["exo_cam"], one["name"]): one["confidence"] for row in rows for one in row["objects"]}
    assert confidence["gp01", "pan_3"] is None
    assert rows[0]["mean_confidence"] == pytest.approx(0.9241418), "what is not predicted does not count"


def test_predictions_more_than_a_second_away_are_not_used(ground):
    rows, _ = ground([("the cup", 2.0)], [to_exo(15), to_ego(16)])
    (cup,) = rows[0]["objects"]
    assert cup["exo_frame"] == 15
    assert cup["ego_frame"] is None


def test_an_empty_mask_has_no_box(ground):
    rows, _ = ground([("the cup", 2.0)], [to_exo(10, mask=square(0, 0, 0))])
    (cup,) = rows[0]["objects"]
    assert cup["exo_box"] is None
    assert cup["exo_frame"] == 10


def test_takes_that_the_results_lack_have_no_objects(ground, takes):
    rows, summary = ground([("the cup", 2.0)], [to_exo(10, take_uid="another"), to_exo(10, take_uid="zzz")])
    assert rows[0]["objects"] is None
    assert summary.grounded == 0


def test_a_damaged_file_of_the_results_is_named(takes, ground, tmp_path):
    ground([("the cup", 2.0)], [to_exo(frame) for frame in range(20)])
    results, out = tmp_path / "results.parquet", tmp_path / "new.parquet"
    damage_rows(results)
    with pytest.raises(OutputError, match=r"results\.parquet is damaged"):
        make_clips(read_source(takes.root, CONFIG), out, CONFIG, results=results)
    assert not out.exists()


def test_the_table_depends_on_the_results(takes, ground, tmp_path):
    ground([("the cup", 2.0)], [to_exo(10)])
    with pytest.raises(OutputError, match="overwrite=True"):
        make_clips(read_source(takes.root, CONFIG), tmp_path / "clips.parquet", CONFIG)
    with pytest.raises(OutputError, match="not a results table"):
        make_clips(read_source(takes.root, CONFIG), tmp_path / "o.parquet", CONFIG, results=tmp_path / "clips.parquet")
