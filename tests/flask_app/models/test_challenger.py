"""Two versions at once: who answers whom, and that no fault of the challenger reaches a client."""

import dataclasses
import io
from collections import Counter

import pytest

from flask_app import create_app
from flask_app.admission import csrf
from flask_app.forms.csv_upload import template
from flask_app.models import challenger, model_service
from flask_app.models.loading import Serving
from flask_app.prediction import prediction_service
from lockstep.errors import ConfigError
from lockstep.inference.predictor import digest
from tests.flask_app.models.test_model_service import wait_for
from tests.flask_app.standins import example
from tests.flask_app.test_fast_path import Fast, plain  # noqa: F401 - a fixture

TOKEN = "admin-token-0123456789"


@pytest.fixture
def tried(settings, registry, plain):  # noqa: F811
    """Return a function that gives an app with version 1 in Production and version 2 as its challenger."""

    def make(share):
        registry.add("1", plain["binary"])
        registry.add("2", registry.folders["1"], promote=False)
        registry.tried = "2"
        app = create_app(dataclasses.replace(settings, challenger_share=share, admin_token=TOKEN), registry.connect)
        look(app)
        return app

    return make


def look(app):
    service = model_service.default(app)
    service.look()
    service.challenger.look()


def versions(client, row, count=200, **headers):
    answers = [client.post("/predict", json={"rows": [row]}, headers=headers) for _ in range(count)]
    return Counter(answer.json["model"]["version"] for answer in answers)


@pytest.mark.parametrize("front", [True, False])
def test_a_share_of_the_requests_goes_to_the_challenger(tried, front):
    app = tried(30)
    client = Fast(app) if front else app.test_client()
    assert 0.15 < versions(client, example(app), 400)["2"] / 400 < 0.45


@pytest.mark.parametrize(("share", "version"), [(0, "1"), (100, "2")])
@pytest.mark.parametrize("front", [True, False])
def test_none_and_all(tried, front, share, version):
    app = tried(share)
    client = Fast(app) if front else app.test_client()
    assert versions(client, example(app), 20) == {version: 20}
    assert versions(client, example(app), 20, **{"X-Sticky-Key": "k"}) == {version: 20}


def test_the_same_key_meets_the_same_version_on_both_ways(tried):
    app = tried(50)
    fast, slow, row = Fast(app), app.test_client(), example(app)
    seen = set()
    for number in range(20):
        key = {"X-Sticky-Key": f"müller {number}"}
        answered = versions(fast, row, 3, **key) + versions(slow, row, 3, **key)
        assert len(answered) == 1
        seen |= set(answered)
    assert seen == {"1", "2"}
    assert len(fast.asked) == 20 * 3  # by the slow client alone


def test_a_request_sent_again_with_its_idempotency_key_meets_the_same_version(tried):
    app = tried(50)
    seen = [versions(Fast(app), example(app), 4, **{"Idempotency-Key": f"k{number}"}) for number in range(20)]
    assert {len(one) for one in seen} == {1}
    assert len({*map(tuple, seen)}) == 2


def test_places_are_even_and_another_challenger_draws_anew():
    places = Counter(int(challenger.place(f"user-{number}", "7")) // 10 for number in range(10_000))
    assert len(places) == 10 and min(places.values()) > 900 and max(places.values()) < 1100
    same = sum(challenger.place(f"u{number}", "7") == challenger.place(f"u{number}", "8") for number in range(1000))
    assert same < 50


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("front", [True, False])
def test_who_names_a_version_is_no_part_of_it(tried, front, version):
    app = tried(50)
    logged = []
    prediction_service.from_app(app).subscribers.append(logged.append)
    client = Fast(app) if front else app.test_client()
    for _ in range(10):
        answer = client.post("/predict", json={"rows": [example(app)], "version": version})
        assert answer.json["model"]["version"] == version
    assert {(one.serving.version, one.serving.role) for one in logged} == {(version, "pinned")}


def test_what_is_logged_says_in_which_role_and_with_which_key(tried):
    app = tried(50)
    logged = []
    prediction_service.from_app(app).subscribers.append(logged.append)
    for client in (Fast(app), app.test_client()):
        versions(client, example(app), 30)
        versions(client, example(app), 1, **{"X-Sticky-Key": "k"})
    assert {(one.serving.version, one.serving.role) for one in logged} == {("1", "production"), ("2", "challenger")}
    assert Counter(one.key for one in logged) == {"": 60, "k": 2}


def test_c14_a_batch_has_one_version(tried):
    app = tried(50)
    client, row = Fast(app), example(app)
    assert len(versions(client, row, 20)) == 2
    answer = client.post("/predict", json={"rows": [row] * 50})
    assert set(answer.json["model"]) == {"name", "version"} and len(answer.json["predictions"]) == 50


PROTOCOLS = {
    "/invocations": (lambda row: {"dataframe_records": [row]}, lambda answer: answer.headers["Lockstep-Model-Version"]),
    "/inference": (lambda row: {"data": [list(row.values())]}, lambda answer: answer.json["model_version"]),
    "/v2/models/demo/infer": (
        lambda row: {
            "inputs": [
                {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]}
                for name, value in row.items()
            ]
        },
        lambda answer: answer.json["model_version"],
    ),
}


@pytest.mark.parametrize("path", PROTOCOLS)
def test_every_protocol_takes_part(tried, path):
    app = tried(100)
    body, version = PROTOCOLS[path]
    answer = app.test_client().post(path, json=body(example(app)))
    assert (answer.status_code, version(answer)) == (200, "2")
    assert app.test_client().post(path, json={}).status_code == 422


