import numpy as np
import pandas as pd
import pytest

from lockstep.data import row_hashes
from lockstep.data.schema import Column, Schema

SCHEMA = Schema("binary", "y", (0, 1), (Column("a", "numeric", True, None), Column("b", "categorical", True, None)))


def rows(numbers):
    frame = pd.DataFrame({"a": np.asarray(numbers, dtype=float), "b": [f"t{number}" for number in numbers]})
    return frame.assign(y=frame["a"].astype(int) % 2)


@pytest.fixture
def note(tmp_path):
    def act(numbers):
        row_hashes.write(rows(numbers), SCHEMA, tmp_path / "trained_on.npy")
        return row_hashes.read(tmp_path / "trained_on.npy")

    return act


def test_rows_that_both_or_neither_was_trained_on_are_fair(note):
    one, other = note(range(10)), note(range(5, 15))
    fair = row_hashes.fair(row_hashes.hashes(rows(range(20)), SCHEMA), one, other)
    assert np.flatnonzero(fair).tolist() == [5, 6, 7, 8, 9, 15, 16, 17, 18, 19]


def test_the_order_of_rows_and_columns_does_not_matter(note, tmp_path):
    first = (note(range(10)), (tmp_path / "trained_on.npy").read_bytes())
    row_hashes.write(rows(range(9, -1, -1))[["y", "b", "a"]], SCHEMA, tmp_path / "again.npy")
    assert (tmp_path / "again.npy").read_bytes() == first[1]


@pytest.mark.parametrize("change", [{"a": 7.5}, {"b": "other"}, {"y": 1}])
def test_another_value_or_label_is_another_row(note, change):
    known = note([4])
    asked = rows([4]).assign(**change)
    assert row_hashes.fair(row_hashes.hashes(asked, SCHEMA), known, note([99])).all()
    assert not row_hashes.fair(row_hashes.hashes(rows([4]), SCHEMA), known, note([99])).any()


def test_of_more_rows_than_are_kept_the_rest_is_not_known(note, monkeypatch):
    monkeypatch.setattr(row_hashes, "MAX_HASHES", 100)
    some, few = note(range(1000)), note(range(1000, 1010))
    assert (len(some), len(few)) == (101, 11)
    found = row_hashes.hashes(rows(range(2000)), SCHEMA)
    fair = row_hashes.fair(found, some, few)
    assert not fair[:1010].any()
    assert 50 < fair.sum() < 200
    assert (found[fair] <= some[0]).all()
