import numpy as np
import pandas as pd
import pytest

from lockstep.data.schema import Column, Schema
from lockstep.metrics import slices
from lockstep.metrics.slices import LEAST_ROWS, MISSING, OTHERS


def cut(kind, values, **asked):
    """Return the slices of one column as names and numbers of rows."""
    dtype = np.float64 if kind == "numeric" else object
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype)})
    schema = Schema("binary", "y", (0, 1), (Column("x", kind, True, None),))
    found = slices.cut(frame, schema, **asked)
    assert all(part.column == "x" and part.rows.shape == (len(frame),) for part in found)
    return {part.name: part.count for part in found}


FEW = LEAST_ROWS - 1


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        pytest.param(
            "numeric",
            range(80),
            {"up to 19": 20, "over 19 to 39": 20, "over 39 to 59": 20, "over 59": 20},
            id="quartiles",
        ),
        pytest.param("numeric", [0.0] * 60 + [1.0] * 20, {"up to 0": 60, "over 0": 20}, id="ties-stay-together"),
        pytest.param("numeric", [1.0] * 60 + [2.0] * FEW, {"up to 1": 60}, id="too-few-rows-are-no-slice"),
        pytest.param("numeric", [7.0] * 80, {}, id="constant"),
        pytest.param("numeric", [7.0] * 60 + [None] * 20, {"all": 60, MISSING: 20}, id="missing-is-its-own"),
        pytest.param("numeric", [None] * 80, {}, id="all-missing"),
        pytest.param(
            "numeric",
            [1e6 + i / 1e4 for i in range(80)],
            {
                "up to 1000000.0019": 20,
                "over 1000000.0019 to 1000000.0039": 20,
                "over 1000000.0039 to 1000000.0059": 20,
                "over 1000000.0059": 20,
            },
            id="names-tell-near-edges-apart",
        ),
        pytest.param(
            "categorical",
            ["b"] * 30 + ["a"] * 30 + ["c"] * 10 + ["d"] * 12 + [None] * 25,
            {"a": 30, "b": 30, OTHERS: 22, MISSING: 25},
            id="categories",
        ),
        pytest.param("categorical", ["a"] * 60 + ["b"] * FEW, {"a": 60}, id="rare-categories-are-no-slice"),
        pytest.param("categorical", ["a"] * 60, {}, id="one-category"),
        pytest.param(
            "categorical",
            [f"c{i:02}" for i in range(12) for _ in range(40)],
            {**{f"c{i:02}": 40 for i in range(8)}, OTHERS: 160},
            id="many-categories",
        ),
        pytest.param(
            "text",
            ["x" * (i % 4 + 1) for i in range(80)],
            {
                "up to 1 characters": 20,
                "over 1 to 2 characters": 20,
                "over 2 to 3 characters": 20,
                "over 3 characters": 20,
            },
            id="length-of-text",
        ),
        pytest.param(
            "date",
            [f"2024-0{i % 4 + 1}-01" for i in range(80)],
            {
                "up to 2024-01-01": 20,
                "over 2024-01-01 to 2024-02-01": 20,
                "over 2024-02-01 to 2024-03-01": 20,
                "over 2024-03-01": 20,
            },
            id="time",
        ),
        pytest.param(
            "date",
            [f"2024-01-01T0{i % 2}:00:00+01:00" for i in range(80)],
            {"up to 2023-12-31": 40, "over 2023-12-31": 40},
            id="time-in-utc",
        ),
    ],
)
def test_slices(kind, values, expected):
    assert cut(kind, values) == expected


def test_the_number_of_slices_is_bounded_and_columns_stay_whole():
    frame = pd.DataFrame({name: np.arange(80.0) for name in "abc"})
    schema = Schema("binary", "y", (0, 1), tuple(Column(name, "numeric", True, None) for name in "abc"))
    assert [part.column for part in slices.cut(frame, schema, most=9)] == [*"aaaa", *"bbbb"]


def test_slices_of_a_numeric_column_are_all_rows_once():
    values = np.random.default_rng(0).normal(size=500).round(1)
    frame = pd.DataFrame({"x": values})
    found = slices.cut(frame, Schema("binary", "y", (0, 1), (Column("x", "numeric", True, None),)))
    assert (sum(part.rows.astype(int) for part in found) == 1).all()
    assert [values[part.rows].max() for part in found] == sorted(values[part.rows].max() for part in found)
