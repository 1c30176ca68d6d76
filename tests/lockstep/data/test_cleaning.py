import numpy as np
import pandas as pd
import pytest

from lockstep.config.params import Columns, DataPreprocessing
from lockstep.data import cleaning
from lockstep.errors import DataError

LONG = "a sentence of more than forty characters, as reviews are"


def obj(*values):
    return pd.Series(values, dtype=object)


def clean(frame, **params):
    return cleaning.clean(frame, DataPreprocessing(**{"target": "y"} | params))


def rows(**columns):
    return pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": ["a", "b", "a", "b"]} | columns)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param(pd.Series([1, 2, 3]), "numeric", id="int"),
        pytest.param(pd.Series([1.5, None, 3]), "numeric", id="float"),
        pytest.param(pd.Series([True, False, True]), "categorical", id="bool"),
        pytest.param(obj(True, None, False), "categorical", id="bool-or-nothing"),
        pytest.param(pd.Series(["red", "green", None]), "categorical", id="word"),
        pytest.param(obj("1", "x"), "categorical", id="B32-mixed"),
        pytest.param(pd.Series(["1,234", "2,345"]), "categorical", id="thousands-separator"),
        pytest.param(pd.Series([LONG, LONG]), "text", id="text"),
        pytest.param(pd.Series(["2026-01-31", None, "2026-02-28T12:00:00+02:00"]), "date", id="date"),
        pytest.param(pd.Series(["2026-01-31", "2026-02-31"]), "categorical", id="no-such-date"),
        pytest.param(pd.Series(["31.01.2026", "28.02.2026"]), "categorical", id="other-date"),
        pytest.param(pd.Series(pd.to_datetime(["2026-01-31", None])), "date", id="datetime"),
    ],
)
def test_suggested_kinds(values, kind):
    assert cleaning.suggest_kind(values) == kind


CANONICAL = {
    "int": ("numeric", obj(1, 2), [1.0, 2.0]),
    "missing-number": ("numeric", obj(None, 2), [np.nan, 2.0]),
    "bool-as-number": ("numeric", pd.Series([True, False]), [1.0, 0.0]),
    "number-in-text": ("numeric", pd.Series(["1", "2.5"]), [1.0, 2.5]),
    "bool-as-json": ("categorical", pd.Series([True, False]), ["true", "false"]),
    "whole-float": ("categorical", pd.Series([3.0, np.nan]), ["3", None]),
    "half": ("categorical", pd.Series([3.5]), ["3.5"]),
    "int-as-category": ("categorical", pd.Series([3, -1]), ["3", "-1"]),
    "infinity": ("categorical", pd.Series([np.inf]), ["inf"]),
    "text": ("text", pd.Series(["é", None, ""]), ["é", None, ""]),
    "date": ("date", pd.Series(["2026-01-31", None]), ["2026-01-31", None]),
    "datetime": ("date", pd.Series(pd.to_datetime(["2026-01-31T12:00", None])), ["2026-01-31T12:00:00", None]),
    "B34-time-zone": ("date", pd.Series(pd.to_datetime(["2026-03-29T01:30+01:00"])), ["2026-03-29T01:30:00+01:00"]),
    "B34-year-1": ("date", pd.Series(["0001-01-01"]), ["0001-01-01"]),
}


@pytest.mark.parametrize(("kind", "values", "expected"), CANONICAL.values(), ids=CANONICAL.keys())
def test_canonical_forms(kind, values, expected):
    values.index += 7
    found = cleaning.canonical(values.to_frame("a column"), {"a column": kind})["a column"]
    assert found.dtype == (np.float64 if kind == "numeric" else object)
    assert found.index.tolist() == values.index.tolist()
    np.testing.assert_array_equal(found.to_numpy(), np.asarray(expected, dtype=found.dtype))
    again = cleaning.canonical(found.to_frame("a column"), {"a column": kind})["a column"]
    pd.testing.assert_series_equal(again, found)


