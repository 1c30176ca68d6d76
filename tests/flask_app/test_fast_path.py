"""The front answers what Flask would, and leaves all else to it."""

import copy
import dataclasses
import itertools
import json
import os

import pytest
from werkzeug.test import Client, EnvironBuilder

from flask_app import create_app
from flask_app.admission import guard
from flask_app.admission.limits import Overloaded
from flask_app.fast_path import FastPath
from flask_app.models import model_service
from flask_app.prediction import prediction_service
from lockstep.data.schema import RowsRefused
from tests.flask_app.standins import TASKS, example, make_bundle


class Fast(Client):
    """A client of the front, which notes whether Flask was asked."""

    def __init__(self, app):
        self.asked = []
        front = FastPath(app)
        flask = app.wsgi_app
        app.wsgi_app = lambda *given: self.asked.append(given[0]["PATH_INFO"]) or flask(*given)
        super().__init__(front)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A bundle for each task, whose column names need no escape in JSON."""
    root = tmp_path_factory.mktemp("plain")
    return {task: make_bundle(task, root / task, odd="a <i> é") for task in TASKS}


@pytest.fixture(params=list(TASKS))
def both(request, serve, plain):
    """An app, Flask's own client and the front's, one for each task."""
    app = serve(plain[request.param])
    return app, app.test_client(), Fast(app)


@pytest.fixture
def app(serve, plain):
    """An app that serves a binary model of such columns."""
    return serve(plain["binary"])


def test_a_column_name_with_a_quote_is_answered_by_flask(serve, bundles):
    app = serve(bundles["binary"])
    fast = Fast(app)
    assert fast.post("/predict", json={"rows": [example(app)]}).status_code == 200
    assert fast.asked == ["/predict"]


def without_ids(answer):
    return [{name: value for name, value in one.items() if name != "id"} for one in answer.json["predictions"]]


def shown(headers):
    return {name: value for name, value in headers if name != "Content-Length"}


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("path", ["/predict", "/models/demo/predict"])
def test_front_and_flask_answer_alike(both, path, count):
    app, slow, fast = both
    body = {"rows": [example(app)] * count}
    fastly = fast.post(path, json=body)
    assert fast.asked == []
    slowly = slow.post(path, json=body)
    assert without_ids(fastly) == without_ids(slowly)
    assert fastly.json["model"] == slowly.json["model"] == {"name": "demo", "version": "1"}
    assert shown(fastly.headers) == shown(slowly.headers)
    assert len({one["id"] for one in fastly.json["predictions"]}) == count


LEFT = {
    "another method": {"method": "GET"},
    "another path": {"path": "/predict/"},
    "another model": {"path": "/models/other/predict"},
    "another type": {"content_type": "text/plain"},
    "a form": {"content_type": "application/x-www-form-urlencoded", "data": b"a=1"},
    "another charset": {"content_type": "application/json; charset=latin-1"},
    "compressed": {"headers": {"Content-Encoding": "gzip"}},
    "of another site": {"headers": {"Origin": "http://evil.example"}},
    "of a browser": {"headers": {"Sec-Fetch-Site": "same-origin"}},
    "a long header": {"headers": {"X-Long": "x" * 33_000}},
    "a long address": {"query_string": "x" * 9000},
    "too large": {"data": b" " * (8 * 1024 * 1024 + 1)},
    "no JSON": {"data": b"{"},
    "no rows": {"data": b'{"rows": []}'},
    "a wrong row": {"data": b'{"rows": [{}]}'},
    "another version": {"data": b'{"rows": [{}], "version": "7"}'},
}


@pytest.mark.parametrize("change", LEFT.values(), ids=LEFT)
def test_doubt_goes_to_flask_with_the_body(app, change):
    given = {"method": "POST", "path": "/predict", "content_type": "application/json", "data": b"{}"} | change
    fast, slow = Fast(app), app.test_client()
    found, expected = (client.open(EnvironBuilder(**given).get_request()) for client in (fast, slow))
    assert fast.asked[0] == given["path"]
    assert (found.status_code, found.data) == (expected.status_code, expected.data)
    assert found.status_code != 200


def test_more_rows_than_allowed_are_refused_by_flask(settings, registry, plain):
    registry.add("1", plain["binary"])
    app = create_app(dataclasses.replace(settings, max_rows=2), registry.connect)
    model_service.default(app).look()
    fast = Fast(app)
    answers = [fast.post("/predict", json={"rows": [example(app)] * count}).status_code for count in (2, 3)]
    assert (answers, fast.asked) == ([200, 413], ["/predict"])


def test_no_room_is_told_in_front(app):
    fast, limiter = Fast(app), guard.from_app(app).limiter
    while True:
        try:
            limiter.acquire()
        except Overloaded:
            break
    full = fast.post("/predict", json={"rows": [example(app)]})
    assert (full.status_code, full.headers["Retry-After"], fast.asked) == (503, "1", [])
    assert full.json["detail"] == "Too many requests are under way. Try again in a moment."
    assert full.headers["Content-Type"] == "application/problem+json"
    limiter.release()
    assert fast.post("/predict", json={"rows": [example(app)]}).status_code == 200


def test_several_models_are_answered_in_front(settings, registry, plain):
    two = dataclasses.replace(settings, model_name="demo,other")
    registry.add("1", plain["binary"])
    app = create_app(two, registry.connect)
    for service in model_service.all_of(app):
        service.look()
    fast = Fast(app)
    for name in ("demo", "other"):
        answer = fast.post(f"/models/{name}/predict", json={"rows": [example(app)]})
        assert answer.status_code == 200
    assert fast.asked == []


def test_the_right_version_is_answered_in_front(app):
    fast = Fast(app)
    assert fast.post("/predict", json={"rows": [example(app)], "version": "1"}).status_code == 200
    assert fast.asked == []


def test_without_a_model_flask_says_so(empty):
    fast = Fast(empty)
    answer = fast.post("/predict", json={"rows": [{}]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_a_crash_in_front_is_told_by_flask(app, monkeypatch, caplog):
    def crash(*_):
        raise RuntimeError("inside")

    monkeypatch.setattr(prediction_service.from_app(app), "answer", crash)
    answer = Fast(app).post("/predict", json={"rows": [example(app)]})
    assert answer.status_code == 500
    assert "inside" in caplog.text and "inside" not in answer.text


def test_counts_and_log_are_those_of_flask(both):
    app, slow, fast = both
    logged = []
    prediction_service.from_app(app).subscribers.append(logged.append)
    rows = [example(app)] * 3
    for client in (fast, slow):
        client.post("/predict", json={"rows": rows})
    first, second = logged
    assert first.rows == second.rows == app_rows(app, rows)
    assert first.predictions == second.predictions
    text = slow.get("/metrics").text
    assert 'app_request_count_total{endpoint="/predict",method="POST",status="200"} 2.0' in text
    assert 'app_request_latency_seconds_count{endpoint="/predict"} 2.0' in text


def app_rows(app, rows):
    return model_service.default(app).require().predictor.schema.check(rows)


@pytest.mark.parametrize("fast", [True, False])
def test_the_same_key_and_rows_give_the_same_ids(app, fast):
    client = Fast(app) if fast else app.test_client()
    row = example(app)

    def ids(key, rows):
        answer = client.post("/predict", json={"rows": rows}, headers={"Idempotency-Key": key} if key else {})
        return [one["id"] for one in answer.json["predictions"]]

    assert ids("k", [row, row]) == ids("k", [row, row])
    assert len({*ids("k", [row, row]), *ids("other", [row, row]), *ids("k", [row, row | {"rooms": 2}])}) == 6
    assert ids("", [row]) != ids("", [row])
    assert all(len(one) == 32 for one in ids("k", [row]) + ids("", [row]))


def test_processes_forked_from_one_app_draw_other_ids(app, monkeypatch):
    one = prediction_service.from_app(app)
    twin = copy.copy(one)
    one._drawn, twin._drawn = itertools.count(), itertools.count()
    first = one._ids([()], "")
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert twin._ids([()], "") != first


def test_json_of_front_and_flask_is_the_same_text(app):
    body = json.dumps({"rows": [example(app)]})
    answers = [
        client.post("/predict", data=body, content_type="application/json", headers={"Idempotency-Key": "k"}).data
        for client in (Fast(app), app.test_client())
    ]
    assert answers[0] == answers[1]


def test_refused_rows_name_every_row(app):
    with pytest.raises(RowsRefused):
        app_rows(app, [{}])


def test_a_cached_answer_is_named_counted_and_logged(settings, registry, plain):
    registry.add("1", plain["binary"])
    app = create_app(dataclasses.replace(settings, cache_rows=10), registry.connect)
    model_service.default(app).look()
    fast, logged, row = Fast(app), [], example(app)
    prediction_service.from_app(app).subscribers.append(logged.append)
    first, second = (fast.post("/predict", json={"rows": [row]}) for _ in range(2))
    assert without_ids(first) == without_ids(second)
    assert first.json["predictions"][0]["id"] != second.json["predictions"][0]["id"]
    assert [one.rows for one in logged] == [app_rows(app, [row])] * 2
    text = app.test_client().get("/metrics").text
    for line in ('prediction_cache_total{result="hit"} 1.0', 'prediction_cache_total{result="miss"} 1.0'):
        assert line in text
    assert "model_prediction_count_total" in text and "} 2.0" in text
