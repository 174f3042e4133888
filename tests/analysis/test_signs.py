"""Signs of a mask's worth against plain loops."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lmeec.analysis.signs import SIGN_COLUMNS, SIGNS, largest_piece, signs_of
from lmeec.masks import RunLengthMask
from tests.support import naive_signs
from tests.support.drawn_runs import as_table, drawn_run


def of_one(rows, direction="exo2ego"):
    table = as_table([one for one in rows if (one.take_uid, one.direction) == ("t1", direction)])
    return table.select(SIGN_COLUMNS)


@pytest.mark.parametrize("direction", ["ego2exo", "exo2ego"])
@pytest.mark.parametrize("runs", [0, 2])
def test_they_are_those_of_a_naive_implementation(direction, runs):
    rows, *others = (of_one(drawn_run(seed), direction) for seed in range(runs + 1))
    # Runs may lack rows, and rows come in any order.
    others = [other.slice(7) for other in others]
    shuffled = rows.take(pa.array(np.random.default_rng(0).permutation(rows.num_rows)))
    mine = signs_of(shuffled, others)
    expected = naive_signs.signs(shuffled.to_pylist(), [other.to_pylist() for other in others])
    assert set(mine) == set(SIGNS)
    for name in SIGNS:
        np.testing.assert_allclose(mine[name], [row[name] for row in expected], atol=1e-6, err_msg=name)
    assert np.isnan(mine["runs_mean"]).all() == (runs == 0)
    assert np.isnan(mine["views_mean"]).all() == (direction == "ego2exo")


def test_the_largest_piece_is_that_of_a_walk_from_pixel_to_pixel():
    random = np.random.default_rng(0)
    masks = [random.random((17, 31)) < share for share in (0, 0.05, 0.2, 0.4, 0.6, 1) for _ in range(5)]
    for mask in masks:
        expected = naive_signs.largest_piece(mask)
        found = largest_piece(RunLengthMask.encode(mask))
        assert found == pytest.approx(np.nan if expected is None else expected, nan_ok=True)


def test_a_run_without_scores_has_the_signs_of_its_masks():
    imported = of_one(drawn_run(0))
    nulls = pa.nulls(imported.num_rows, pa.float32())
    for name in ("object_score", "predicted_iou", "cycle_iou", "cycle_score"):
        imported = imported.set_column(imported.column_names.index(name), name, nulls)
    signs = signs_of(imported)
    assert np.isnan(signs["predicted_iou"]).all()
    assert np.isfinite(signs["log_area_share"]).any()
    assert np.isfinite(signs["views_mean"]).any()


def test_nothing_of_a_take_without_predictions():
    signs = signs_of(of_one(drawn_run(0)).slice(0, 0))
    assert {values.size for values in signs.values()} == {0}
