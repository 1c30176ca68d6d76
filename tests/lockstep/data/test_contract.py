import numpy as np
import pandas as pd
import pytest

from lockstep import files, paths
from lockstep.config.params import Categorical, Contract, FeatureEngineering, Rule
from lockstep.data import contract, frames
from lockstep.data.contract import enforce
from lockstep.errors import DataError

FRAME = pd.DataFrame(
    {
        "age": pd.Series([20, "30", None, "old", 130, np.inf], dtype=object),
        "town": ["Bonn", "Kiel", None, "Rome", "Bonn", "Bonn"],
        "code": ["A1", "b2", "A3", None, "A5", "A6x"],
        "since": ["2026-01-31", None, "31.01.2026", "2026-02-30", "2026-01-31T12:00Z", "0001-01-01"],
    }
)
BROKEN = {
    "required": ("age", Rule(required=True), {"missing": [2]}),
    "B32-numeric": ("age", Rule(kind="numeric"), {"no finite number": [3, 5]}),
    "B31-minimum": ("age", Rule(minimum=25), {"no finite number": [3, 5], "below 25": [0]}),
    "maximum": ("age", Rule(maximum=120), {"no finite number": [3, 5], "above 120": [4]}),
    "B42-category": ("town", Rule(categories=("Bonn", "Kiel")), {"not one of its categories": [3]}),
    "pattern": ("code", Rule(pattern=r"A\d"), {r"does not match A\d": [1, 5]}),
    "B34-date": ("since", Rule(kind="date"), {"no date as in 2026-01-31": [2, 3]}),
    "text": ("town", Rule(kind="text"), {}),
}


@pytest.mark.parametrize(("column", "rule", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_each_rule_names_the_rows_that_break_it(column, rule, expected):
    found = {reason: np.flatnonzero(wrong).tolist() for reason, wrong in contract.broken(FRAME[column], rule)}
    assert {reason: rows for reason, rows in found.items() if rows} == expected


RULES = {"age": Rule(kind="numeric", maximum=120), "town": Rule(categories=("Bonn", "Kiel"))}


def test_rows_that_break_a_rule_are_set_aside_with_the_reason():
    kept = enforce(FRAME, Contract(on_violation="quarantine", most_quarantined=0.5), RULES)
    assert kept.frame["age"].tolist()[:2] == [20.0, 30.0]
    assert kept.frame["age"].dtype == np.float64  # so that one bad value makes no category of a number
    assert kept.frame.index.tolist() == [0, 1, 2]
    assert kept.quarantined["quarantine_row"].tolist() == [3, 4, 5]
    assert kept.quarantined["quarantine_reason"].tolist() == [
        *("age: no finite number", "age: above 120", "age: no finite number")
    ]
    assert kept.quarantined["age"].tolist() == ["old", "130", "inf"]
    assert kept.reasons == {
        "age: no finite number": 2,
        "age: above 120": 1,
        "town: not one of its categories": 1,
    }


def test_quarantined_rows_of_any_type_can_be_written(tmp_path):
    from lockstep.data import parquet

    frame = FRAME.assign(flag=[True, False] * 3, when=pd.to_datetime(["2026-01-31"] * 6))
    for made in (
        enforce(frame, Contract(on_violation="quarantine", most_quarantined=1), RULES),
        enforce(frame, Contract(), {}),
    ):
        parquet.write(made.quarantined, tmp_path / "q.parquet")
        assert parquet.read(tmp_path / "q.parquet").columns.tolist() == [
            *frame.columns,
            "quarantine_row",
            "quarantine_reason",
        ]


FAULTS = {
    "refuse": (
        Contract(),
        RULES,
        "3 of 6 rows break the data contract: age: no finite number (2 rows); age: above 120 (1 rows); town",
        "quarantine",
    ),
    "too-many": (
        Contract(on_violation="quarantine"),
        RULES,
        "3 of 6 rows break the data contract, too many to quarantine",
        "most_quarantined",
    ),
    "gone": (Contract(), {"twon": Rule()}, "names column 'twon', which is gone; did you mean 'town'?", "bring it"),
    "missing": (
        Contract(),
        {"town": Rule(most_missing=0.1)},
        "'town' is missing in 16.7% of the rows, and the data contract allows 10.0%",
        "most_missing",
    ),
}


@pytest.mark.parametrize(("params", "rules", "problem", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_a_contract_refuses(params, rules, problem, hint):
    with pytest.raises(DataError) as refused:
        enforce(FRAME, params, rules)
    assert problem in refused.value.problem
    assert hint in refused.value.hint


def test_a_contract_can_be_ignored():
    assert enforce(FRAME, Contract(on_violation="ignore"), {"gone": Rule()}).frame is FRAME


KINDS = {"age": "numeric", "debt": "numeric", "town": "categorical", "since": "date", "review": "text"}
TRAIN = pd.DataFrame(
    {
        "age": [20.0, 40.0, np.nan, 30.0],
        "debt": [-10.0, 0.0, -20.0, -5.0],
        "town": ["Bonn", "Kiel", "Bonn", "Bonn"],
        "since": ["2026-01-31"] * 4,
        "review": ["good", "bad", None, "fine"],
        "y": ["a", "b"] * 2,
    }
)


@pytest.mark.parametrize(
    ("unknown", "town"),
    [
        ("refuse", {"kind": "categorical", "categories": ["Bonn", "Kiel"], "required": True}),
        ("ignore", {"kind": "categorical", "required": True}),
    ],
)
def test_what_a_schema_states(unknown, town):
    params = FeatureEngineering(categorical=Categorical(unknown=unknown))
    page = contract.from_schema(frames.learn(TRAIN, "y", "binary", KINDS, params), "rows.csv", 0.5)
    assert page["columns"] == {
        "age": {"kind": "numeric", "minimum": 10.0, "maximum": 50.0, "most_missing": 0.385},
        "debt": {"kind": "numeric", "minimum": -30.0, "maximum": 0.0, "required": True},
        "town": town,
        "since": {"kind": "date", "required": True},
        "review": {"kind": "text", "most_missing": 0.385},
    }


@pytest.fixture
def accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    schema = frames.learn(TRAIN, "y", "binary", KINDS, FeatureEngineering())
    files.write_json(contract.from_schema(schema, "rows.csv", 0.5), paths.CONTRACT)
    return schema


def test_the_rows_that_taught_keep_to_the_contract_they_made(accepted):
    kept = enforce(TRAIN, Contract(), contract.rules(Contract(), "rows.csv"))
    assert len(kept.frame) == 4


def test_params_overrule_what_was_accepted(accepted):
    rules = contract.rules(Contract(columns={"age": Rule(maximum=1), "more": Rule()}), "rows.csv")
    assert rules["age"] == Rule(maximum=1)
    assert set(rules) == {*KINDS, "more"}


def test_a_contract_of_another_source_is_not_in_force(accepted):
    assert contract.rules(Contract(), "other.csv") == {}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{", id="cut"),
        pytest.param('{"format": 1}', id="no-source"),
        pytest.param('{"format": 1, "source": "rows.csv", "columns": {"age": {"maximun": 3}}}', id="unknown-rule"),
        pytest.param('{"format": 1, "source": "rows.csv", "columns": []}', id="list"),
    ],
)
def test_a_damaged_contract_is_named(accepted, content):
    paths.CONTRACT.write_text(content)
    with pytest.raises(DataError, match=r"contract.json is damaged") as refused:
        contract.rules(Contract(), "rows.csv")
    assert "--accept" in refused.value.hint
