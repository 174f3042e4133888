"""The clips table of takes on disk, with descriptions as odd as the release has them."""

from __future__ import annotations

import json
import shutil

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lmeec.clips import ClipsConfig, LengthConfig, make_clips, read_clips_metadata, read_source
from lmeec.clips.read import METADATA_KEY, VERSION_KEY
from lmeec.clips.schema import SCHEMA
from lmeec.errors import DataError, OutputError
from tests.support.described import annotation, description, spoken, write_descriptions

HALF = ClipsConfig(length=LengthConfig("fixed", 0.4))


@pytest.fixture
def make(takes, tmp_path):
    """Makes the table of descriptions of the takes; gives its rows and the summary."""

    def make(descriptions, config=HALF, name="clips.parquet"):
        write_descriptions(takes.root, descriptions)
        source = read_source(takes.root, config)
        summary = make_clips(source, tmp_path / name, config)
        return pq.read_table(tmp_path / name).to_pylist(), summary

    return make


def test_a_row_says_all_of_a_description_and_an_exo_camera(make, takes):
    uid = takes.uids[0]
    rows, summary = make({uid: [spoken(1.0, 2.0, best_exo={"cam_id": "gp02"}, unsure="0", ego_visible="1")]})
    assert [(row["timestamp"], row["exo_cam"]) for row in rows] == [(t, c) for t in (1, 2) for c in ("gp01", "gp02")]
    row = rows[3]
    folder = takes.videos(0)
    assert {name: row[name] for name in SCHEMA.names} == {
        "take_uid": uid,
        "take_name": takes.names[0],
        "scenario": "Playing",
        "annotator": "anna",
        "clip_id": f"{uid}-0-1",
        "text": "C does 1",
        "subject": "C",
        "timestamp": 2.0,
        "start": 1.8,
        "end": 2.2,
        "start_frame": 9,
        "end_frame": 11,
        "frame_rate": 5.0,
        "ego_cam": "aria01_214-1",
        "exo_cam": "gp02",
        "is_best_exo": True,
        "ego_visible": True,
        "unsure": False,
        "ego_video": str(folder / "aria01_214-1.mp4"),
        "exo_video": str(folder / "gp02.mp4"),
        "ego_clip": f"videos/{takes.names[0]}/aria01_214-1/000009-000011.mp4",
        "exo_clip": f"videos/{takes.names[0]}/gp02/000009-000011.mp4",
        "objects": None,
        "mean_confidence": None,
    }
    assert [row["is_best_exo"] for row in rows] == [False, True, False, True]
    assert (summary.pairs, summary.clips, summary.takes, summary.videos) == (4, 2, 1, 3)
    assert summary.video_hours == pytest.approx(3 * 4 / 3600)
    assert summary.clip_hours == pytest.approx(2 * 0.4 / 3600)
    assert summary.lengths["0.25 to 0.5"] == 2
    assert summary.scenarios == {"Playing": 4}


def test_the_context_rule_goes_by_annotator_over_all_takes(make, takes):
    """b is 1 s of anna, 3 s of ben and 2 s of a take that is not on disk; a is 2 s. Rejected ones do not count."""
    one = [spoken(1.0, 3.0, 2.0), spoken(0.5, 3.5, annotator="ben"), annotation(description("x", 1), rejected="1")]
    elsewhere = [spoken(100.0, 102.0), spoken(annotator="nobody")]
    rows, summary = make({takes.uids[0]: one, "elsewhere": elsewhere}, ClipsConfig())
    assert summary.context_mean_gap == pytest.approx(2.0)
    lengths = {(row["annotator"], row["timestamp"]): (row["start"], row["end"]) for row in rows}
    assert lengths["anna", 2.0] == pytest.approx((1.75, 2.25))
    assert lengths["ben", 0.5] == pytest.approx((0.0, 1.25)), "clipped to the video"
    assert lengths["ben", 3.5] == pytest.approx((2.75, 4.0))


