import csv
import io
import json

import pytest

from flask_app.models import model_service
from tests.flask_app.standins import ODD, example


def predicted(app, *rows):
    return [one["prediction"] for one in model_service.default(app).require().predictor.answers(rows)]


def good(app):
    """Return two good rows, the second with a missing value."""
    return [example(app), example(app) | {"size": 80, ODD: None}]


def shapes(rows):
    names = list(rows[0])
    values = [list(row.values()) for row in rows]
    columns = {name: [row[name] for row in rows] for name in names}
    back = {"columns": names[::-1], "data": [row[::-1] for row in values]}
    return {
        "records": {"dataframe_records": rows},
        "split": {"dataframe_split": {"columns": names, "data": values}},
        "split with index": {"dataframe_split": {"columns": names, "data": values, "index": [3, 9]}},
        "split in another order": {"dataframe_split": back},
        "instances by name": {"instances": rows},
        "instances by place": {"instances": values},
        "inputs by column": {"inputs": columns},
        "inputs by name": {"inputs": rows},
        "inputs by place": {"inputs": values},
        "no parameters": {"inputs": rows, "params": {}},
        "parameters null": {"inputs": rows, "params": None},
    }


@pytest.mark.parametrize("shape", shapes([{"a": 1}, {"a": 1}]))
def test_every_shape_is_answered(client, app, shape):
    response = client.post("/invocations", json=shapes(good(app))[shape])
    assert response.get_json() == {"predictions": predicted(app, *good(app))}
    assert response.headers["Lockstep-Model-Version"] == "1"


def test_all_tasks(serve, bundle):
    app = serve(bundle)
    rows = json.loads((bundle / "smoke.json").read_text())["rows"]
    answer = app.test_client().post("/invocations", json={"dataframe_records": rows}).get_json()
    assert answer == {"predictions": predicted(app, *rows)}


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_one_column_takes_bare_values(serve, bundles, key):
    app = serve(bundles["text"])
    texts = ["a good film", "a bad film"]
    answer = app.test_client().post("/invocations", json={key: texts}).get_json()
    assert answer["predictions"] == predicted(app, *({"review": text} for text in texts))


def test_probabilities_in_the_order_of_the_labels(client, app):
    body = {"dataframe_records": good(app), "params": {"predict_method": "predict_proba"}}
    expected = [
        list(one["probabilities"].values()) for one in model_service.default(app).require().predictor.answers(good(app))
    ]
    assert client.post("/invocations", json=body).get_json() == {"predictions": expected}


