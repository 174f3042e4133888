"""Runs fused to one table, against plain loops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmeec.analysis.expected_iou import fit_iou_rule, read_iou_rule
from lmeec.analysis.fusion import fuse
from lmeec.errors import ConfigError, DataError, OutputError
from lmeec.masks import _compress
from lmeec.tables import list_parts, merge_parts, parts_directory, read_contents, read_metadata, read_results
from tests.support import naive_fusion as naive
from tests.support import naive_signs
from tests.support.drawn_runs import drawn_run
from tests.support.rows import RUN, square, write_part, write_results

NAMES = ("drop", "merge", "reverse")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs, the second of which lacks a track and the third a take in a direction."""
    folder = tmp_path_factory.mktemp("runs")
    rows = [drawn_run(seed) for seed in range(3)]
    rows[1] = [row for row in rows[1] if (row.take_uid, row.object, row.target_cam) != ("t1", "cup", "cam02")]
    rows[2] = [row for row in rows[2] if (row.take_uid, row.direction) != ("t2", "exo2ego")]
    return [
        write_results(folder / f"{name}.parquet", some, dataclasses.replace(RUN, memory={"policy": name, "size": 6}))
        for name, some in zip(NAMES, rows, strict=True)
    ]


def listed(path):
    return read_results(path).to_pylist()


def as_loops_choose(runs, value):
    return naive.fused({path.stem: listed(path) for path in runs}, value)


@pytest.mark.parametrize("by", ["cycle_iou", "predicted_iou", "confidence"])
def test_rows_are_those_of_the_run_with_the_best_sign(runs, by, tmp_path):
    done = fuse(runs, tmp_path / "f.parquet", by=by)
    rows = listed(tmp_path / "f.parquet")
    assert rows == as_loops_choose(runs, lambda _, row: row[by])
    assert done.rows == len(rows)
    assert done.missing == sum(row["missing"] is not None for row in rows)
    assert len({row["source_run"] for row in rows}) == 3
    for direction, taken in done.taken.items():
        for name, count in taken.items():
            assert count == sum((row["direction"], row["source_run"]) == (direction, name) for row in rows)


def test_a_rule_decides_each_take_without_having_seen_it(runs, tmp_path):
    rule = fit_iou_rule(runs)
    done = fuse(runs, tmp_path / "f.parquet", rule=rule)
    assert done.by == "rule"
    tables = {path.stem: listed(path) for path in runs}
    expected = {}
    for uid, direction in {(row["take_uid"], row["direction"]) for row in tables["drop"]}:
        one = rule.directions[direction]
        regression = one.folds[one.fold_of[uid]]
        here = {
            name: [row for row in rows if (row["take_uid"], row["direction"]) == (uid, direction)]
            for name, rows in tables.items()
        }
        for name, rows in here.items():
            others = [other for other in here if other != name and here[other]]
            signs = naive_signs.signs(rows, [here[other] for other in others])
            for row, values in zip(rows, signs, strict=True):
                logit = regression.intercept
                for sign, mean, scale, weight in zip(
                    one.signs, regression.mean, regression.scale, regression.coefficients, strict=True
                ):
                    if not np.isnan(values[sign]):
                        logit += weight * min(max((values[sign] - mean) / scale, -4), 4)
                expected[name, uid, direction, row["object"], row["query_cam"], row["target_cam"], row["frame"]] = logit
    chosen = as_loops_choose(
        runs, lambda name, row: expected[name, *(row[column] for column in naive.TRACK), row["frame"]]
    )
    rows = listed(tmp_path / "f.parquet")
    assert [row["source_run"] for row in rows] == [row["source_run"] for row in chosen]
    assert rows == chosen


def test_a_rule_tells_better_masks_and_its_file_says_on_what_it_was_fitted(runs, tmp_path):
    rule = fit_iou_rule(runs)
    rule.write(tmp_path / "rule.json")
    again = read_iou_rule(tmp_path / "rule.json")
    assert again.digest == rule.digest
    assert again.made["results"] == [str(run) for run in runs]
    assert [run["memory"]["policy"] for run in again.made["runs"]] == list(NAMES)
    for direction, scores in rule.scores.items():
        assert scores["iou_of_best_half"] > scores["iou"] + 0.1, direction
        assert again.made["frames"][direction]["takes"] == 3
        assert set(rule.directions[direction].fold_of) == {"t0", "t1", "t2"}


