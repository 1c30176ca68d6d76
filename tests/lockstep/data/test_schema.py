import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from lockstep.config.params import Categorical, FeatureEngineering
from lockstep.data import cleaning, frames
from lockstep.data.schema import Column, RowsRefused, Schema
from lockstep.errors import ArtifactError
from lockstep.features.transformers import DateParts

KINDS = {"age": "numeric", "size": "numeric", "town": "categorical", "review": "text", "since": "date"}
TRAIN = cleaning.canonical(
    pd.DataFrame(
        {
            "age": [30, 20, 40, 25],
            "size": [1.5, None, 2.5, 0.5],
            "town": ["Bonn", "Łódź", "Bonn", None],
            "review": ["good", "bad", "good", "fine"],
            "since": ["2026-01-31", None, "2025-12-24", "2026-01-31"],
        }
    ),
    KINDS,
).assign(y=["yes", "no", "yes", "no"])
ROW = {"age": 30, "size": 1.5, "town": "Bonn", "review": "good", "since": "2026-01-31"}


def learn(unknown="refuse", **changed):
    params = FeatureEngineering(categorical=Categorical(unknown=unknown))
    return frames.learn(TRAIN.assign(**changed), "y", "binary", KINDS, params)


LEARNED = learn()


def test_what_is_learned():
    assert (LEARNED.task, LEARNED.target, LEARNED.labels, LEARNED.kinds) == ("binary", "y", ("no", "yes"), KINDS)
    assert LEARNED.columns == (
        Column("age", "numeric", False, 30.0, 20.0, 40.0, 1.0, unknown="ignore"),
        Column("size", "numeric", True, 1.5, 0.5, 2.5, None, missing=0.25),
        Column("town", "categorical", True, "Bonn", categories=("Bonn", "Łódź"), unknown="refuse", missing=0.25),
        Column("review", "text", False, "good"),
        Column("since", "date", True, "2026-01-31", missing=0.25),
    )


def test_a_constant_and_an_empty_column_are_described():
    numbers = pd.DataFrame({"B30": [2.0, 2.0], "none": [np.nan, np.nan], "y": [1, 2]})
    learned = frames.learn(numbers, "y", "regression", {"B30": "numeric", "none": "numeric"}, FeatureEngineering())
    assert learned.labels == ()
    assert learned.columns == (
        Column("B30", "numeric", False, 2.0, 2.0, 2.0, 1.0),
        Column("none", "numeric", True, None, missing=1.0),
    )


@pytest.mark.parametrize(
    ("target", "labels", "dtype"),
    [
        (["b", "a", "b"], ("a", "b"), "<U1"),
        ([2, 1, 2], (1, 2), "int64"),
        ([True, False, True], (False, True), "bool"),
    ],
)
def test_labels_are_sorted_and_the_target_array_has_one_type(target, labels, dtype):
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": target})
    learned = frames.learn(frame, "y", "binary", {"x": "numeric"}, FeatureEngineering())
    array = frames.target_array(frame, learned)
    assert (learned.labels, array.dtype.str.lstrip("|"), array.tolist()) == (
        labels,
        np.dtype(dtype).str.lstrip("|"),
        target,
    )
    assert [type(label) for label in learned.labels] == [type(label) for label in labels]


def test_a_regression_target_is_an_array_of_floats():
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0.5, 1.5]})
    learned = frames.learn(frame, "y", "regression", {"x": "numeric"}, FeatureEngineering())
    assert frames.target_array(frame, learned).tolist() == [0.5, 1.5]


def test_a_good_row_has_no_fault_in_any_order():
    assert LEARNED.faults(ROW) == []
    assert LEARNED.faults(dict(reversed(ROW.items()))) == []
    assert LEARNED.faults(ROW | {"size": None, "town": None, "since": None, "age": -1e30}) == []


