import json

import pytest
from jsonschema import Draft202012Validator
from werkzeug.test import Client

from flask_app.fast_path import FastPath
from tests.flask_app.standins import example, make_bundle


@pytest.fixture(scope="module")
def open_bundle(tmp_path_factory):
    """A bundle whose columns take unknown categories, and which has a column of true and false."""
    folder = tmp_path_factory.mktemp("open") / "bundle"
    return make_bundle("binary", folder, odd="a", unknown="ignore", flag=True)


@pytest.fixture(scope="module")
def closed_bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("closed") / "bundle"
    return make_bundle("binary", folder, odd="a", flag=True)


def bodies(rows):
    """Return the body of each protocol for rows."""
    names = list(rows[0])
    tensors = [
        {"name": name, "shape": [len(rows)], "datatype": kind_of(rows[0][name]), "data": [row[name] for row in rows]}
        for name in names
    ]
    lists = [list(row.values()) for row in rows]
    return {
        "/predict": {"rows": rows},
        "/invocations": {"dataframe_split": {"columns": names, "data": lists}},
        "/inference": {"data": lists},
        "/v2/models/demo/infer": {"inputs": tensors},
    }


def kind_of(value):
    return "BOOL" if isinstance(value, bool) else "BYTES" if isinstance(value, str) else "FP64"


def warnings_in(path, answer):
    if path == "/predict":
        return [(n, one["column"]) for n, p in enumerate(answer["predictions"]) for one in p.get("warnings", [])]
    listed = json.loads(answer["parameters"]["warnings"]) if path.startswith("/v2") else answer["warnings"]
    return [(one["row"], one["column"]) for one in listed]


def test_an_unknown_category_is_marked_by_every_protocol_and_counted(serve, open_bundle):
    app = serve(open_bundle)
    client = app.test_client()
    document = client.get("/openapi.json").get_json()
    rows = [example(app), example(app) | {"place": "Atlantis"}, example(app) | {"place": "Atlantis", "flag": "maybe"}]
    for path, body in bodies(rows).items():
        answer = client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert warnings_in(path, answer.get_json()) == [(1, "place"), (2, "place"), (2, "flag")], path
        schema = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator(schema | {"components": document["components"]}).validate(answer.get_json())
    fast = Client(FastPath(app)).post("/predict", json={"rows": rows}).get_json()
    assert warnings_in("/predict", fast) == [(1, "place"), (2, "place"), (2, "flag")]
    text = client.get("/metrics").text
    assert 'model_unseen_categories_total{column="place",model="demo"} 10.0' in text
    assert 'model_unseen_categories_total{column="flag",model="demo"} 5.0' in text


def test_known_categories_carry_no_warning(serve, open_bundle):
    app = serve(open_bundle)
    for path, body in bodies([example(app)]).items():
        assert "warnings" not in app.test_client().post(path, json=body).text


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("bundle", ["open_bundle", "closed_bundle"])
def test_true_and_false_are_taken_as_such_and_as_text(serve, request, bundle, value):
    app = serve(request.getfixturevalue(bundle))
    client, fast = app.test_client(), Client(FastPath(app))
    answers = []
    for spelling in (value, str(value).lower()):
        for path, body in bodies([example(app) | {"flag": spelling}]).items():
            answer = client.post(path, json=body)
            assert answer.status_code == 200, (path, answer.text)
            assert "warnings" not in answer.text
        answers += [c.post("/predict", json={"rows": [example(app) | {"flag": spelling}]}).json for c in (client, fast)]
    shares = {str(answer["predictions"][0]["probabilities"]) for answer in answers}
    assert len(shares) == 1
    schema = client.get("/openapi.json").get_json()["components"]["schemas"]["Row"]
    Draft202012Validator(schema).validate(example(app) | {"flag": value})


@pytest.mark.parametrize(
    ("column", "value"), [("place", True), ("flag", 1), ("flag", 0), ("flag", "True"), ("size", True)]
)
def test_other_columns_and_spellings_are_refused_as_before(serve, closed_bundle, column, value):
    app = serve(closed_bundle)
    for client in (app.test_client(), Client(FastPath(app))):
        answer = client.post("/predict", json={"rows": [example(app) | {column: value}]})
        assert (answer.status_code, answer.json["errors"][0]["column"]) == (422, column)