def test_text_where_a_number_is_wanted_is_named():
    with pytest.raises(DataError, match="column 'price' is numeric but holds '1,5'") as refused:
        cleaning.canonical(pd.DataFrame({"price": ["1.5", None, "1,5"]}), {"price": "numeric"})
    assert "reader.missing" in refused.value.hint


def test_other_columns_are_left_as_they_are():
    frame = rows(n=[1, 2, 3, 4])
    found = cleaning.with_kinds(frame, {"n": "categorical"})
    assert found["n"].tolist() == ["1", "2", "3", "4"]
    pd.testing.assert_frame_equal(found[["x", "y"]], frame[["x", "y"]])


TARGETS = {
    "int": ([0, 1, 2, 1], "auto", "multiclass", np.dtype("int64"), [0, 1, 2, 1]),
    "two-ints": ([0, 1, 0, 1], "auto", "binary", np.dtype("int64"), [0, 1, 0, 1]),
    "int-as-regression": ([0, 1, 2, 1], "regression", "regression", np.dtype("float64"), [0.0, 1.0, 2.0, 1.0]),
    "float-of-whole-numbers": ([0.0, 1.0, 0.0, 1.0], "auto", "binary", np.dtype("int64"), [0, 1, 0, 1]),
    "float": ([0.5, 1.0, 0.0, 1.0], "auto", "regression", np.dtype("float64"), [0.5, 1.0, 0.0, 1.0]),
    "bool": ([True, False, True, False], "auto", "binary", np.dtype("bool"), [True, False, True, False]),
    "text": (["a", "b", "c", "a"], "auto", "multiclass", np.dtype("object"), ["a", "b", "c", "a"]),
    "text-that-looks-like-numbers": (["1", "2", "1", "2"], "auto", "binary", np.dtype("object"), ["1", "2", "1", "2"]),
}


@pytest.mark.parametrize(("values", "stated", "task", "dtype", "kept"), TARGETS.values(), ids=TARGETS.keys())
def test_targets(values, stated, task, dtype, kept):
    cleaned = clean(rows(y=values), task=stated)
    assert (cleaned.task, cleaned.frame["y"].dtype, cleaned.frame["y"].tolist()) == (task, dtype, kept)


def test_a_target_that_takes_many_whole_values_is_a_regression():
    assert clean(pd.DataFrame({"x": range(21), "y": range(21)})).task == "regression"
    assert clean(pd.DataFrame({"x": range(20), "y": range(20)})).task == "multiclass"


@pytest.mark.parametrize(
    ("values", "kept", "dtype"),
    [
        pytest.param([True, None, False, True], [True, False, True], "bool", id="B25-bool"),
        pytest.param([1.0, None, 0.0, 1.0], [1, 0, 1], "int64", id="B25-number"),
        pytest.param(["a", None, "b", "a"], ["a", "b", "a"], "object", id="B25-text"),
    ],
)
def test_rows_without_target_are_dropped_and_counted(values, kept, dtype):
    cleaned = clean(rows(y=values))
    assert (cleaned.frame["y"].tolist(), str(cleaned.frame["y"].dtype)) == (kept, dtype)
    assert cleaned.frame["x"].tolist() == [1.0, 3.0, 4.0]
    assert (cleaned.dropped.rows_read, cleaned.dropped.rows_without_target) == (4, 1)