ODD = annotation(
    description("", 1.0),
    description("  ", 1.0),
    description(None, 1.0),
    description("C waits", None),
    description("C waits", "soon"),
    description("他拿起茶碗", "1.5", subject=None, narration_subject="O"),
    description("Ça va", 0.5, best_exo=None, ego_visible=None, unsure=None),
    description("يلتقط الكوب", 2, best_exo={"cam_id": None}, ego_visible="0", unsure="1"),
    description("C leaves", 4.5),
    description("C enters", -1),
    description("C looks", 3.0, best_exo={"cam_id": "gp99", "label": "nobody needs this"}),
    description("C nods", 2.5, best_exo="gp02", unsure="0", ego_visible="1"),
    annotator=None,
    rejected="0",
)


def test_real_shaped_oddities_are_kept_or_counted(make, takes):
    descriptions = {
        takes.uids[0]: [ODD, annotation(description("C runs", 1), rejected="1"), None, {"descriptions": None}],
        takes.uids[1]: [],
        "not-on-disk": [spoken(1.0, 2.0)],
    }
    rows, summary = make(descriptions)
    texts = dict.fromkeys(row["text"] for row in rows)
    assert list(texts) == ["Ça va", "他拿起茶碗", "C nods", "C looks"], "in the order of time"
    first = {row["text"]: row for row in rows if row["exo_cam"] == "gp02"}
    assert [first["Ça va"][name] for name in ("is_best_exo", "ego_visible", "unsure")] == [None, None, None]
    assert first["他拿起茶碗"]["subject"] == "O"
    assert first["C nods"]["is_best_exo"] is True
    assert first["C nods"]["ego_visible"] is True
    assert first["C looks"]["is_best_exo"] is False
    assert {row["annotator"] for row in rows} == {None}
    dropped = {reason: count for reason, count in summary.dropped_descriptions.items() if count}
    assert dropped == {
        "no_text": 3,
        "no_timestamp": 2,
        "take_not_on_disk": 2,
        "outside_video": 2,
        "unsure": 1,
        "rejected": 1,
    }
    assert summary.clips + sum(dropped.values()) == 15, "every description is counted once"
    assert summary.problems == ()


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        ({"ego_visible_only": True}, ["他拿起茶碗", "C nods", "C looks"]),
        ({"include_unsure": True}, ["Ça va", "他拿起茶碗", "يلتقط الكوب", "C nods", "C looks"]),
        ({"include_rejected": True}, ["Ça va", "C runs", "他拿起茶碗", "C nods", "C looks"]),
    ],
)
def test_choice_of_descriptions(make, takes, settings, texts):
    config = ClipsConfig(length=HALF.length, **settings)
    rows, _ = make({takes.uids[0]: [ODD, annotation(description("C runs", 1), rejected=True)]}, config)
    assert list(dict.fromkeys(row["text"] for row in rows)) == texts


def test_only_the_best_exo_camera(make, takes):
    rows, summary = make({takes.uids[0]: [ODD]}, ClipsConfig(length=HALF.length, best_exo_only=True))
    assert [(row["text"], row["exo_cam"]) for row in rows] == [("他拿起茶碗", "gp01"), ("C nods", "gp02")]
    assert summary.dropped_descriptions["no_best_exo_video"] == 2
    assert summary.dropped_descriptions["outside_video"] == 2
    assert summary.dropped_pairs == {"not_best_exo": 2 * 2 + 4, "outside_video": 2, "too_short": 0}


def test_near_duplicates_are_merged_on_demand(make, takes):
    said = [
        annotation(description("C lifts the mugs.", 1.0), description("C lifts the mug", 3.0)),
        annotation(description("c lifts a mug", 1.2), description("C drops the mug", 1.2), annotator="ben"),
    ]
    kept = {}
    for merge in ("none", "overlapping", "take"):
        config = ClipsConfig(length=HALF.length, duplicates=merge)
        rows, summary = make({takes.uids[0]: said}, config, f"{merge}.parquet")
        kept[merge] = sorted({row["timestamp"] for row in rows}), summary.clips, summary.dropped_descriptions
    assert kept["none"][:2] == ([1.0, 1.2, 3.0], 4)
    assert kept["overlapping"][:2] == ([1.0, 1.2, 3.0], 3)
    assert kept["take"][:2] == ([1.0, 1.2], 2)
    assert kept["take"][2]["duplicate"] == 2


