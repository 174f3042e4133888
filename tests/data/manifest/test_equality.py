"""What is predicted from a manifest is what is predicted from Ego-Exo4D's layout, but for names."""

import pyarrow as pa
import pytest

import lmeec
from lmeec.data.takes import find_takes
from tests.support.own import NAMES, own_take, write_manifest

DIRECTIONS = ("ego2exo", "exo2ego")


@pytest.fixture(scope="module")
def predict(tiny):
    model = lmeec.load_model(tiny, device="cpu")

    def of(root, **choice):
        take = next(iter(find_takes(root, **choice)))
        assert not take.problems
        batches = [one for direction in DIRECTIONS for one in lmeec.predict_take(model, take, direction)]
        return pa.Table.from_batches(batches)

    return of


@pytest.fixture(scope="module")
def expected(predict, rendered_takes):
    rows = predict(rendered_takes.root)
    assert set(rows["gt_state"].to_pylist()) >= {"visible"}
    return rows


def renamed(rows, name="Küche 1"):
    """Rows with the names of our own recordings."""
    for column in ("query_cam", "target_cam"):
        own = [NAMES[one] for one in rows[column].to_pylist()]
        rows = rows.set_column(rows.column_names.index(column), rows.schema.field(column), [own])
    names = [name] * rows.num_rows
    return rows.set_column(rows.column_names.index("take_name"), rows.schema.field("take_name"), [names])


@pytest.mark.parametrize("form", ["relations", "coco", "png"])
def test_rows_equal_those_of_the_layout_to_the_last_bit(predict, expected, rendered_takes, tmp_path, form):
    take = own_take(rendered_takes, tmp_path / "own", form)
    manifest = write_manifest(tmp_path / "own" / "recordings.yaml", take)
    assert predict(manifest).to_pylist() == renamed(expected).to_pylist()


def test_every_second_mask_has_every_second_row(predict, rendered_takes, tmp_path):
    take = own_take(rendered_takes, tmp_path / "own", "png")
    rows = predict(write_manifest(tmp_path / "own" / "recordings.yaml", take), every=10)
    assert rows.to_pylist() == renamed(predict(rendered_takes.root, every=10)).to_pylist()
    assert set(rows["frame"].to_pylist()) == {0, 10}