VALUES = {
    "bool-for-a-number": ("age", True, "expected a number"),
    "text-for-a-number": ("age", "30", "expected a number"),
    "list-for-a-number": ("age", [30], "expected a number"),
    "object-for-a-number": ("age", {"age": 30}, "expected a number"),
    "B31-nan": ("age", math.nan, "expected a finite number"),
    "B31-infinity": ("age", math.inf, "expected a finite number"),
    "B31-minus-infinity": ("size", -math.inf, "expected a finite number"),
    "number-too-large": ("age", 1.1e30, "expected a number of at most 1e+30 in size"),
    "number-beyond-a-float": ("age", 10**400, "expected a number that a 64-bit float can hold"),
    "null": ("age", None, "null, but this column had no missing value in training"),
    "null-text": ("review", None, "null, but this column had no missing value in training"),
    "number-for-a-category": ("town", 3, "expected a text"),
    "bool-for-a-category": ("town", True, "expected a text"),
    "list-for-a-category": ("town", ["Bonn"], "expected a text"),
    "B42-unseen-category": ("town", "Paris", "unknown category; accepted: Bonn, Łódź"),
    "category-in-other-letters": ("town", "bonn", "unknown category; accepted: Bonn, Łódź"),
    "empty-category": ("town", "", "unknown category; accepted: Bonn, Łódź"),
    "number-for-a-text": ("review", 1.5, "expected a text"),
    "nan-for-a-text": ("review", math.nan, "expected a text"),
    "no-date": ("since", "yesterday", "expected a date as in 2026-01-31 or 2026-01-31T12:00:00+00:00"),
    "B34-no-such-day": ("since", "2026-02-30", "expected a date as in 2026-01-31 or 2026-01-31T12:00:00+00:00"),
    "B34-day-first": ("since", "31.01.2026", "expected a date as in 2026-01-31 or 2026-01-31T12:00:00+00:00"),
    "B34-week": ("since", "2026-W05-1", "expected a date as in 2026-01-31 or 2026-01-31T12:00:00+00:00"),
    "B34-before-the-year-1": (
        "since",
        "0001-01-01T00:00:00+14:00",
        "expected a date as in 2026-01-31 or 2026-01-31T12:00:00+00:00",
    ),
    "number-for-a-date": ("since", 20260131, "expected a date as in 2026-01-31 or 2026-01-31T12:00:00+00:00"),
    "empty-date": ("since", "", "expected a date as in 2026-01-31 or 2026-01-31T12:00:00+00:00"),
    "unknown-column": ("agee", 30, "unknown column; did you mean 'age'?"),
    "target-sent-along": ("y", "yes", "unknown column"),
}


@pytest.mark.parametrize(("column", "value", "problem"), VALUES.values(), ids=VALUES.keys())
def test_value_faults(column, value, problem):
    assert [vars(fault) for fault in LEARNED.faults(ROW | {column: value}, 3)] == [
        {"row": 3, "column": column, "problem": problem, "value": value}
    ]


@pytest.mark.parametrize("row", [None, [], [1, 2], "row", 5, True], ids=repr)
def test_a_row_that_is_no_object(row):
    assert [(fault.column, fault.problem) for fault in LEARNED.faults(row)] == [
        ("", "a row is an object of column names and values")
    ]


def test_every_wrong_column_of_every_row_is_told():
    bad = {"age": "x", "town": "Paris", "review": "good", "since": None, "colour": "red"}
    with pytest.raises(RowsRefused, match=r"row 1, column 'size': missing column \(and 5 more\)") as refused:
        LEARNED.check([ROW, bad, {**ROW, "age": None}, [1]])
    assert [(fault.row, fault.column) for fault in refused.value.faults] == [
        (1, "size"),
        (1, "age"),
        (1, "town"),
        (1, "colour"),
        (2, "age"),
        (3, ""),
    ]


def test_a_category_never_seen_passes_where_params_say_so():
    lenient = learn(unknown="ignore")
    assert lenient.faults(ROW | {"town": "Paris"}) == []
    assert [fault.problem for fault in lenient.faults(ROW | {"town": 3})] == ["expected a text"]


DAYS = ["2026-01-31", "20260131", "2026-W05-1", "0001-01-01", "9999-12-31", "2026-0131", "2026-01", "٢٠٢٦-01-31"]
TIMES = [
    "",
    "T12",
    " 12:00",
    "T12:00:01",
    "T120001",
    "x12:00",
    "T12:00:01.5",
    "T12:00:01,5",
    "T12:00:01.123456789",
    "T24:00",
]
ZONES = ["", "Z", "+02:00", "-0200", "+02", "+02:00:30", "+23:59"]


def test_every_date_that_passes_can_be_transformed():
    dates = ["".join(parts) for parts in itertools.product(DAYS, TIMES, ZONES)]
    passed = [date for date in dates if LEARNED.problem("since", date) is None]
    assert {"2026-01-31", "20260131", "0001-01-01", "2026-01-31T12:00:01.5+02:00", "2026-01-31 12:00Z"} <= set(passed)
    for date in passed:
        parts = DateParts(["year"]).fit_transform(pd.DataFrame({"since": [date]}))
        assert abs(parts[0, 0] - int(date[:4])) <= 1