@pytest.mark.parametrize(
    ("lost", "settings", "reason"),
    [
        ({"timestamp": -0.1}, {}, "outside_video"),
        ({"timestamp": 0.9, "best_exo": {"cam_id": "gp99"}}, {"best_exo_only": True}, "no_best_exo_video"),
        ({"timestamp": 0.1}, {"length": LengthConfig("fixed", 0.4, shortest=0.4)}, "too_short"),
    ],
)
def test_a_sentence_that_becomes_no_clip_takes_no_other_with_it(lost, settings, reason, make, takes):
    said = [annotation(description("C lifts a mug", **lost), *(description("C lifts the mug", t) for t in (1.0, 1.1)))]
    config = ClipsConfig(**{"length": HALF.length, "duplicates": "take"} | settings)
    rows, summary = make({takes.uids[0]: said}, config)
    assert {row["timestamp"] for row in rows} == {1.0}
    assert {name: n for name, n in summary.dropped_descriptions.items() if n} == {reason: 1, "duplicate": 1}


@pytest.mark.parametrize("uid", ["on disk", "elsewhere"])
def test_impossible_time_stamps_do_not_count_in_the_context_rule(uid, make, takes):
    """The videos are 4 s long; of a take that is not on disk nobody knows."""
    odd = (-5.0, 1.0, 3.0, 1e6) if uid == "on disk" else (-5.0, 1.0, 3.0)
    _, summary = make(
        {takes.uids[0]: [spoken(1.0, 2.0)], takes.uids[1] if uid == "on disk" else uid: [spoken(*odd)]}, ClipsConfig()
    )
    assert summary.context_mean_gap == pytest.approx((1.0 + 2.0) / 2)


def test_the_shortest_length_is_kept_or_the_clip_dropped(make, takes):
    config = ClipsConfig(length=LengthConfig("fixed", 0.4, shortest=1.0))
    rows, summary = make({takes.uids[0]: [spoken(0.2, 2.0, 3.9)]}, config)
    assert {(row["start"], row["end"]) for row in rows} == {(1.5, 2.5)}
    assert summary.dropped_descriptions["too_short"] == 2
    assert summary.dropped_pairs["too_short"] == 4


def test_pairs_are_clipped_to_the_shorter_video(make, takes):
    """An exo video of 10 frames beside an ego video of 20."""
    import av

    source, target = takes.video(0, "gp01"), takes.root / "short.mp4"
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = old.streams.video[0].width, 64, "yuv420p"
        for number, frame in enumerate(old.decode(video=0)):
            if number < 10:
                new.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"))))
        new.mux(stream.encode())
    target.replace(source)
    rows, summary = make({takes.uids[0]: [spoken(1.9, 3.0)]})
    assert [(row["timestamp"], row["exo_cam"], row["end_frame"]) for row in rows] == [
        (1.9, "gp01", 10),
        (1.9, "gp02", 11),
        (3.0, "gp02", 16),
    ]
    assert summary.dropped_pairs["outside_video"] == 1
    assert "outside_video" not in {name for name, count in summary.dropped_descriptions.items() if count}


def test_what_is_damaged_is_named_and_does_not_stop_the_rest(make, takes):
    takes.video(0, "gp01").write_bytes(b"no video")
    odd = [{"annotator_id": "anna", "descriptions": [{"text": ["not", "text"]}]}]
    rows, summary = make({takes.uids[0]: [spoken(1.0)], takes.uids[1]: odd})
    assert {row["exo_cam"] for row in rows} == {"gp02"}
    video, text = sorted(summary.problems, key=lambda problem: takes.uids[1] in problem)
    assert takes.names[0] in video
    assert "gp01.mp4" in video
    assert takes.uids[1] in text
    assert "atomic_descriptions_val.json" in text


def test_takes_without_a_view_are_counted(make, takes):
    takes.video(0, "aria01_214-1").unlink()
    for camera in ("cam01", "cam02", "gp01", "gp02"):
        takes.video(1, camera).unlink(missing_ok=True)
    rows, summary = make({uid: [spoken(1.0)] for uid in takes.uids})
    assert rows == []
    assert {name: n for name, n in summary.dropped_descriptions.items() if n} == {"no_ego_video": 1, "no_exo_video": 1}


