import html
import json
import re
from io import BytesIO
from urllib.parse import urlencode

import pytest

from flask_app.models import model_service
from tests.flask_app.standins import ODD, example

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def as_form(row):
    return {name: "" if value is None else str(value) for name, value in row.items()}


def shown_answer(page):
    """Read the answer back from the page."""
    label = html.unescape(re.search(r'<output class="label[^"]*">(.*?)</output>', page)[1])
    bars = re.findall(r'<meter min="0" max="1" value="([^"]*)" aria-label="([^"]*)"', page)
    return label, {html.unescape(name): float(share) for share, name in bars}


def test_json_form_and_predictor_agree(serve, bundle):
    app = serve(bundle)
    predictor = model_service.default(app).require().predictor
    client = app.test_client()
    for row in json.loads((bundle / "smoke.json").read_text())["rows"]:
        (expected,) = predictor.answers([row])
        (answer,) = client.post("/predict", json={"rows": [row]}).get_json()["predictions"]
        assert len(answer.pop("id")) == 32
        assert answer == expected
        label, bars = shown_answer(client.post("/predict", data=as_form(row)).text)
        if "probabilities" in expected:
            assert (label, bars) == (str(expected["prediction"]), expected["probabilities"])
        else:
            assert (json.loads(label), bars) == (expected["prediction"], {})


def test_answer_names_the_model_and_keeps_the_order_of_rows(client, app):
    rows = [example(app) | {"size": size} for size in (20.0, 80.0)]
    answer = client.post("/predict", json={"rows": rows, "version": "1"}).get_json()
    assert answer["model"] == {"name": "demo", "version": "1"}
    assert [one["prediction"] for one in answer["predictions"]] == ["<low>", "middle"]
    assert len({one["id"] for one in answer["predictions"]}) == 2


def test_a_pinned_version_and_an_open_one(serve, bundles, registry):
    app = serve(bundles["binary"])
    registry.add("2", bundles["tree"], promote=False)
    for version, served in (("2", "2"), ("1", "1"), (None, "1")):
        body = {"rows": [example(app)], "version": version}
        assert app.test_client().post("/predict", json=body).get_json()["model"]["version"] == served


@pytest.mark.parametrize(
    ("name", "status"), [("demo", 200), ("other", 404), ("..%2Fdemo", 404), ("%00", 404), ("<script>", 404)]
)
def test_named_model(client, app, name, status):
    assert client.post(f"/models/{name}/predict", json={"rows": [example(app)]}).status_code == status
    form = client.post(f"/models/{name}/predict", data=as_form(example(app)))
    assert (form.status_code, form.mimetype == "text/html") == (status, status == 200)