FAULTS = {
    "B23-target-missing": (rows(), {"target": "Y"}, "target column 'Y' not found", "columns are x, y; set data_pre"),
    "B24-target-empty": (rows(y=[None] * 4), {}, "target column 'y' holds no value", "reader.missing"),
    "B26-single-class": (rows(y=["a"] * 4), {}, "target 'y' has one value only, 'a'", "two classes or more"),
    "B26-single-number": (rows(y=[1.5] * 4), {"task": "regression"}, "has one value only, 1.5", "two classes or more"),
    "B28-not-numeric": (rows(), {"task": "regression"}, "target 'y' is not numeric", "data_preprocessing.task"),
    "B28-bool": (rows(y=[True, False] * 2), {"task": "regression"}, "target 'y' is not numeric", "task"),
    "three-classes-for-two": (rows(y=[1, 2, 3, 1]), {"task": "binary"}, "has 3 classes", "task: multiclass"),
    "no-feature": (rows(), {"columns": Columns(ignore=("x",))}, "no feature column is left", "name some under"),
    "no-role": (rows(), {"columns": Columns(other="refuse")}, "column 'x' has no role", "set other: auto"),
    "unknown-column": (
        rows(),
        {"columns": Columns(text=("xx",))},
        "column 'xx' not found",
        "data_preprocessing.columns.text names it; columns are x, y",
    ),
    "B29-nothing-but-empty-columns": (rows(x=[None] * 4), {}, "no feature column is left", "name some"),
    "B32-text-in-a-numeric-column": (
        rows(z=obj(1, "two", 3, 4)),
        {"columns": Columns(numeric=("z",))},
        "column 'z' is numeric but holds 'two'",
        "make the column categorical",
    ),
    "B33-decimal-comma": (
        rows(z=["1,5", "2,5", "3,5", "4,5"]),
        {"columns": Columns(numeric=("z",))},
        "column 'z' is numeric but holds '1,5'",
        "reader.missing",
    ),
}


@pytest.mark.parametrize(("frame", "params", "problem", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_cleaning_faults(frame, params, problem, hint):
    with pytest.raises(DataError) as refused:
        clean(frame, **params)
    assert problem in refused.value.problem
    assert hint in refused.value.hint


def test_a_column_without_values_is_dropped_and_reported():
    cleaned = clean(rows(B29=[None] * 4, kept=[1.0, None, None, None]))
    assert list(cleaned.frame.columns) == ["x", "kept", "y"]
    assert cleaned.dropped.columns_without_values == ["B29"]


def test_roles_of_params_win_and_the_left_out_are_reported():
    frame = rows(n=[1, 2, 1, 2], key=["k1", "k2", "k3", "k4"], junk=[1, 2, 3, 4])
    cleaned = clean(frame, columns=Columns(categorical=("n",), id=("key",), ignore=("junk",)))
    assert cleaned.kinds == {"x": "numeric", "n": "categorical"}
    assert cleaned.dropped.columns_left_out == {"key": "id", "junk": "ignore"}
    assert list(cleaned.frame.columns) == ["x", "n", "y"]


def test_columns_not_named_can_be_ignored():
    assert clean(rows(n=[1, 2, 3, 4]), columns=Columns(numeric=("x",), other="ignore")).kinds == {"x": "numeric"}


@pytest.mark.parametrize(("drop", "left"), [(True, 4), (False, 6)], ids=["B37-dropped", "kept-on-wish"])
def test_duplicates(drop, left):
    frame = pd.concat([rows(), rows().iloc[[0, 2]]], ignore_index=True)
    cleaned = clean(frame, drop_duplicates=drop)
    assert len(cleaned.frame) == left
    assert cleaned.dropped.rows_duplicate == 6 - left
    assert cleaned.frame.index.tolist() == list(range(left))


def test_rows_that_differ_in_an_ignored_column_alone_are_duplicates():
    cleaned = clean(rows(x=[1.0, 1.0, 1.0, 1.0], key=[1, 2, 3, 4]), columns=Columns(id=("key",)))
    assert cleaned.frame["y"].tolist() == ["a", "b"]


def test_the_given_frame_is_not_changed():
    frame = rows(n=[1, 2, 3, None])
    before = frame.copy(deep=True)
    clean(frame, columns=Columns(categorical=("n",)))
    pd.testing.assert_frame_equal(frame, before)
