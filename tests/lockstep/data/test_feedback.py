import json

import numpy as np
import pandas as pd
import pytest

from lockstep import files
from lockstep.config.params import Split
from lockstep.data import feedback, parquet
from lockstep.data.cleaning import CleanTable
from lockstep.data.split import split, split_with_feedback
from lockstep.errors import DataError

SOURCE = pd.DataFrame(
    {
        "id": [1, 2, 3],
        "size": [1.0, 2.0, np.nan],
        "rooms": [3, 4, 5],
        "place": ["inland", "coast", None],
        "new": [True, False, True],
        "code": pd.Series([True, None, False], dtype=object),
        "day": pd.to_datetime(["2026-01-01", "2026-01-02", None]),
        "sold": ["yes", "no", "yes"],
    }
)
FRESH = {
    "size": 9.5, "rooms": 7.0, "place": "island", "new": "true", "code": "false", "day": "2026-02-01", "sold": "no",
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def put(rows, source="houses.csv", model="demo", **changes):
    """Write feedback as `lockstep retrain` does."""
    path = feedback.paths.FEEDBACK / f"{model}.parquet"
    parquet.write(pd.DataFrame(rows), path)
    page = {"model": model, "source": source, "rows": len(rows), "sha256": files.sha256(path)}
    page |= {"first": "2026-01-01T00:00:00+00:00", "last": "2026-01-02T00:00:00+00:00", "versions": {"1": len(rows)}}
    files.write_json(page | changes, path.with_suffix(".json"))
    return path


def test_without_feedback_the_source_stays_as_it_is():
    joined = feedback.join(SOURCE, "houses.csv")
    assert joined.frame is SOURCE
    assert (joined.record, joined.rows) == ({}, 0)


def test_rows_join_in_the_types_of_the_source_and_what_they_lack_is_missing():
    put([FRESH])
    joined = feedback.join(SOURCE, "houses.csv")
    last = joined.frame.iloc[-1]
    assert joined.rows == 1
    assert (last["size"], last["rooms"], last["place"], last["new"], last["sold"]) == (9.5, 7, "island", True, "no")
    assert pd.isna(last["id"])
    assert (joined.frame["rooms"].dtype, joined.frame["new"].dtype) == (np.int64, bool)
    assert joined.frame["code"].tolist() == ["true", None, "false", "false"]
    assert joined.frame["day"].tolist() == ["2026-01-01T00:00:00", "2026-01-02T00:00:00", None, "2026-02-01"]
    parquet.write(joined.frame, feedback.paths.RAW)


def test_a_category_that_was_a_number_may_become_a_word():
    put([FRESH | {"rooms": "many"}])
    assert feedback.join(SOURCE, "houses.csv").frame["rooms"].tolist() == ["3", "4", "5", "many"]


def test_what_is_in_the_source_or_stands_twice_does_not_join_again():
    known = {"size": 2.0, "rooms": 4.0, "place": "coast", "new": "false", "code": None, "day": "2026-01-02T00:00:00"}
    put([known | {"sold": "no"}, FRESH, FRESH, known | {"sold": "yes"}])
    joined = feedback.join(SOURCE, "houses.csv")
    assert joined.frame["sold"].tolist() == ["yes", "no", "yes", "no", "yes"]
    record = joined.record["demo"]
    assert (record["rows"], record["joined"], record["there_already"]) == (4, 2, 2)
    assert record["versions"] == {"1": 4}


def test_duplicates_within_the_source_are_left_to_the_preprocessing():
    twice = pd.concat([SOURCE, SOURCE], ignore_index=True)
    put([FRESH])
    assert len(feedback.join(twice, "houses.csv").frame) == 7


def test_feedback_of_another_source_is_left_alone_and_two_models_of_one_source_share():
    put([FRESH], source="flats.csv")
    assert feedback.join(SOURCE, "houses.csv").rows == 0
    put([FRESH], model="a")
    put([FRESH | {"size": 8.0}], model="b")
    assert feedback.join(SOURCE, "houses.csv").frame["size"].tolist()[3:] == [9.5, 8.0]


FAULTS = {
    "changed": (lambda path: path.write_bytes(path.read_bytes() + b" "), "is not what demo.json describes"),
    "missing": (lambda path: path.unlink(), "is missing"),
    "no JSON": (lambda path: path.with_suffix(".json").write_text("{"), "damaged"),
    "no page": (lambda path: path.with_suffix(".json").write_text(json.dumps({"rows": 1})), "damaged"),
}


@pytest.mark.parametrize(("damage", "words"), FAULTS.values(), ids=FAULTS)
def test_damage_is_an_error(damage, words):
    damage(put([FRESH]))
    with pytest.raises(DataError, match=words) as raised:
        feedback.join(SOURCE, "houses.csv")
    assert "data_ingestion.feedback: false" in raised.value.hint


def test_a_column_that_the_source_has_not_is_an_error():
    put([FRESH | {"garden": 1.0}])
    with pytest.raises(DataError, match="'garden'"):
        feedback.join(SOURCE, "houses.csv")


def drawn(count, seed=0):
    random = np.random.default_rng(seed)
    return pd.DataFrame({"a": random.normal(size=count), "b": random.choice(["x", "y", None], count)})


def test_a_row_keeps_its_side_however_many_come():
    rows = drawn(2000)
    few, many = feedback.is_test_row(rows.head(50), 0.2, 42), feedback.is_test_row(rows, 0.2, 42)
    assert many[:50].tolist() == few.tolist()
    assert 0.17 < many.mean() < 0.23
    assert feedback.is_test_row(rows, 0.2, 43).tolist() != many.tolist()
    assert feedback.is_test_row(rows.head(0), 0.2, 42).tolist() == []


def test_missing_values_are_all_the_same():
    rows = pd.DataFrame({"a": [np.nan] * 2, "b": [None, None]}, dtype=object)
    assert len(set(feedback.is_test_row(rows, 0.5, 1).tolist())) == 1


def test_the_source_is_split_as_it_was_and_feedback_by_itself():
    frame = drawn(300).assign(y=["p", "q", "q"] * 100)
    kinds = {"a": "numeric", "b": "categorical"}
    before = split(CleanTable(frame, kinds, "binary"), "y", Split())
    more = drawn(100, 1).assign(y=["p", "q"] * 50)
    whole = pd.concat([frame, more], ignore_index=True)
    train, test, late = split_with_feedback(CleanTable(whole, kinds, "binary"), "y", Split(), np.arange(400) >= 300)
    for old, new in zip(before, (train, test), strict=True):
        pd.testing.assert_frame_equal(old, new.head(len(old)))
    assert len(train) + len(test) == 400
    assert late.tolist() == [False] * len(before[1]) + [True] * (len(test) - len(before[1]))
    assert 5 < len(test) - len(before[1]) < 40