def test_the_form_and_files_take_part(tried):
    app = tried(100)
    client, schema = app.test_client(), model_service.default(app).require().predictor.schema
    typed = {name: "" if value is None else str(value) for name, value in example(app).items()}
    page = client.post("/predict", data=typed, headers={"Accept": "text/html"})
    token = page.text.partition(f'name="{csrf.FIELD}" value="')[2].partition('"')[0]
    page = client.post("/predict", data=typed | {csrf.FIELD: token}, headers={"Accept": "text/html"})
    assert page.status_code == 200 and "version 2, prediction" in page.text
    file = (io.BytesIO(template(schema).encode()), "rows.csv")
    answer = client.post("/predict/file", data={"file": file, csrf.FIELD: token})
    assert (answer.status_code, answer.headers["Lockstep-Model-Version"]) == (200, "2")


@pytest.mark.parametrize("front", [True, False])
def test_a_challenger_that_fails_on_a_request_leaves_it_to_production(tried, monkeypatch, caplog, front):
    app = tried(100)
    serving = model_service.default(app).challenger.serving()

    def crash(rows):
        raise ZeroDivisionError("inside")

    broken = dataclasses.replace(serving, predictor=_copy(serving, crash))
    monkeypatch.setattr(model_service.default(app).challenger, "_serving", broken)
    client = Fast(app) if front else app.test_client()
    assert versions(client, example(app), 5) == {"1": 5}
    assert "the challenger failed on a request" in caplog.text


def _copy(serving: Serving, predict):
    other = type(serving.predictor)(serving.predictor.schema, serving.predictor.scorer)
    other.predict = predict
    return other


def test_a_challenger_that_takes_fewer_rows_leaves_them_to_production(tried, registry, monkeypatch):
    app = tried(100)
    serving = model_service.default(app).challenger.serving()
    schema = serving.predictor.schema
    columns = tuple(
        dataclasses.replace(column, categories=("elsewhere",), unknown="refuse") if column.name == "place" else column
        for column in schema.columns
    )
    picky = type(serving.predictor)(dataclasses.replace(schema, columns=columns), serving.predictor.scorer)
    monkeypatch.setattr(
        model_service.default(app).challenger, "_serving", dataclasses.replace(serving, predictor=picky)
    )
    assert versions(Fast(app), example(app), 5) == {"1": 5}
    wrong = app.test_client().post("/predict", json={"rows": [{}]})
    assert wrong.status_code == 422


def test_a_fault_of_all_rows_is_told_in_productions_words(tried):
    app = tried(100)
    alone = tried(0)
    body = {"rows": [{"size": "x"}]}
    first, second = (one.test_client().post("/predict", json=body) for one in (app, alone))
    assert first.status_code == second.status_code == 422
    assert first.json["errors"] == second.json["errors"]


def test_it_comes_changes_and_goes_without_a_restart(tried, registry, plain):  # noqa: F811
    app = tried(100)
    service = model_service.default(app)
    first = service.challenger.serving()
    service.challenger.look()
    assert service.challenger.serving() is first
    registry.add("3", plain["binary"], promote=False)
    registry.tried = "3"
    service.challenger.look()
    assert versions(Fast(app), example(app), 3) == {"3": 3}
    registry.current = "3"
    service.look()
    assert versions(Fast(app), example(app), 3) == {"3": 3}
    assert service.choose("").role == "production"
    registry.tried = None
    service.challenger.look()
    assert service.challenger.serving() is None


def test_a_registry_that_is_away_changes_nothing(tried, registry):
    app = tried(100)
    registry.go_down()
    look(app)
    assert versions(Fast(app), example(app), 3) == {"2": 3}


@pytest.mark.parametrize("broken", [True, False])
def test_c12_a_refused_challenger_is_shown_and_production_answers(tried, registry, plain, tmp_path, broken):  # noqa: F811
    app = tried(100)
    registry.add("3", plain["binary"], digest(plain["regression"]) if broken else "", promote=False)
    registry.tried = "3"
    look(app)
    assert versions(Fast(app), example(app), 3) == {"1": 3}
    state = app.test_client().get("/health").get_json()
    assert (state["status"], state["fault"]) == ("ok", None)
    assert (state["challenger"]["version"], state["challenger"]["share"]) == ("3", 100)
    assert state["challenger"]["fault"].startswith("version 3 was refused: ")
    page = app.test_client().get("/health", headers={"Accept": "text/html"}).text
    assert "100 % of the requests: version 3 was refused" in page
    registry.tried = "2"
    look(app)
    state = app.test_client().get("/health").get_json()["challenger"]
    assert state == {"version": "2", "share": 100, "fault": None, "sha256": registry.versions["2"].sha256}


def test_in_the_shadow_no_worker_loads_it(tried, registry):
    app = tried(0)
    service = model_service.default(app)
    assert (service.challenger.serving(), service.challenger.version) == (None, "2")
    page = app.test_client().get("/health", headers={"Accept": "text/html"}).text
    assert "version 2, in the shadow" in page


def test_reload_looks_at_the_challenger_too(tried, registry):
    app = tried(100)
    registry.tried = None
    app.test_client().post("/admin/reload", headers={"Authorization": f"Bearer {TOKEN}"})
    assert versions(Fast(app), example(app), 3) == {"1": 3}


def test_the_watch_follows_it(tried, registry):
    app = tried(100)
    service = model_service.default(app)
    service.challenger._serving = None
    service.start()
    try:
        wait_for(lambda: service.challenger.serving() is not None)
    finally:
        service.stop()


def test_a_share_that_is_none(settings, registry):
    with pytest.raises(ConfigError, match="not a percentage"):
        create_app(dataclasses.replace(settings, challenger_share=101), registry.connect)