BODIES = {
    "empty": (b"", 400),
    "cut off": (b'{"rows": [', 400),
    "two documents": (b"{} {}", 400),
    "single quotes": (b"{'rows': []}", 400),
    "trailing comma": (b'{"rows": [],}', 400),
    "NaN": (b'{"rows": [{"size": NaN}]}', 400),
    "Infinity": (b'{"rows": [{"size": -Infinity}]}', 400),
    "key twice": (b'{"rows": [], "rows": []}', 400),
    "column twice": (b'{"rows": [{"size": 1, "size": 2}]}', 400),
    "not UTF-8": (b'{"rows": "\xff"}', 400),
    "byte order mark": (b'\xef\xbb\xbf{"rows": []}', 400),
    "UTF-16": ('{"rows": []}'.encode("utf-16"), 400),
    "too deep": (b"[" * 100_000, 400),
    "huge integer": (b'{"rows": [' + b"9" * 5000 + b"]}", 400),
    "null": (b"null", 422),
    "list": (b"[]", 422),
    "text": (b'"rows"', 422),
    "no rows": (b"{}", 422),
    "rows null": (b'{"rows": null}', 422),
    "rows empty": (b'{"rows": []}', 422),
    "rows an object": (b'{"rows": {}}', 422),
    "row a number": (b'{"rows": [1]}', 422),
    "row a list": (b'{"rows": [[1]]}', 422),
    "unknown key": (b'{"rows": [{}], "row": []}', 422),
    "other version": (b'{"rows": [{}], "version": "2"}', 422),
    "version a number": (b'{"rows": [{}], "version": 1}', 422),
    "too many rows": (b'{"rows": [' + b"1," * 10_000 + b"1]}", 413),
    "too many bytes": (b" " * (8 * 1024 * 1024 + 1), 413),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies_refused(client, app, case):
    body, status = BODIES[case]
    response = client.post("/predict", data=body, content_type="application/json")
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert response.get_json()["status"] == status
    assert client.post("/predict", json={"rows": [example(app)]}).status_code == 200


def test_refusal_of_the_envelope_helps(client):
    detail = client.post("/predict", json={"rows": [{}], "rowz": 1}).get_json()["detail"]
    assert "'rowz'; did you mean 'rows'?; accepted: rows, version" in detail
    assert "no version 9" in client.post("/predict", json={"rows": [{}], "version": "9"}).get_json()["detail"]


VALUES = {
    "number in quotes": ({"size": "1"}, "size", "expected a number"),
    "true for a number": ({"size": True}, "size", "expected a number"),
    "null where none was": ({"size": None}, "size", "null"),
    "overflow": ({"size": 1e999}, "size", "finite"),
    "list": ({"size": [1]}, "size", "expected a number"),
    "unknown category": ({"place": "<1h ocean"}, "place", "unknown category"),
    "number for a category": ({"place": 1}, "place", "expected a text"),
    "date that is none": ({"day": "2026-02-30"}, "day", "expected a date"),
    "target sent along": ({"outcome": "top"}, "outcome", "unknown column"),
    "misspelt": ({"sise": 1.0}, "sise", "did you mean 'size'?"),
}


@pytest.mark.parametrize("case", VALUES)
@pytest.mark.parametrize("accept", ["application/json", FIREFOX])
def test_values_refused(client, app, case, accept):
    change, column, problem = VALUES[case]
    body = json.dumps({"rows": [example(app), example(app) | change]}).replace("Infinity", "1e999")
    response = client.post("/predict", data=body, content_type="application/json", headers={"Accept": accept})
    assert response.status_code == 422
    if accept == FIREFOX:
        assert problem in html.unescape(response.text)
    else:
        (error,) = response.get_json()["errors"]
        assert (error["row"], error["column"]) == (1, column)
        assert problem in error["problem"]


def test_every_wrong_column_of_the_row_is_named(client, app):
    errors = client.post("/predict", json={"rows": [{"place": "INLAND", "sice": 1}]}).get_json()["errors"]
    assert {error["column"] for error in errors} == {"size", ODD, "rooms", "day", "sice"}


def test_many_faults_stay_short(client):
    response = client.post("/predict", json={"rows": [{}] * 2000})
    content = response.get_json()
    assert len(response.data) < 8192
    assert len(content["errors"]) + content["more_errors"] == 2000 * 5
    assert len(response.data) > 4000


def test_a_flood_of_unknown_columns_is_refused_at_once(client, monkeypatch):
    monkeypatch.setattr("lockstep.data.schema.nearest", lambda *_: pytest.fail("time was spent on guessing"))
    rows = [{f"column number {n}": 1 for n in range(200)}]
    assert client.post("/predict", json={"rows": rows}).status_code == 422


SURROGATES = [
    (r'"\ud800"', 400),
    (r'"a \udfff b"', 400),
    (r'"\ud83d \ude00"', 400),
    (r'"\uD83D\uDE00"', 200),
    (r'"\\ud800"', 200),
]


@pytest.mark.parametrize(("text", "status"), SURROGATES)
def test_half_of_a_surrogate_pair_is_no_json(serve, bundles, text, status):
    client = serve(bundles["text"]).test_client()
    bodies = {
        "/predict": '{"rows": [{"review": TEXT}]}',
        "/invocations": '{"instances": [TEXT]}',
        "/inference": '{"data": [[TEXT]]}',
        "/v2/models/demo/infer": '{"inputs": [{"name": "review", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]}',
    }
    for path, body in bodies.items():
        answer = client.post(path, data=body.replace("TEXT", text), content_type="application/json")
        assert answer.status_code == status, (path, answer.text)


def test_half_of_a_surrogate_pair_is_no_name(client):
    answer = client.post("/predict", data=r'{"rows": [{"\ud800": 1}]}', content_type="application/json")
    assert answer.status_code == 400


MEDIA = {
    "none": ({}, 415),
    "text": ({"Content-Type": "text/plain"}, 415),
    "other charset": ({"Content-Type": "application/json; charset=latin-1"}, 415),
    "xml": ({"Content-Type": "application/xml"}, 415),
    "deflate": ({"Content-Type": "application/json", "Content-Encoding": "deflate"}, 415),
    "gzip that is none": ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 400),
    "form in deflate": ({"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "deflate"}, 415),
    "charset": ({"Content-Type": "application/json; charset=UTF-8"}, 200),
    "identity": ({"Content-Type": "application/json", "Content-Encoding": "identity"}, 200),
}


@pytest.mark.parametrize("case", MEDIA)
def test_media_types(client, app, case):
    headers, status = MEDIA[case]
    body = json.dumps({"rows": [example(app)]})
    assert client.post("/predict", data=body, headers=headers).status_code == status


def test_whole_numbers_and_null_are_accepted(client, app):
    row = example(app) | {"size": 50, ODD: None}
    assert client.post("/predict", json={"rows": [row]}).status_code == 200


def test_ten_thousand_rows_are_answered(client, app):
    app.config["MAX_ROWS"] = 3
    assert len(client.post("/predict", json={"rows": [example(app)] * 3}).get_json()["predictions"]) == 3
    assert client.post("/predict", json={"rows": [example(app)] * 4}).status_code == 413


def test_no_model_is_503_with_retry_after(empty):
    client = empty.test_client()
    for response in (
        client.get("/", headers={"Accept": FIREFOX}),
        client.post("/predict", json={"rows": [{}]}),
        client.post("/predict", data={"size": "1"}),
        client.post("/models/demo/predict", json={"rows": [{}]}),
    ):
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("media", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(("spaces", "status"), [(10, 200), (9_000_000, 413)])
def test_bodies_of_untold_length(client, app, media, spaces, status):
    row = example(app)
    body = json.dumps({"rows": [row]}) if media == "application/json" else urlencode(as_form(row))
    if media == "application/json":
        body += " " * spaces
    elif spaces > 10:
        body += "&more=" + "x" * spaces
    response = client.post(
        "/predict",
        input_stream=BytesIO(body.encode()),
        headers={"Content-Type": media, "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert response.status_code == status