def test_takes_are_found_without_takes_json(make, takes):
    (takes.root / "takes.json").unlink()
    rows, _ = make({uid: [spoken(1.0)] for uid in takes.uids})
    assert [row["take_name"] for row in rows if row["exo_cam"] == rows[0]["exo_cam"]]
    assert {row["take_name"] for row in rows} == set(takes.names)
    shutil.rmtree(takes.root / "annotations")
    rows, _ = make({takes.names[0]: [spoken(1.0)]}, name="by_folder.parquet")
    assert {row["take_uid"] for row in rows} == {takes.names[0]}


def test_the_table_is_sorted_and_says_what_it_is(make, takes, tmp_path):
    make({uid: [spoken(3.0, 1.0, 2.0), spoken(2.0, annotator="ben")] for uid in reversed(takes.uids)})
    table = pq.read_table(tmp_path / "clips.parquet")
    assert table.schema.names == SCHEMA.names
    assert all(field.metadata[b"description"] for field in table.schema)
    order = [("take_uid", "ascending"), ("timestamp", "ascending"), ("clip_id", "ascending"), ("exo_cam", "ascending")]
    assert pc.sort_indices(table, order).to_pylist() == list(range(table.num_rows))
    said = read_clips_metadata(tmp_path / "clips.parquet")
    assert said.settings["settings"]["length"]["seconds"] == 0.4
    assert said.summary.pairs == table.num_rows


def test_the_same_settings_keep_a_table_and_others_are_refused(make, takes, tmp_path):
    descriptions = {takes.uids[0]: [spoken(1.0)]}
    _, summary = make(descriptions)
    before = (tmp_path / "clips.parquet").stat()
    assert make(descriptions)[1] == summary
    assert (tmp_path / "clips.parquet").stat().st_mtime_ns == before.st_mtime_ns
    for change in ({takes.uids[0]: [spoken(1.5)]}, descriptions):
        with pytest.raises(OutputError, match="overwrite=True"):
            make(change, ClipsConfig(length=LengthConfig("fixed", 0.4 if change is not descriptions else 0.5)))


def test_other_tables_are_not_replaced_but_damaged_and_older_ones_are(make, takes, tmp_path):
    descriptions = {takes.uids[0]: [spoken(1.0)]}
    make(descriptions)
    source, out = read_source(takes.root, HALF), tmp_path / "out.parquet"
    other = pq.read_table(tmp_path / "clips.parquet").replace_schema_metadata({"another": "table"})
    pq.write_table(other, out)
    with pytest.raises(OutputError, match="not a clips table"):
        make_clips(source, out, HALF, overwrite=True)
    assert pq.read_schema(out).metadata == {b"another": b"table"}
    out.write_bytes(b"PAR1 and no more")
    assert make_clips(source, out, HALF, overwrite=True).clips == 1
    pq.write_table(other.replace_schema_metadata({METADATA_KEY: "{}", VERSION_KEY: "0"}), out)
    assert make_clips(source, out, HALF, overwrite=True).clips == 1


def test_results_are_not_written_over(make, takes, tmp_path):
    make({takes.uids[0]: [spoken(1.0)]})
    out = tmp_path / "clips.parquet"
    with pytest.raises(OutputError, match="`out` and `results`"):
        make_clips(read_source(takes.root, HALF), out, HALF, results=tmp_path / "." / out.name, overwrite=True)


def test_what_cannot_be_used_is_said(takes, tmp_path):
    (takes.root / "annotations" / "atomic_descriptions_val.json").unlink()
    with pytest.raises(DataError, match=r"atomic_descriptions_train\.json"):
        read_source(takes.root, HALF)
    path = write_descriptions(takes.root, {"nowhere": [spoken(1.0)]})
    with pytest.raises(DataError, match="holds no videos of the 1 takes"):
        read_source(takes.root, HALF)
    write_descriptions(takes.root, {"nowhere": []}, split="train")
    with pytest.raises(DataError, match="'nowhere' is described in both"):
        read_source(takes.root, HALF)
    path.write_text(json.dumps({"annotations": [1, 2]}))
    with pytest.raises(DataError, match=str(path)):
        read_source(takes.root, HALF, annotations=path)
    with pytest.raises(DataError, match="no such file"):
        read_source(takes.root, HALF, annotations=tmp_path / "nothing.json")
    with pytest.raises(OutputError, match="lmeec clips"):
        read_clips_metadata(tmp_path / "nothing.parquet")
