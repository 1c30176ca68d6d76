"""The faults that data can have, from raw rows to a predictor: each is refused by name, or lived through."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from lockstep.config.params import (
    Candidate,
    Categorical,
    Columns,
    Contract,
    DataPreprocessing,
    FeatureEngineering,
    ModelBuilding,
    Rule,
    Split,
    Text,
)
from lockstep.data import cleaning, frames
from lockstep.data.prepare import prepare
from lockstep.data.raw import RawData
from lockstep.data.record import SplitRecord
from lockstep.data.split import fold_constraints
from lockstep.errors import DataError
from lockstep.features import build
from lockstep.inference.predictor import Predictor
from lockstep.metrics import scores
from lockstep.modeling.search import search

COUNT = 120


def rows(**columns):
    """Return rows whose target hangs on `x`."""
    random = np.random.default_rng(2)
    x = random.normal(size=COUNT)
    target = np.where(x + random.normal(size=COUNT) / 3 > 0, "yes", "no")
    return pd.DataFrame({"x": x, "y": target} | columns)


def prepared(frame, **params):
    return prepare(RawData(frame, {"source": "rows.csv"}), DataPreprocessing(**{"target": "y"} | params))


def fitted(made, features=None, **building):
    """Return the schema and the pipeline of prepared rows, and their test rows."""
    features = features or FeatureEngineering()
    kinds, task = dict(made.record.kinds), made.record.task
    train, test = (cleaning.with_kinds(part, kinds) for part in (made.train, made.test))
    learned = frames.learn(train, "y", task, kinds, features)
    marks = fold_constraints(train, made.record.split)
    transformers, matrix = build.fit(train, learned, features, marks)
    grid = (Candidate(estimator="ridge" if task == "regression" else "logistic_regression"),)
    params = ModelBuilding(**{"candidates": grid} | building)
    found = search.choose(matrix, frames.target_array(train, learned), task, params, marks)
    return learned, Pipeline([("features", transformers), ("estimator", found.estimator)]), test


def trained(made, features=None, **building):
    """Return the predictor of prepared rows, and how well it answers the test rows."""
    learned, pipeline, test = fitted(made, features, **building)
    predictor = Predictor.from_pipeline(learned, pipeline)
    return predictor, scores.measure(scores.primary("auto", learned.task), predictor.score(test))


NAMES = [f"k{place}" for place in range(COUNT)]
LIVED_THROUGH = {
    "B25-target-missing": (lambda: rows().assign(y=rows()["y"].where(np.arange(COUNT) % 4 > 0)), {}, ["x"]),
    "B29-all-null": (lambda: rows(empty=[None] * COUNT), {}, ["x"]),
    "B30-constant": (lambda: rows(one=[3.0] * COUNT, word=["same"] * COUNT), {}, ["x", "one", "word"]),
    "B31-infinity-is-quarantined": (
        lambda: rows(size=[np.inf, *range(COUNT - 1)]),
        {"contract": Contract(on_violation="quarantine", columns={"size": Rule(kind="numeric")})},
        ["x", "size"],
    ),
    "B32-mixed-types": (lambda: rows(mix=pd.Series([1, "a", 2.5, True, None, "b"] * 20, dtype=object)), {}, None),
    "B32-a-word-among-numbers-is-quarantined": (
        lambda: rows(size=pd.Series(["n/k", *map(str, range(COUNT - 1))], dtype=object)),
        {"contract": Contract(on_violation="quarantine", columns={"size": Rule(kind="numeric")})},
        ["x", "size"],
    ),
    "B34-year-1-and-zones": (
        lambda: rows(day=["0001-01-01", "2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00", None] * 30),
        {"columns": Columns(date=("day",))},
        ["x", "day"],
    ),
    "B34-day-first": (
        lambda: rows(day=["31.12.2025", "01.02.2026"] * 60),
        {"dates": {"day": "%d.%m.%Y"}},
        ["x", "day"],
    ),
    "B34-several-formats": (
        lambda: rows(day=["2025-12-31", "1 Feb 2026", "2026/03/04 05:06"] * 40),
        {"dates": {"day": "mixed"}},
        ["x", "day"],
    ),
    "B35-id": (lambda: rows(key=NAMES), {}, ["x"]),
    "B35-short-texts": (lambda: rows(name=[f"{name} of {name}" for name in NAMES]), {}, ["x", "name"]),
    "B37-duplicates": (lambda: pd.concat([rows()] * 3, ignore_index=True), {"drop_duplicates": False}, ["x"]),
    "blanks-before-words": (lambda: rows(job=[" ?", " clerk", " nurse"] * 40), {}, ["x", "job"]),
}


@pytest.mark.parametrize(("make", "params", "columns"), LIVED_THROUGH.values(), ids=LIVED_THROUGH.keys())
def test_rows_with_a_fault_still_make_a_model(make, params, columns):
    made = prepared(make(), **params)
    assert columns is None or [name for name, _ in made.record.kinds] == columns
    _, quality = trained(made, FeatureEngineering(text=Text(min_documents=1)))
    assert quality > 0.85


REFUSED = {
    "B31-infinity": (lambda: rows(size=[np.inf] * COUNT), {}, "column 'size' holds infinity in 120 rows", "missing"),
    "B31-infinite-target": (
        lambda: rows(y=[np.inf, *range(COUNT - 1)]), {"task": "regression"}, "target 'y' holds infinity", "missing",
    ),
    "B33-thousands": (
        lambda: rows(price=["1,234"] * COUNT),
        {"columns": Columns(numeric=("price",))},
        "column 'price' is numeric but holds '1,234'",
        "categorical",
    ),
    "B34-no-date": (
        lambda: rows(day=["2026-01-31", "31.01.2026"] * 60),
        {"columns": Columns(date=("day",))},
        "column 'day' is a date but holds '31.01.2026'",
        "dates: {day: '%d.%m.%Y'}",
    ),
    "B34-no-such-day": (
        lambda: rows(day=["2026-02-28", "2026-02-30"] * 60),
        {"columns": Columns(date=("day",))},
        "holds '2026-02-30'",
        "data_preprocessing.dates",
    ),
    "B34-another-format": (
        lambda: rows(day=["31.12.2025", "12/31/2025"] * 60),
        {"dates": {"day": "%d.%m.%Y"}},
        "column 'day' holds a date that is not spelled '%d.%m.%Y'",
        "strftime",
    ),
    "unknown-date-column": (lambda: rows(), {"dates": {"dya": "%d"}}, "column 'dya' not found", "dates"),
    "B38-no-labels": (lambda: rows(y=[None] * COUNT), {}, "target column 'y' holds no value", "missing"),
    "B38-all-quarantined": (
        lambda: rows(),
        {"contract": Contract(on_violation="quarantine", columns={"x": Rule(minimum=100)})},
        "120 of 120 rows break the data contract, too many",
        "most_quarantined",
    ),
    "B38-nothing-is-left": (
        lambda: rows(),
        {"contract": Contract(on_violation="quarantine", most_quarantined=1, columns={"x": Rule(minimum=100)})},
        "no row is left",
        "contract",
    ),
    "unknown-split-column": (
        lambda: rows(patient=NAMES),
        {"split": Split(method="group", column="patent")},
        "column 'patent' not found; did you mean 'patient'?",
        "split.column",
    ),
    "B27-a-class-of-one-row": (lambda: rows(y=["a"] * 119 + ["b"]), {}, "class 'b' has one row", "method: random"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "params", "problem", "hint"), REFUSED.values(), ids=REFUSED.keys())
def test_rows_with_a_fault_are_refused_by_name(make, params, problem, hint):
    with pytest.raises(DataError) as refused:
        prepared(make(), **params)
    assert problem in refused.value.problem
    assert hint in refused.value.hint
    assert "\n" not in refused.value.problem


def test_what_was_quarantined_is_counted():
    frame = rows(age=[*range(COUNT - 5), 900, 901, None, -3, 40])
    contract = Contract(on_violation="quarantine", columns={"age": Rule(minimum=0, maximum=120)})
    made = prepared(frame, contract=contract)
    assert made.record.dropped.rows_read == COUNT
    assert made.record.dropped.rows_quarantined == 3
    assert made.record.dropped.quarantined == {"age: below 0": 1, "age: above 120": 2}
    assert len(made.train) + len(made.test) == COUNT - 3
    assert made.quarantined["quarantine_row"].tolist() == [115, 116, 118]


def test_b39_seven_classes_with_five_rows_in_the_smallest():
    """With five folds the class cannot stand in each: it is said so; with four the model is sound."""
    counts = [5, 20, 60, 120, 60, 20, 5]
    grade = np.repeat(np.arange(3, 10), counts)
    x = grade + np.random.default_rng(0).normal(size=len(grade)) / 4
    made = prepared(pd.DataFrame({"x": x, "y": grade}))
    assert set(made.test["y"]) == set(range(3, 10))
    with pytest.raises(DataError, match="4 train rows of the smallest class cannot fill 5 folds") as refused:
        trained(made)
    assert "lower model_building.folds" in refused.value.hint
    predictor, quality = trained(made, folds=4)
    assert predictor.schema.labels == tuple(range(3, 10))
    assert quality > 0.7


def shuffled(frame, seed):
    return frame.sample(frac=1, random_state=seed, ignore_index=True)


def test_b43_the_order_of_rows_changes_nothing_if_content_orders_them():
    frame = rows(town=["Bonn", "Kiel", None] * 40)
    frame = pd.concat([frame, frame.head(30)], ignore_index=True)
    for method in ({}, {"method": "group", "column": "town"}):
        first, *others = (
            prepared(one, order="content", split=Split(**method))
            for one in (frame, *(shuffled(frame, s) for s in (1, 2)))
        )
        for other in others:
            pd.testing.assert_frame_equal(first.train, other.train)
            pd.testing.assert_frame_equal(first.test, other.test)
            assert first.record == other.record
    assert trained(prepared(frame, order="content"))[1] == trained(prepared(shuffled(frame, 3), order="content"))[1]
    assert not prepared(frame).test.equals(prepared(shuffled(frame, 1)).test)


def test_b43_whatever_the_order_the_model_is_as_good():
    frame = pd.concat([rows(), rows(x=rows()["x"] + 1e-6)], ignore_index=True)
    found = [trained(prepared(shuffled(frame, seed)))[1] for seed in range(3)]
    assert max(found) - min(found) < 0.08


def test_b35_1e5_levels_do_not_explode():
    levels = 100_000
    frame = pd.DataFrame({"who": [f"u{place % levels} x" for place in range(levels + 100)], "y": [0, 1] * 50_050})
    made = prepared(frame, columns=Columns(categorical=("who",)))
    predictor, _ = trained(made, folds=2)
    (column,) = predictor.schema.columns
    assert (len(column.categories), predictor.scorer.kind) == (500, "linear")
    assert predictor.answers([{"who": "a stranger"}])[0]["prediction"] in (0, 1)


def test_b40_a_text_of_ten_megabytes_is_a_text():
    huge = "word after word " * 650_000
    frame = rows(note=["a word", "some words after it", huge, *["word for word"] * (COUNT - 3)])
    predictor, quality = trained(prepared(frame, columns=Columns(text=("note",))))
    assert len(huge) > 10_000_000
    assert quality > 0.85
    assert len(predictor.schema.columns[1].example) <= 500
    assert predictor.answers([{"x": 0.5, "note": huge}])


def test_b44_many_columns(pytestconfig):
    """With --long 4,999 columns, up to answers from a compiled form."""
    numbers = 4879 if pytestconfig.getoption("long") else 879
    random = np.random.default_rng(1)
    wide = {f"n{place}": random.normal(size=60) for place in range(numbers)}
    wide |= {f"c{place}": random.choice(["a", "b", None], 60) for place in range(100)}
    wide |= {f"d{place}": ["2026-01-31", "2026-02-01"] * 30 for place in range(20)}
    frame = pd.DataFrame(wide | {"y": np.where(wide["n0"] > 0, "yes", "no")})
    params = FeatureEngineering(categorical=Categorical(unknown="ignore"))
    schema, pipeline, test = fitted(prepared(frame), params, folds=2)
    assert len(schema.columns) == numbers + 120
    assert len(pipeline.predict(test)) == 12
    if pytestconfig.getoption("long"):
        assert Predictor.from_pipeline(schema, pipeline, frames.rows_of(test, schema)).scorer.kind == "linear"


@pytest.mark.parametrize("drop", [True, False])
def test_b37_rows_of_a_test_file_that_train_rows_repeat_are_left_out(drop):
    test_rows = pd.concat([rows().head(10), rows(x=rows()["x"] + 9).head(20)], ignore_index=True)
    params = DataPreprocessing(target="y", split=Split(method="file"), drop_duplicates=drop)
    made = prepare(RawData(rows(), {"source": "rows.csv"}, test_rows), params)
    assert (len(made.train), len(made.test)) == (COUNT, 20)
    left_out = getattr(made.record.dropped, "rows_duplicate" if drop else "rows_on_both_sides")
    assert left_out == 10


def test_feedback_and_a_test_file_go_together():
    test_rows = rows(x=rows()["x"] + 9).head(20)
    frame = pd.concat([rows(), rows(x=rows()["x"] + 100).head(50)], ignore_index=True)
    params = DataPreprocessing(target="y", split=Split(method="file"))
    made = prepare(RawData(frame, {"source": "rows.csv", "feedback_rows": 50}, test_rows), params)
    assert made.record.feedback_rows == 50
    first, end = made.record.feedback_test_rows
    assert (made.test["x"] > 90).to_numpy().nonzero()[0].tolist() == [*range(first, end)]
    assert 20 < len(made.test) < 45
    assert len(made.train) + len(made.test) == 190
    assert (made.test["x"] > 5.9).sum() >= 20


@pytest.mark.parametrize(
    ("split", "extra"),
    [
        (Split(method="group", column="who"), {"who": [f"p{place % 12}" for place in range(COUNT)]}),
        (Split(method="time", column="day"), {"day": [f"2026-01-{1 + place // 5:02}" for place in range(COUNT)]}),
    ],
)
def test_groups_and_times_reach_the_folds_and_are_no_features(split, extra):
    made = prepared(rows(**extra), split=split)
    assert made.record.split == SplitRecord(split.method, split.column)
    assert [name for name, _ in made.record.kinds] == ["x"]
    marks = fold_constraints(made.train, made.record.split)
    assert [len(own) for own in marks.values()] == [len(made.train)]
    _, quality = trained(made, folds=3)
    assert quality > 0.85
