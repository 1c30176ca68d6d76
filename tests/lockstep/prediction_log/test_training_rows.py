import json

import pandas as pd
import pytest

from lockstep import files, paths
from lockstep.config import params_file
from lockstep.data import feedback
from lockstep.data.schema import Column, Schema
from lockstep.prediction_log import training_rows
from lockstep.prediction_log.records import Label
from tests.lockstep.logged_answers import answer, label
from tests.root import EXAMPLE

SIZE, PLACE = Column("size", "numeric", True, 1.0), Column("place", "text", True, "a")
CODE = Column("code", "categorical", True, None, categories=("x",), unknown="refuse")
SCHEMA = Schema("binary", "sold", ("no", "yes"), (SIZE, PLACE, CODE))
PARAMS = params_file.parse(
    EXAMPLE.read_text().replace("breast-cancer ", "demo ").replace("sklearn:breast_cancer", "houses.csv")
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def export(store, schema=SCHEMA, versions=None, hashed=False, reason=""):
    rows = list(training_rows.read(store, "demo"))
    reasons = [reason] * len(rows)
    found = training_rows.export(rows, reasons, PARAMS, schema, (versions or {"1": schema}).get, hashed)
    return found, (pd.read_parquet(path()) if path().exists() else None)


def path():
    return paths.FEEDBACK / "demo.parquet"


def test_labelled_rows_stand_in_a_file_that_the_ingestion_takes(store):
    store.add([answer("a", "b"), answer("c", at_us=120_000_000, rows=[[None, "é\n", "x"]]), answer("d")])
    store.add([label("c", "no"), label("a", "yes"), label("nobody", "yes")])
    found, frame = export(store)
    assert (found.rows, found.versions, found.left_out) == (2, {"1": 2}, {})
    assert frame.astype(object).where(frame.notna(), None).to_dict("records") == [
        {"size": 1.5, "place": "a", "code": None, "sold": "yes"},
        {"size": None, "place": "é\n", "code": "x", "sold": "no"},
    ]
    page = files.read_json(path().with_suffix(".json"))
    assert (page["model"], page["source"], page["target"]) == ("demo", "houses.csv", "sold")
    assert (page["first"], page["last"]) == ("1970-01-01T00:01:00.000+00:00", "1970-01-01T00:02:00.000+00:00")
    source = pd.DataFrame({"size": [1.0], "place": ["z"], "code": ["x"], "sold": ["no"]})
    assert feedback.join(source, "houses.csv").rows == 2


def test_the_same_log_gives_the_same_bytes_in_whatever_order_it_came(store):
    store.add([answer("b"), answer("a"), answer("c", at_us=1)])
    store.add([label(one, "yes") for one in "bac"])
    export(store)
    before = path().read_bytes(), path().with_suffix(".json").read_bytes()
    export(store)
    assert (path().read_bytes(), path().with_suffix(".json").read_bytes()) == before
    store.add([label("c", "no", 2)])
    assert export(store)[1]["sold"].tolist() == ["no", "yes", "yes"]


def test_a_row_that_waits_for_a_review_is_left_out_for_its_reason(store):
    store.add([answer("a", "b"), label("a", "yes"), label("b", "no")])
    found, frame = export(store, reason="waits for a review")
    assert (found, frame) == (training_rows.Export(0, {}, {"waits for a review": 2}, 2), None)


def test_a_row_says_who_labelled_it_and_what_was_answered(store):
    store.add([answer("a", "b"), Label(5, "e", "a", "no", "api", author="key-1"), label("b", "no", 7)])
    rows = list(training_rows.read(store, "demo"))
    assert [(row.author, row.labelled_us, row.answer) for row in rows] == [("key-1", 5, "yes"), ("test", 7, "yes")]


def test_of_several_labels_the_latest_counts(store):
    store.add([answer("a"), label("a", "yes", 5), label("a", "no", 7), label("a", "yes", 6)])
    assert export(store)[1]["sold"].tolist() == ["no"]


def test_what_a_challenger_said_in_the_shadow_is_no_row_but_what_it_answered_is(store):
    shadow = answer("s", variant="shadow", rows=None)
    store.add([shadow, answer("c", variant="challenger", version="2"), answer("p", variant="pinned")])
    store.add([label(one) for one in "scp"])
    found, _ = export(store, versions={"1": SCHEMA, "2": SCHEMA})
    assert found.versions == {"1": 1, "2": 1}


OTHER = Schema("binary", "sold", ("no", "yes"), (SIZE,))
LEFT_OUT = {
    "version gone": ({"rows": [[1.0, "a", "x"]]}, "yes", {}, "its version is gone"),
    "other columns": ({"rows": [[1.0, "a", "x"]]}, "yes", {"1": OTHER}, "its version took other columns"),
    "not plain": ({"rows": [[1.0, "a", "9f86d081884c7d65"]]}, "yes", {"1": SCHEMA}, "the row does not fit its version"),
    "short": ({"rows": [[1.0]]}, "yes", {"1": SCHEMA}, "the row does not fit its version"),
    "label": ({"rows": [[1.0, "a", "x"]]}, "maybe", {"1": SCHEMA}, "the label is none of this model"),
    "no label": ({"rows": [[1.0, "a", "x"]]}, None, {"1": SCHEMA}, "the label is none of this model"),
}


@pytest.mark.parametrize(("given", "truth", "versions", "why"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_left_out_is_told(store, given, truth, versions, why):
    store.add([answer("a", **given), label("a", truth)])
    found, frame = export(store, versions=versions or {"0": SCHEMA})
    assert (found.rows, found.left_out, frame) == (0, {why: 1}, None)


def test_hashes_teach_nothing_but_numbers_are_never_hashed(store):
    store.add([answer("a", rows=[[1.0, "h", None]]), label("a")])
    assert export(store, hashed=True)[0].left_out == {"the log holds hashes": 1}
    store.add([answer("b", rows=[[2.0]], version="n"), label("b")])
    found, _ = export(store, OTHER, {"n": OTHER}, hashed=True)
    assert (found.rows, found.left_out) == (1, {"its version is gone": 1})


def test_rows_that_were_not_kept_are_no_rows(store):
    store.add([answer("a", rows=None), label("a")])
    assert export(store)[0] == training_rows.Export()


def test_without_labels_an_earlier_file_stays(store):
    path().parent.mkdir(parents=True)
    path().write_bytes(b"as it was")
    training_rows.export([], [], PARAMS, SCHEMA, lambda number: SCHEMA)
    assert path().read_bytes() == b"as it was"


def test_where_no_label_joins_any_more_the_earlier_file_goes(store):
    store.add([answer("a"), label("a")])
    export(store)
    assert path().exists() and path().with_suffix(".json").exists()
    export(store, reason="waits")
    assert not path().exists() and not path().with_suffix(".json").exists()


TRUTHS = [
    (Schema("binary", "t", (False, True), ()), "true", True),
    (Schema("binary", "t", (False, True), ()), True, True),
    (Schema("multiclass", "t", (0, 1, 2), ()), 2, 2),
    (Schema("multiclass", "t", (0, 1, 2), ()), 2.0, 2),
    (Schema("multiclass", "t", (0, 1, 2), ()), "2", 2),
    (Schema("multiclass", "t", (0, 1, 2), ()), 3, None),
    (Schema("regression", "t", (), ()), 3, 3.0),
    (Schema("regression", "t", (), ()), "3", None),
    (Schema("regression", "t", (), ()), True, None),
    (Schema("regression", "t", (), ()), None, None),
]


@pytest.mark.parametrize(("schema", "label", "truth"), TRUTHS)
def test_a_label_in_the_type_of_the_target(schema, label, truth):
    found = training_rows._truth(label, schema)
    assert (found, type(found)) == (truth, type(truth))


def test_a_thousand_rows_of_one_second_are_in_order(store):
    ids = [f"{number:04d}" for number in range(1000)]
    store.add([answer(*ids, rows=[[float(number), "a", None] for number in range(1000)])])
    store.add([label(one, "yes") for one in reversed(ids)])
    assert export(store)[1]["size"].tolist() == [float(number) for number in range(1000)]
    assert json.loads(path().with_suffix(".json").read_text())["rows"] == 1000