def test_ids_on_demand_and_by_key(client, app):
    body = {"dataframe_records": good(app), "params": {"ids": True}}
    answers = [client.post("/invocations", json=body, headers={"Idempotency-Key": "k"}).get_json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(set(answers[0]["ids"])) == 2


def test_a_pinned_version(serve, bundles, registry):
    app = serve(bundles["binary"])
    registry.add("2", bundles["tree"], promote=False)
    row = example(app)
    response = app.test_client().post("/invocations", json={"inputs": [row], "params": {"version": "2"}})
    assert (response.status_code, response.headers["Lockstep-Model-Version"]) == (200, "2")


REFUSED = {
    "not JSON": (b"{", 400, "strict JSON"),
    "NaN": (b'{"inputs": [[NaN]]}', 400, "NaN"),
    "key twice": (b'{"inputs": [], "inputs": []}', 400, "twice"),
    "a list": (b"[]", 422, "must be an object"),
    "no shape": (b"{}", 422, "it holds 0"),
    "two shapes": (b'{"inputs": [], "instances": []}', 422, "it holds 2"),
    "another key": (b'{"input": []}', 422, "did you mean 'inputs'?"),
    "no rows": (b'{"inputs": []}', 422, "at least one row"),
    "rows an object": (b'{"dataframe_records": {}}', 422, "at least one row"),
    "a bare value for many columns": (b'{"instances": [1]}', 422, "do not fit"),
    "mixed": (b'{"instances": [{}, []]}', 422, "do not fit"),
    "params a number": (b'{"inputs": [[1]], "params": 1}', 422, "must be an object"),
    "another parameter": (b'{"inputs": [[1]], "params": {"versoin": "1"}}', 422, "did you mean 'version'?"),
    "version a number": (b'{"inputs": [[1]], "params": {"version": 1}}', 422, "must be a text"),
    "another method": (b'{"inputs": [[1]], "params": {"predict_method": "transform"}}', 422, "must be one of"),
    "a method that is a list": (b'{"inputs": [[1]], "params": {"predict_method": []}}', 422, "must be one of"),
    "ids a text": (b'{"inputs": [[1]], "params": {"ids": "yes"}}', 422, "true or false"),
    "split a list": (b'{"dataframe_split": []}', 422, "must be an object"),
    "split without columns": (b'{"dataframe_split": {"data": [[1]]}}', 422, "both lists"),
    "split with a short index": (b'{"dataframe_split": {"columns": [], "data": [[1]], "index": []}}', 422, "as long"),
    "names that are numbers": (b'{"dataframe_split": {"columns": [1], "data": [[1]]}}', 422, "must be texts"),
    "names that are lists": (b'{"dataframe_split": {"columns": [[]], "data": [[1]]}}', 422, "must be texts"),
    "columns of no list": (b'{"inputs": {"size": 1}}', 422, "do not fit"),
    "too many rows": (b'{"inputs": [' + b"[]," * 10_000 + b"[]]}", 413, "10000"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bodies_refused(client, app, case):
    body, status, says = REFUSED[case]
    response = client.post("/invocations", data=body, content_type="application/json")
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert says in response.get_json()["detail"]
    assert client.post("/invocations", json={"inputs": [example(app)]}).status_code == 200


WRONG = {
    "number in quotes": (lambda row: {"inputs": [row | {"size": "1"}]}, "size", "expected a number"),
    "missing column": (
        lambda row: {"inputs": {name: [row[name]] for name in row if name != "size"}},
        "size",
        "missing",
    ),
    "unknown column": (lambda row: {"inputs": {name: [row[name]] for name in row} | {"sise": [1]}}, "sise", "unknown"),
    "column twice": (
        lambda row: {"dataframe_split": {"columns": [*row, "size"], "data": [[*row.values(), 1]]}},
        "size",
        "there twice",
    ),
    "short row": (lambda row: {"instances": [list(row.values())[1:]]}, "", "list of 5 values"),
    "ragged columns": (
        lambda row: {"inputs": {name: [row[name]] * (1 + (name == "day")) for name in row}},
        "day",
        "2 values",
    ),
    "null": (lambda row: {"inputs": [row | {"rooms": None}]}, "rooms", "null"),
}


@pytest.mark.parametrize("case", WRONG)
def test_columns_refused(client, app, case):
    change, column, says = WRONG[case]
    response = client.post("/invocations", json=change(example(app)))
    (error,) = response.get_json()["errors"]
    assert (response.status_code, error["column"]) == (422, column)
    assert says in error["problem"]


@pytest.mark.parametrize(
    "media", ["application/x-npy", "application/json; format=pandas-split", "text/csv; charset=latin-1", None]
)
def test_media_types_refused(client, media):
    assert client.post("/invocations", data=b"{}", content_type=media).status_code == 415


def as_csv(rows, separator=","):
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator).writerows([rows[0].keys(), *(row.values() for row in rows)])
    return stream.getvalue()


@pytest.mark.parametrize("media", ["text/csv", "text/csv; charset=utf-8"])
def test_csv_is_answered(client, app, media):
    rows = good(app)
    response = client.post("/invocations", data=as_csv(rows), content_type=media)
    assert response.get_json() == {"predictions": predicted(app, *rows)}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 422),
        ("size\n1\n", 422),
        ('size\n"1\n', 422),
        ("\0", 400),
        (b"\xff\xfe", 400),
    ],
)
def test_csv_refused(client, body, status):
    assert client.post("/invocations", data=body, content_type="text/csv").status_code == status


def test_csv_names_the_wrong_cell(client, app):
    body = as_csv([good(app)[0] | {"size": "x"}])
    (error,) = client.post("/invocations", data=body, content_type="text/csv").get_json()["errors"]
    assert (error["row"], error["column"], error["problem"]) == (2, "size", "expected a number")


def test_a_flood_of_unknown_names_is_refused_at_once(client, monkeypatch):
    monkeypatch.setattr("flask_app.protocols.strict_json.nearest", lambda *_: pytest.fail("time was spent on guessing"))
    body = {"dataframe_split": {"columns": [f"column {n}" for n in range(2000)], "data": [[1] * 2000]}}
    assert client.post("/invocations", json=body).status_code == 422


def test_regression_has_no_probabilities(serve, bundles):
    app = serve(bundles["regression"])
    body = {"inputs": [example(app)], "params": {"predict_method": "predict_proba"}}
    assert app.test_client().post("/invocations", json=body).status_code == 422


def test_ping_and_version(client):
    from mlflow.version import VERSION

    assert client.get("/ping").status_code == 200
    assert client.get("/version").text == VERSION


def test_no_model(empty):
    assert empty.test_client().get("/ping").status_code == 503
    assert empty.test_client().post("/invocations", json={"inputs": [[1]]}).status_code == 503
