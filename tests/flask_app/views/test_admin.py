import dataclasses
import json

import pytest

from flask_app import create_app
from flask_app.models import model_service
from lockstep.errors import RegistryError, TrackingError

TOKEN = "admin-token-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def app(settings, registry, bundles):
    """An app with an admin token that serves version 1; version 2 is Production since a moment."""
    registry.add("1", bundles["binary"])
    app = create_app(dataclasses.replace(settings, admin_token=TOKEN), registry.connect)
    model_service.default(app).look()
    registry.add("2", bundles["tree"])
    return app


@pytest.fixture
def rollbacks(monkeypatch, registry):
    """What the registry was asked to undo."""
    asked = []

    def rollback(event):
        asked.append(event)
        registry.current = "1"
        return dataclasses.replace(event, version="1", previous="2", at="2026-01-01T00:00:00+00:00")

    monkeypatch.setattr(registry, "rollback", rollback, raising=False)
    return asked


@pytest.mark.parametrize("body", [None, {}, {"model": "demo"}])
def test_reload_follows_at_once(app, client, body):
    assert model_service.default(app).require().version == "1"
    answer = client.post("/admin/reload", json=body, headers=BEARER) if body is not None else None
    answer = answer or client.post("/admin/reload", headers=BEARER)
    assert answer.get_json() == {"models": [{"model": "demo", "serving": "2", "fault": None}]}
    assert model_service.default(app).require().version == "2"


def test_reload_says_what_is_wrong(client, registry):
    registry.go_down()
    (state,) = client.post("/admin/reload", headers=BEARER).get_json()["models"]
    assert state == {"model": "demo", "serving": "1", "fault": "the model registry is out of reach"}


def test_rollback_is_on_record_and_followed(app, client, rollbacks, caplog):
    client.post("/admin/reload", headers=BEARER)
    body = {"reason": "complaints\nabout 2", "actor": "ann"}
    answer = client.post("/admin/rollback", json=body, headers=BEARER)
    assert answer.get_json() == {
        "version": "1", "previous": "2", "at": "2026-01-01T00:00:00+00:00",
        "model": "demo", "serving": "1", "fault": None,
    }  # fmt: skip
    assert [(event.actor, event.reason) for event in rollbacks] == [("ann", "complaints\nabout 2")]
    assert model_service.default(app).require().version == "1"


FAULTS = [
    (RegistryError("demo has no earlier Production to go back to", "x"), 409, "no earlier Production"),
    (TrackingError("https://user:hunter2@inside:5000 is down", "x"), 503, "out of reach"),
]


@pytest.mark.parametrize(("error", "status", "words"), FAULTS)
def test_rollback_that_fails(app, client, monkeypatch, registry, error, status, words):
    def rollback(event):
        raise error

    monkeypatch.setattr(registry, "rollback", rollback, raising=False)
    answer = client.post("/admin/rollback", json={"reason": "r"}, headers=BEARER)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert words in answer.get_json()["detail"]
    assert "hunter2" not in answer.text
    assert ("Retry-After" in answer.headers) is (status == 503)


BODIES = {
    "no reason": (b"{}", 422, "reason"),
    "empty": (b"", 422, "reason"),
    "blank reason": (b'{"reason": " "}', 422, "reason"),
    "reason a number": (b'{"reason": 1}', 422, "reason"),
    "long reason": (json.dumps({"reason": "x" * 501}).encode(), 422, "reason"),
    "unknown key": (b'{"reason": "r", "version": "1"}', 422, "version"),
    "list": (b"[]", 422, "object"),
    "no JSON": (b"{", 400, "not JSON"),
    "not UTF-8": (b'{"reason": "\xff"}', 400, "not JSON"),
    "deep": (b"[" * 100_000, 422, "object"),
    "other model": (b'{"reason": "r", "model": "../demo"}', 404, "is served here"),
}


@pytest.mark.parametrize("case", BODIES)
def test_bodies_refused(client, rollbacks, case):
    body, status, words = BODIES[case]
    answer = client.post("/admin/rollback", data=body, headers=BEARER, content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert words in answer.get_json()["detail"]
    assert rollbacks == []


@pytest.mark.parametrize(("media", "encoding"), [("text/plain", "identity"), ("application/json", "deflate")])
def test_media_types(client, rollbacks, media, encoding):
    headers = {**BEARER, "Content-Type": media, "Content-Encoding": encoding}
    assert client.post("/admin/rollback", data=b'{"reason": "r"}', headers=headers).status_code == 415
    assert rollbacks == []


TOKENS = [
    (TOKEN, "", 401),
    (TOKEN, "Bearer wrong-token-0123456789", 401),
    (TOKEN, f"Bearer {TOKEN}0", 401),
    (TOKEN, f"Basic {TOKEN}", 401),
    (TOKEN, TOKEN, 401),
    ("", "", 403),
    ("", "Bearer ", 403),
    ("", f"Bearer {TOKEN}", 403),
    ("a-newer-token-0123456789", f"Bearer {TOKEN}", 401),
]


@pytest.mark.parametrize("address", ["/admin/reload", "/admin/rollback"])
@pytest.mark.parametrize(("token", "sent", "status"), TOKENS)
def test_S01_tokens(settings, registry, rollbacks, address, token, sent, status):
    app = create_app(
        dataclasses.replace(settings, admin_token=token, api_keys="an-api-key-0123456789"), registry.connect
    )
    headers = {"Authorization": sent, "X-API-Key": "an-api-key-0123456789"}
    answer = app.test_client().post(address, json={"reason": "r"}, headers=headers)
    assert (answer.status_code, rollbacks, registry.calls) == (status, [], 0)
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
