import json
import re
import stat
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from flask_app import create_app
from flask_app.models import model_service
from flask_app.observability import refusals
from flask_app.observability.refusals import OTHER, Refusals
from lockstep.data.schema import Column, FieldError, Schema
from lockstep.prediction_log import refusals as sample
from tests.flask_app.standins import example

SCHEMA = Schema(
    "binary",
    "outcome",
    ("no", "yes"),
    (
        Column("n", "numeric", False, 3.0, minimum=1.0, maximum=9.0),
        Column("c", "categorical", False, "x", categories=("x",), unknown="refuse"),
        Column("t", "text", False, "a"),
        Column("d", "date", False, "2026-01-31"),
    ),
)
GOOD = {"n": 1.0, "c": "x", "t": "a", "d": "2026-01-31"}
REASONS = [
    ({"n": None}, ("n", "null")),
    ({"n": "1"}, ("n", "wrong_type")),
    ({"n": 1e300}, ("n", "out_of_range")),
    ({"n": float("inf")}, ("n", "out_of_range")),
    ({"n": 10**400}, ("n", "out_of_range")),
    ({"c": "y"}, ("c", "unknown_category")),
    ({"c": 1}, ("c", "wrong_type")),
    ({"d": "soon"}, ("d", "wrong_type")),
    ({"made up": 1}, ("made up", "unknown_column")),
]


@pytest.mark.parametrize(("change", "expected"), REASONS)
def test_every_problem_of_a_schema_has_a_reason(change, expected):
    (fault,) = SCHEMA.faults(GOOD | change)
    assert (fault.column, refusals.reason_of(fault.problem)) == expected


def test_a_missing_column_and_a_row_that_is_none_have_a_reason():
    faults = [*SCHEMA.faults({"n": 1.0, "c": "x", "t": "a"}), *SCHEMA.faults([1])]
    assert [refusals.reason_of(fault.problem) for fault in faults] == ["missing_column", "wrong_type"]
    assert refusals.reason_of("something new") == OTHER


def metrics(client):
    pattern = r'model_refused_values_total\{column="([^"]*)",model="demo",reason="([^"]*)"\} (\S+)'
    return {
        (column, reason): float(count) for column, reason, count in re.findall(pattern, client.get("/metrics").text)
    }


def test_values_are_counted_by_column_and_reason_however_they_came(app, client):
    row = example(app)
    client.post("/predict", json={"rows": [row | {"size": None}, row | {"size": None}, row | {"size": "1"}]})
    client.post("/models/demo/predict", json={"rows": [row | {"place": "Atlantis"}]})
    client.post("/invocations", json={"dataframe_records": [row | {"size": None}]})
    client.post("/predict", data={name: str(value) for name, value in (row | {"size": "x"}).items()})
    file = {"file": (BytesIO(b"size\n1\n"), "a.csv")}
    client.post("/predict/file", data=file)
    for n in range(5):
        client.post("/predict", json={"rows": [row | {f"made up {n}": 1}]})
    client.post("/feedback", json={"id": "a", "label": 1})
    found = metrics(client)
    assert found["size", "null"] == 3
    assert found["size", "wrong_type"] == 2
    assert found["place", "unknown_category"] == 1
    assert found["rooms", "missing_column"] == 1
    assert found[OTHER, "unknown_column"] == 5
    assert {column for column, _ in found} <= {*row, OTHER}


def kept(settings, log_rows, faults):
    counted = []
    log = Refusals(replace(settings, log_rows=log_rows), lambda *values: counted.append(values))
    log.path.parent.mkdir(parents=True, exist_ok=True)
    log.add("demo", SCHEMA, faults, "key-1")
    return log, counted


FAULTS = [
    FieldError(0, "n", "expected a number", "12a"),
    FieldError(1, "n", "expected a number", "13a"),
    FieldError(0, "x y", "unknown column", 7),
]


@pytest.mark.parametrize(
    ("log_rows", "shown"),
    [("plain", ["'12a'", "7"]), ("hashed", [r"[0-9a-f]{32}", r"[0-9a-f]{32}"]), ("none", ["", ""])],
)
def test_the_sample_holds_what_the_log_may(settings, log_rows, shown):
    log, counted = kept(settings, log_rows, FAULTS)
    assert counted == [("demo", "n", "wrong_type", 2), ("demo", OTHER, "unknown_column", 1)]
    groups = log.recent("demo", time.time())
    assert [(group.column, group.reason, group.count, line.key) for group, line in groups] == [
        ("n", "wrong_type", 2, "key-1"),
        (OTHER, "unknown_column", 1, "key-1"),
    ]
    for (group, _), pattern in zip(groups, shown, strict=True):
        assert re.fullmatch(pattern, group.sample)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert ("'12a'" in log.path.read_text()) is (log_rows == "plain")


def test_nothing_is_kept_where_the_log_is_off(settings):
    log, counted = kept(settings, "off", FAULTS)
    assert counted
    assert not log.path.exists()


def test_the_sample_is_bounded_in_time_size_and_rate(settings, monkeypatch):
    log, _ = kept(settings, "plain", FAULTS)
    size = log.path.stat().st_size
    for _ in range(50):
        log.add("demo", SCHEMA, FAULTS)
    assert log.path.stat().st_size == size
    monkeypatch.setattr(refusals, "EVERY_S", 0.0)
    monkeypatch.setattr(refusals, "MOST_BYTES", 2000)
    log.add("demo", SCHEMA, FAULTS)
    assert log.recent("demo", time.time())[0][0].count == 2 * 52
    for _ in range(50):
        log.add("demo", SCHEMA, FAULTS)
    assert sum(path.stat().st_size for path in log.path.parent.glob("refusals.*")) < 5000
    assert log.recent("demo", time.time() + refusals.WINDOW_S + 1) == []
    assert log.recent("another", time.time()) == []


def test_a_damaged_sample_and_a_full_disk_cost_no_answer(settings, monkeypatch):
    log, _ = kept(settings, "plain", FAULTS)
    with log.path.open("a") as stream:
        stream.write('{"at": 1, "mo')
    assert len(log.recent("demo", time.time())) == 2
    monkeypatch.setattr(refusals, "EVERY_S", 0.0)
    monkeypatch.setattr(refusals.os, "write", lambda *_: (_ for _ in ()).throw(OSError("full")))
    log.add("demo", SCHEMA, FAULTS)


def test_the_dashboard_shows_them_with_the_key_that_sent_them(settings, registry, bundles):
    registry.add("1", bundles["binary"])
    app = create_app(replace(settings, api_keys="a-key-of-some-length"), registry.connect)
    model_service.default(app).look()
    client, key = app.test_client(), {"X-API-Key": "a-key-of-some-length", "Accept": "text/html"}
    before = client.get("/dashboard", headers=key)
    assert "Refused values" not in before.text
    client.post("/predict", json={"rows": [example(app) | {"size": "<b>12"}]}, headers=key)
    page = client.get("/dashboard", headers=key | {"If-None-Match": before.headers["ETag"]})
    assert page.status_code == 200
    (line,) = re.findall(r'<tr><th scope="row">size</th>.*?</tr>', page.text, re.DOTALL)
    assert "wrong type" in line
    assert "&lt;b&gt;12" in line
    assert re.search(r"<td>key-[0-9a-f]{8}</td>", line)
    assert json.loads((Path(settings.state) / sample.FILE).read_text())["model"] == "demo"
