import json

import pytest

from lockstep.data.record import DataRecord, Dropped
from lockstep.data.schema import Column, Schema
from lockstep.inference import model_card
from tests.lockstep import small_evaluation

SCHEMA = Schema(
    "binary",
    "churned",
    (False, True),
    (
        Column("age", "numeric", False, 40.0, minimum=18.0, maximum=95.0),
        Column("plan", "categorical", False, "basic", categories=("basic", "pro"), unknown="refuse"),
    ),
)
SLICE = {"column": "plan", "name": "pro", "rows": 31, "loss": 0.3, "rest": 0.1, "surely_worse": 0.05}
COLUMN = {"column": "age", "drop": 0.1, "spread": 0.01}


def facts(test_rows=150, slices=(), importance=()):
    record = small_evaluation.record(("roc_auc", 0.91, 0.88, 0.93), slices, importance)
    search = {"metric": "roc_auc", "best": 1, "trials": [{}, {"estimator": "ridge", "params": {"alpha": 2}}]}
    data = DataRecord(600, test_rows, "churned", "binary", [], Dropped(800, rows_duplicate=4))
    source = {"source": "/home/ann/secret/churn.csv", "sha256": "ab" * 32}
    return model_card.CardFacts(record, search, data, source)


def test_the_card_tells_what_the_stages_found():
    made = model_card.build(SCHEMA, facts(slices=[SLICE] * 9, importance=[COLUMN]))

    assert made["labels"] == ["false", "true"]
    assert made["estimator"] == {"name": "ridge", "params": {"alpha": 2}, "trials": 2}
    assert made["metrics"][0]["low"] == 0.88
    assert (made["rows"], made["left_out"]) == ({"train": 600, "test": 150}, {"rows_duplicate": 4})
    assert made["weakest"] == [SLICE] * model_card.MOST_SLICES
    assert made["importance"] == [COLUMN]
    json.dumps(made, allow_nan=False)


def test_the_card_does_not_tell_where_a_machine_keeps_its_data():
    assert model_card.build(SCHEMA, facts())["source"] == {"name": "churn.csv", "sha256": "ab" * 32}


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("sklearn:iris", "sklearn:iris"),
        ("s3://bucket/deep/part-*.parquet", "part-*.parquet"),
        ("https://a.org/x.csv?token=hunter2", "x.csv"),
        ("/data/a.csv, /data/b.csv", "a.csv, b.csv"),
        ("postgresql://ann@db/sales", "sales"),
    ],
)
def test_sources_are_shown_by_their_last_part(named, shown):
    assert model_card.shown_source(named) == shown


@pytest.mark.parametrize(
    ("test_rows", "slices", "says", "silent"),
    [
        (199, [], "rest on 199 test rows", "surely worse"),
        (200, [], "never showed is refused: plan.", "test rows"),
        (5000, [SLICE | {"surely_worse": -0.01}], "what went together", "surely worse"),
        (5000, [SLICE], "surely worse where plan is pro, 31 of", "rest on"),
    ],
)
def test_limits_are_said_in_sentences(test_rows, slices, says, silent):
    said = " ".join(model_card.limits(model_card.build(SCHEMA, facts(test_rows, slices=slices)), SCHEMA))

    assert says in said
    assert silent not in said


@pytest.mark.parametrize("content", [None, "{half", "[]", '{"format": 0}'])
def test_a_bundle_without_a_whole_card_still_loads(tmp_path, content):
    if content:
        (tmp_path / "card.json").write_text(content)

    assert model_card.read(tmp_path) is None
