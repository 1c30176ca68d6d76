import contextlib
import dataclasses
import json
import subprocess
import sys

import pytest

from flask_app import create_app
from flask_app.models import model_service
from flask_app.prediction import log
from lockstep.errors import ConfigError
from lockstep.prediction_log import url
from lockstep.prediction_log.database import PredictionFilter, Store
from lockstep.prediction_log.spool import SpoolReader
from tests.lockstep.logged_answers import labels

TOKEN = "admin-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def rows(bundles):
    found = json.loads((bundles["binary"] / "smoke.json").read_text())["rows"][:3]
    columns = json.loads((bundles["binary"] / "schema.json").read_text())["columns"]
    return [{column["name"]: row[column["name"]] for column in columns} for row in found]


@pytest.fixture
def make(settings, registry, bundles):
    """Return a function that gives an app with other settings."""

    def act(bundle="binary", **changed):
        registry.add("1", bundles[bundle])
        app = create_app(dataclasses.replace(settings, admin_token=TOKEN, **changed), registry.connect)
        model_service.default(app).look()
        return app

    return act


def spooled(app):
    """Return the records that wait on disk."""
    return SpoolReader(url.spool(log.from_app(app).settings), print).read().records


def ids(answer):
    return [one["id"] for one in answer.get_json()["predictions"]]


def test_every_protocol_writes_down_what_it_answers(make, rows):
    app = make()
    client = app.test_client()
    typed = {name: "" if value is None else str(value) for name, value in rows[0].items()}
    for call in (
        {"path": "/predict", "json": {"rows": rows}},
        {"path": "/invocations", "json": {"dataframe_records": rows}},
        {"path": "/inference", "json": {"data": [list(row.values()) for row in rows]}},
        {"path": "/predict", "data": typed},
    ):
        assert client.post(**call).status_code == 200
    records = spooled(app)
    assert [len(one.ids) for one in records] == [3, 3, 3, 1]
    assert {(one.model, one.version, one.variant) for one in records} == {("demo", "1", "production")}
    assert all(0 < one.latency_us < 60_000_000 for one in records)
    assert {tuple(one.rows[0]) for one in records} == {tuple(rows[0].values())}


def test_what_is_refused_is_not_written_down(make, rows):
    app = make()
    app.test_client().post("/predict", json={"rows": [{}]})
    app.test_client().post("/predict", json={"rows": rows, "version": "9"})
    assert spooled(app) == []


def test_a_version_that_is_named_is_written_down_as_pinned(make, rows):
    app = make()
    assert app.test_client().post("/predict", json={"rows": rows, "version": "1"}).status_code == 200
    assert [one.variant for one in spooled(app)] == ["pinned"]


