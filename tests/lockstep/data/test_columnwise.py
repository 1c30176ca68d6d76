from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from lockstep.data import columnwise
from lockstep.data.schema import as_category

VALUES = {
    "text": pd.Series(["a", None, "b", "a", ""]),
    "objects of text": pd.Series(["a", None, "b", np.nan, "a"], dtype=object),
    "of several types": pd.Series([True, 1, 1.0, "1", None, 2.5, 0.0, False], dtype=object),
    "whole numbers": pd.Series([3, 1, 3]),
    "numbers": pd.Series([3.0, 0.5, np.nan, -0.0, 0.0]),
    "bools": pd.Series([True, False, True]),
    "levels": pd.Series(["x", None, "y"], dtype="category"),
    "nothing": pd.Series([None, None], dtype=object),
    "no rows": pd.Series([], dtype=object),
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_column_is_spelled_as_its_values_one_by_one(kind):
    values = VALUES[kind].set_axis(range(5, 5 + len(VALUES[kind])))
    spelled = columnwise.mapped(values, as_category)
    assert spelled.tolist() == [as_category(value) for value in values.tolist()]
    assert spelled.index.equals(values.index)
    assert spelled.dtype == object


def test_equal_texts_are_one_object():
    spelled = columnwise.mapped(pd.Series(["long enough", "other", "long enough"]), as_category)
    assert spelled[0] is spelled[2]


MOMENTS = {
    "days": ["2026-01-31", None, "0001-01-01", "9999-12-31", "2026-01-31"],
    "seconds": ["2026-01-31 10:11:12", "1969-12-31 23:59:59"],
    "fractions": ["2026-01-31 10:11:12.5", "2026-01-31 10:11:12"],
}


@pytest.mark.parametrize("unit", ["s", "us"])
@pytest.mark.parametrize("kind", MOMENTS)
def test_moments_are_spelled_as_isoformat_does(kind, unit):
    if (kind, unit) == ("fractions", "s"):
        unit = "ns"
    moments = pd.Series(pd.DatetimeIndex(pd.array(MOMENTS[kind], dtype=f"datetime64[{unit}]")))
    expected = [None if moment is pd.NaT else moment.isoformat() for moment in moments]
    assert columnwise.iso_dates(moments).tolist() == expected


def test_moments_keep_their_time_zone():
    moments = pd.Series([pd.Timestamp(datetime(2026, 3, 29, 1, tzinfo=UTC)).tz_convert("Europe/Berlin"), pd.NaT])
    assert columnwise.iso_dates(moments).tolist() == ["2026-03-29T03:00:00+02:00", None]


def test_duplicates_are_those_that_pandas_finds():
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "number": random.choice([0.0, -0.0, np.nan, 1.5], 400),
            "whole": random.integers(0, 3, 400),
            "text": random.choice(np.array(["a", "b", None], dtype=object), 400),
            "flag": random.random(400) < 0.5,
        }
    )
    assert 0 < columnwise.duplicated(frame, columnwise.row_hashes(frame)).sum() < 400
    assert columnwise.duplicated(frame, columnwise.row_hashes(frame)).tolist() == frame.duplicated().tolist()


def test_rows_that_share_a_hash_are_compared():
    frame = pd.DataFrame({"a": [1.0, 2.0, 1.0, 3.0]})
    assert columnwise.duplicated(frame, np.zeros(4, dtype=np.uint64)).tolist() == [False, False, True, False]


def test_columns_in_another_order_are_other_rows():
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["y", "x"]})
    assert columnwise.duplicated(frame, columnwise.row_hashes(frame)).tolist() == [False, False]
    assert len(set(columnwise.row_hashes(frame).tolist())) == 2