def test_checked_rows_become_a_canonical_frame():
    rows = LEARNED.check([dict(reversed(ROW.items())), ROW | {"size": None, "town": None}])
    frame = frames.from_rows(rows, LEARNED)
    expected = cleaning.canonical(
        pd.DataFrame({name: pd.Series([value, value], dtype=object) for name, value in ROW.items()}), KINDS
    )
    expected.loc[1, "size"] = np.nan
    expected.loc[1, "town"] = None
    pd.testing.assert_frame_equal(frame, expected)
    assert list(frame.columns) == list(KINDS)


def test_rows_and_frame_undo_each_other():
    features = TRAIN[list(KINDS)]
    rows = json.loads(json.dumps(LEARNED.objects(frames.rows_of(TRAIN, LEARNED)), allow_nan=False))
    assert rows[1] == {"age": 20.0, "size": None, "town": "Łódź", "review": "bad", "since": None}
    pd.testing.assert_frame_equal(frames.from_rows(LEARNED.check(rows), LEARNED), features)


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        pytest.param("age", np.nan, "null, but this column had no missing value in training", id="null"),
        pytest.param("age", np.inf, "expected a finite number", id="B31-infinity"),
        pytest.param("age", -1e301, "expected a number of at most 1e+30 in size", id="B31-far-beyond"),
        pytest.param("town", "Paris", "unknown category; accepted: Bonn, Łódź", id="B42-unseen-category"),
        pytest.param("review", None, "null, but this column had no missing value in training", id="null-text"),
    ],
)
def test_a_frame_is_refused_by_its_first_wrong_row(column, value, problem):
    frame = TRAIN.copy()
    frames.check_frame(frame, LEARNED)
    frame.loc[[2, 3], column] = value
    with pytest.raises(RowsRefused) as refused:
        frames.check_frame(frame, LEARNED, start=1000)
    (fault,) = refused.value.faults
    assert (fault.row, fault.column, fault.problem) == (1002, column, problem)


def test_a_frame_is_refused_with_every_wrong_column():
    frame = TRAIN.copy()
    frame.loc[1, "age"], frame.loc[2, "town"] = -np.inf, "Paris"
    with pytest.raises(RowsRefused) as refused:
        frames.check_frame(frame, LEARNED)
    assert [(fault.row, fault.column) for fault in refused.value.faults] == [(1, "age"), (2, "town")]


def test_json_round_trip():
    content = json.loads(json.dumps(LEARNED.to_json(), allow_nan=False))
    assert Schema.from_json(content) == LEARNED
    assert content["format"] == 1
    assert content["columns"][3] == {
        "name": "review",
        "kind": "text",
        "nullable": False,
        "example": "good",
        "unknown": "ignore",
    }


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(lambda content: content | {"format": 2}, "schema format 2 is not 1", id="B41-other-format"),
        pytest.param(lambda content: {"format": 1}, "schema.json is damaged: KeyError", id="cut-off"),
        pytest.param(lambda content: [content], "schema.json is damaged: TypeError", id="list"),
        pytest.param(lambda content: content | {"columns": [{"name": "x"}]}, "is damaged: TypeError", id="column"),
        pytest.param(
            lambda content: content | {"columns": [{"extra": 1} | content["columns"][0]]}, "damaged", id="more"
        ),
    ],
)
def test_a_damaged_schema_is_refused(change, problem):
    with pytest.raises(ArtifactError, match=problem) as refused:
        Schema.from_json(change(LEARNED.to_json()))
    assert "dvc repro" in refused.value.hint


def test_json_may_send_several_values_of_a_cell_as_a_list():
    columns = Column("tags", "text", True, "a|b", separator="|"), Column("n", "numeric", False, 1.0)
    schema, row = Schema("binary", "y", ("no", "yes"), columns), {"n": 1.0}
    rows = schema.check([row | {"tags": value} for value in (["a", "b"], "a|b", [], None)])
    assert [tags for tags, _ in rows] == ["a|b", "a|b", "", None]
    for wrong in ([1], [["a"]], {"a": 1}):
        with pytest.raises(RowsRefused):
            schema.check([row | {"tags": wrong}])
    assert Schema.from_json(schema.to_json()) == schema