def test_what_a_run_lacks_is_counted_and_named(runs, tmp_path):
    lacking = fuse(runs, tmp_path / "f.parquet").lacking
    tables = {path.stem: listed(path) for path in runs}
    keys = {
        name: {(*(row[column] for column in naive.TRACK), row["frame"]) for row in rows if row["missing"] is None}
        for name, rows in tables.items()
    }
    for name, one in lacking.items():
        missed = set().union(*keys.values()) - keys[name]
        assert one.frames == len(missed)
        assert one.tracks == len({key[:-1] for key in missed})
        assert len(one.examples) == 3
        assert "take 't" in one.examples[0]


def test_ties_go_to_the_run_that_is_named_first_and_the_same_call_gives_the_same_file(runs, tmp_path):
    same = tmp_path / "same.parquet"
    same.write_bytes(runs[0].read_bytes())
    for order in ([runs[0], same], [same, runs[0]]):
        fuse(order, tmp_path / "f.parquet", overwrite=True)
        assert {row["source_run"] for row in listed(tmp_path / "f.parquet")} == {order[0].stem}
    first = (tmp_path / "f.parquet").read_bytes()
    fuse([same, runs[0]], tmp_path / "f.parquet", overwrite=True)
    assert (tmp_path / "f.parquet").read_bytes() == first


def test_the_table_says_what_it_is_of(runs, tmp_path):
    fuse(runs, tmp_path / "f.parquet", by="cycle_iou", names=["one", "two", "three"])
    run = read_metadata(tmp_path / "f.parquet")
    assert run.fused == ("one", "two", "three")
    assert run.predict["fused"]["by"] == "cycle_iou"
    assert run.predict["fused"]["runs"]["two"]["memory"] == {"policy": "merge", "size": 6}
    assert run.memory == {"size": 6}
    assert run.predict["video"] == "auto"
    assert run.checkpoints == RUN.checkpoints
    assert read_contents(tmp_path / "f.parquet").count == 6


def test_without_ground_truth(tmp_path):
    blind = [write_results(tmp_path / f"{seed}.parquet", drawn_run(seed, truth=False)) for seed in range(2)]
    fuse(blind, tmp_path / "f.parquet", by="cycle_iou")
    assert listed(tmp_path / "f.parquet") == as_loops_choose(blind, lambda _, row: row["cycle_iou"])
    with pytest.raises(DataError, match=r"no rule can be fitted on .*no frame is visible"):
        fit_iou_rule(blind)


def test_a_rule_of_other_takes_decides_a_run_without_ground_truth(runs, tmp_path):
    blind = [write_results(tmp_path / f"{seed}.parquet", drawn_run(seed, truth=False)) for seed in range(2)]
    seen = [write_results(tmp_path / f"seen{seed}.parquet", drawn_run(seed)) for seed in range(2)]
    rule = fit_iou_rule(seen)
    fuse(blind, tmp_path / "blind.parquet", rule=rule)
    fuse(seen, tmp_path / "seen.parquet", rule=rule, names=["0", "1"])
    assert [row["mask_rle"] for row in listed(tmp_path / "blind.parquet")] == [
        row["mask_rle"] for row in listed(tmp_path / "seen.parquet")
    ]


def test_folders_are_read_take_by_take_too(runs, tmp_path):
    rows = drawn_run(0)
    for take in ("t0", "t1", "t2"):
        for way in ("ego2exo", "exo2ego"):
            write_part(
                parts_directory(tmp_path / "r"), [one for one in rows if (one.take_uid, one.direction) == (take, way)]
            )
    merge_parts(list_parts(parts_directory(tmp_path / "r")), f"{tmp_path / 'r'}/")
    fuse([f"{tmp_path / 'r'}/", runs[1]], tmp_path / "folder.parquet", names=["drop", "merge"], by="cycle_iou")
    fuse(runs[:2], tmp_path / "file.parquet", by="cycle_iou")
    assert listed(tmp_path / "folder.parquet") == listed(tmp_path / "file.parquet")


def changed(path, **changes):
    """A run over the same frames with something else in all its rows or its metadata."""
    run = dataclasses.replace(RUN, **changes.pop("run", {}))
    rows = [dataclasses.replace(row, **changes) for row in drawn_run(5)]
    return write_results(path, rows, run)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": {"annotation_digest": "b1"}}, "of different annotations"),
        ({"run": {"predict": {"mask_size": "square"}}}, "masks of different sizes"),
        ({"run": {"predict": {"selection": "area > 1"}}}, r"other.parquet is a selection \(area > 1\)"),
        ({"run": {"predict": {"fused": {"order": ["a", "b"]}}}}, "other.parquet is fused already, of a, b"),
        ({"take_uid": "elsewhere"}, "no take and direction in common"),
        ({"gt": None, "gt_state": "absent"}, "differ in the ground truth of frame"),
    ],
)
def test_runs_of_other_data_are_refused_by_name(changes, said, runs, tmp_path):
    other = changed(tmp_path / "other.parquet", **changes)
    with pytest.raises(DataError, match=said) as raised:
        fuse([runs[0], other], tmp_path / "f.parquet")
    assert "other.parquet" in str(raised.value)
    assert len(str(raised.value)) <= 500
    assert not (tmp_path / "f.parquet").exists()