def test_rows_are_plain_hashed_or_left_out(make, rows):
    plain, hashed, none = (make(log_rows=word) for word in ("plain", "hashed", "none"))
    written = []
    for app in (plain, hashed, none):
        before = len(spooled(app))
        app.test_client().post("/predict", json={"rows": rows})
        written.append(spooled(app)[before:][0].rows)
    assert written[0] == [list(row.values()) for row in rows]
    assert written[2] is None
    for one, other in zip(written[0], written[1], strict=True):
        differs = [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        assert differs == [3]  # the place; numbers, the day and what is missing stay
        assert len(other[3]) == 32
    places = {(one[3], other[3]) for one, other in zip(written[0], written[1], strict=True)}
    assert len(places) == len({one for one, _ in places})


def test_hashes_depend_on_the_secret(make, rows):
    for secret in ("one", "other"):
        make(log_rows="hashed", secret_key=secret * 9).test_client().post("/predict", json={"rows": rows})
    first, second = spooled(make())
    assert first.rows[0][3] != second.rows[0][3]


def test_off_writes_nothing(make, rows):
    app = make(log_rows="off")
    assert app.test_client().post("/predict", json={"rows": rows}).status_code == 200
    assert spooled(app) == []


@pytest.mark.parametrize(
    ("changed", "problem"),
    [({"log_rows": "hash"}, "did you mean 'hashed'"), ({"database_url": "mysql://a:b@c/d"}, "begins with 'mysql'")],
)
def test_settings_that_make_no_sense_are_refused_at_the_start(settings, changed, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        create_app(dataclasses.replace(settings, **changed))
    assert "a:b" not in str(caught.value)


def test_the_log_is_paged_newest_first_and_filtered(make, rows):
    app = make()
    client = app.test_client()
    answered = [one for _ in range(4) for one in ids(client.post("/predict", json={"rows": rows}))]
    client.post("/predict", json={"rows": rows, "version": "1"})
    first = client.get("/predictions?variant=production&limit=5", headers=BEARER).get_json()
    second = client.get(f"/predictions?variant=production&limit=5&cursor={first['next']}", headers=BEARER).get_json()
    third = client.get(f"/predictions?variant=production&limit=5&cursor={second['next']}", headers=BEARER).get_json()
    found = [one["id"] for page in (first, second, third) for one in page["predictions"]]
    assert found == answered[::-1]
    assert third["next"] is None
    newest = first["predictions"][0]
    assert newest["row"] == list(rows[-1].values())
    assert (newest["model"], newest["version"], newest["prediction"]) == ("demo", "1", "<low>")
    assert "label" not in newest
    assert len(client.get("/predictions?since=2020-01-01T00:00:00Z", headers=BEARER).get_json()["predictions"]) == 15
    assert client.get("/predictions?until=2020-01-01T00:00:00", headers=BEARER).get_json()["predictions"] == []


def test_a_label_is_shown_beside_its_prediction(make, rows):
    app = make()
    (own, *_) = ids(app.test_client().post("/predict", json={"rows": rows}))
    log.from_app(app).label(own, "<low>", "an event", "test")
    log.from_app(app).label(own, "<low>", "an event", "test")
    (shown,) = app.test_client().get("/predictions?labelled=true", headers=BEARER).get_json()["predictions"]
    assert (shown["id"], shown["label"]) == (own, "<low>")
    with contextlib.closing(Store.from_settings(log.from_app(app).settings)) as store:
        assert labels(store, own) == ["<low>"]


@pytest.mark.parametrize(
    "query",
    ["other=1", "limit=0", "limit=1001", "limit=x", "since=yesterday", "variant=best", "limit=1&limit=2", "cursor=0"],
)
def test_what_cannot_be_asked_is_refused(make, query):
    assert make().test_client().get(f"/predictions?{query}", headers=BEARER).status_code == 422


@pytest.mark.parametrize("path", ["/predictions", "/logs/recent"])
def test_the_log_takes_the_admin_token(make, path):
    client = make().test_client()
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"Authorization": "Bearer wrong-token-0123456"}).status_code == 401


def test_recent_predictions_are_shown_without_their_rows(make, rows):
    client = make().test_client()
    client.post("/predict", json={"rows": rows}, headers={"X-Sticky-Key": "someone"})
    whole = client.get("/predictions", headers=BEARER).get_json()
    recent = client.get("/logs/recent", headers=BEARER).get_json()
    bare = [{name: value for name, value in row.items() if name not in ("row", "key")} for row in whole["predictions"]]
    assert (recent["predictions"], recent["next"]) == (bare, whole["next"])
    assert len(bare) == len(rows) and {"row", "key"} <= whole["predictions"][0].keys()


def test_a_recorder_that_is_away_is_told(make, tmp_path):
    app = make(recorder_socket=str(tmp_path / "nobody.sock"))
    answer = app.test_client().get("/predictions", headers=BEARER)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert str(tmp_path) not in answer.get_data(as_text=True)


def test_an_idempotency_key_is_one_prediction_in_the_log(make, rows):
    app = make()
    for _ in range(3):
        app.test_client().post("/predict", json={"rows": rows}, headers={"Idempotency-Key": "once"})
    log.from_app(app).ask("known", ids=["x"])  # what was answered is in the database then
    opened = Store.from_settings(log.from_app(app).settings)
    assert len(opened.predictions(PredictionFilter())) == 3
    opened.close()


def test_a_worker_loads_no_database_library():
    code = (
        "import sys, json, flask_app.wsgi, flask_app.prediction.log\n"
        "heavy = {'sqlalchemy', 'alembic', 'psycopg', 'pandas', 'scipy', 'sklearn', 'mlflow', 'boto3'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    assert json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) == []