def test_runs_of_another_size_of_masks_are_refused_by_name(tmp_path):
    small = write_results(tmp_path / "small.parquet", [one for one in drawn_run(0) if one.missing is None])
    rows = [
        dataclasses.replace(one, mask=square(10, 10), gt=None, gt_state="unannotated")
        for one in drawn_run(0)
        if one.missing is None
    ]
    large = write_results(tmp_path / "large.parquet", rows)
    with pytest.raises(DataError, match=r"small.parquet and .*large.parquet differ in the size of frame"):
        fuse([small, large], tmp_path / "f.parquet")


def test_the_same_truth_in_other_words_is_the_same(runs, tmp_path):
    """COCO's counts may have runs of length 0."""
    rows = drawn_run(0)
    other = [
        one if one.gt is None else dataclasses.replace(one, gt=dataclasses.replace(one.gt, counts=split(one.gt)))
        for one in rows
    ]
    assert other != rows
    path = write_results(tmp_path / "other.parquet", other)
    fuse([runs[0], path], tmp_path / "f.parquet", by="cycle_iou")


def split(mask):
    """The same mask with its first run in two, a run of length 0 between."""
    first, *rest = mask.run_lengths()
    counts = _compress(np.array([first - 1, 0, 1, *rest]))
    assert (dataclasses.replace(mask, counts=counts).decode() == mask.decode()).all()
    return counts


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"names": ["a"]}, "1 names for 2 runs"),
        ({"names": ["a", "a"]}, "two runs are called 'a'"),
        ({"by": "area"}, "`by` is 'area'"),
        ({"by": "rule"}, "go together"),
    ],
)
def test_what_does_not_fit_is_refused(options, said, runs, tmp_path):
    with pytest.raises(ConfigError, match=said):
        fuse(runs[:2], tmp_path / "f.parquet", **options)


def test_one_run_a_folder_and_an_output_that_is_there_are_refused(runs, tmp_path):
    with pytest.raises(ConfigError, match="one run is no choice"):
        fuse(runs[:1], tmp_path / "f.parquet")
    with pytest.raises(OutputError, match="is a folder"):
        fuse(runs, f"{tmp_path}/")
    with pytest.raises(OutputError, match="exists already"):
        fuse(runs, runs[0])


def test_the_sign_that_all_have_decides_and_one_that_is_lacking_is_named(runs, tmp_path):
    without = write_results(tmp_path / "without.parquet", drawn_run(3, cycle=False))
    assert fuse([runs[0], without], tmp_path / "f.parquet").by == "predicted_iou"
    with pytest.raises(ConfigError, match="run 'without' has no value in it: predict with `cycle`"):
        fuse([runs[0], without], tmp_path / "g.parquet", by="cycle_iou")


def test_a_table_with_a_row_twice_or_out_of_order_is_refused(runs, tmp_path):
    table = pq.read_table(runs[0])
    pq.write_table(pa.concat_tables([table.slice(0, 3), table]), tmp_path / "twice.parquet")
    with pytest.raises(DataError, match=r"twice.parquet has several rows of frame 0 of take 't0', object 'cup'"):
        fuse([tmp_path / "twice.parquet", runs[1]], tmp_path / "f.parquet")
    pq.write_table(table.take(pa.array(range(table.num_rows)[::-1])), tmp_path / "back.parquet")
    with pytest.raises(OutputError, match=r"back.parquet: rows of take 't2' .* come after|after those of 't2'"):
        fuse([tmp_path / "back.parquet", runs[1]], tmp_path / "f.parquet")


@pytest.mark.parametrize(("column", "value"), [("mask_rle", "0\x01"), ("height", 0)])
def test_damaged_masks_are_named_with_their_table(column, value, runs, tmp_path):
    table = pq.read_table(runs[0])
    values = [value, *table[column].to_pylist()[1:]]
    place = table.column_names.index(column)
    field = table.schema.field(column)
    path = tmp_path / "damaged.parquet"
    pq.write_table(table.set_column(place, field, pa.array(values, field.type)), path)
    with pytest.raises(DataError, match=r"damaged.parquet"):
        fuse([path, runs[1]], tmp_path / "f.parquet", rule=fit_iou_rule(runs))
    with pytest.raises(DataError, match=r"damaged.parquet"):
        fit_iou_rule([path, runs[1]])
