from dataclasses import replace

import pytest

from flask_app import create_app
from flask_app.models import model_service
from lockstep import decision as decisions
from lockstep.decision import Check, Decision, Forced
from lockstep.registry import remote
from tests.flask_app.standins import FolderRegistry

BROWSER = {"Accept": "text/html"}


def test_alive_and_ready(client):
    assert client.get("/livez").get_json() == {"status": "alive"}
    assert client.get("/readyz").get_json() == {"status": "ready", "model": {"name": "demo", "version": "1"}}


def test_alive_and_not_ready_without_a_model(empty):
    client = empty.test_client()
    assert client.get("/livez").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert client.get("/health").get_json() == {
        "status": "unavailable",
        "model": None,
        "registry": "out of reach",
        "fault": "the model registry is out of reach",
        "challenger": None,
    }
    assert "none yet" in client.get("/health", headers=BROWSER).text


def test_details(client, app):
    state = client.get("/health").get_json()
    assert list(state) == ["status", "model", "registry", "fault", "challenger"]
    serving = model_service.default(app).require()
    assert (state["status"], state["registry"], state["fault"]) == ("ok", "reachable", None)
    assert state["model"]["sha256"] == serving.identity.sha256
    assert (state["model"]["task"], state["model"]["columns"]) == ("binary", 5)
    assert state["model"]["serving_for_s"] < 60
    assert serving.identity.sha256 in client.get("/health", headers=BROWSER).text


def test_a_fault_is_shown_without_secrets_or_paths(client, app, registry):
    registry.go_down()
    model_service.default(app).look()
    assert client.get("/readyz").status_code == 200
    for headers in ({}, BROWSER):
        text = client.get("/health", headers=headers).text
        assert "degraded" in text
        assert "the model registry is out of reach" in text
        assert "hunter2" not in text
        assert "mlflow.internal" not in text


def test_model_names_are_escaped(client, app, registry, bundles):
    registry.add("<img src=x>", bundles["tree"])
    model_service.default(app).look()
    for address in ("/", "/health"):
        assert "<img" not in client.get(address, headers=BROWSER).text


FORCED = Forced("2026-01-02T03:04:05+00:00", "ann", "the <b>old one</b> harms", "f1 is low")


def tag(registry, **tags):
    registry.versions["1"] = replace(registry.versions["1"], tags=tags)


def test_what_went_live_against_the_gate_is_told_for_ever(client, app, registry):
    assert "Lockstep-Model-Forced" not in client.get("/version").headers
    decision = Decision((Check("a", False, "f1 is low"),), "worse", "7")
    tag(registry, forced=FORCED.to_tag(), decision=decisions.tag(decision))
    model_service.default(app).look()
    model = client.get("/health").get_json()["model"]
    assert (model["gate"], model["forced"]["reason"]) == ({"passed": False, "verdict": "worse"}, FORCED.reason)
    page = client.get("/health", headers=BROWSER).text
    assert "went live against the gate" in page
    assert "the &lt;b&gt;old one&lt;/b&gt; harms (ann, 2026-01-02)" in page
    headers = client.get("/version").headers
    assert (headers["Lockstep-Model-Version"], headers["Lockstep-Model-Forced"]) == ("1", "true")


def test_the_record_of_another_version_is_not_told(client, app, registry, bundles):
    tag(registry, forced=FORCED.to_tag())
    model_service.default(app).look()
    registry.add("2", bundles["tree"], sha256="0" * 64)
    registry.versions["2"] = replace(registry.versions["2"], tags={"decision": "not JSON"})
    model_service.default(app).look()
    model = client.get("/health").get_json()["model"]
    assert model["version"] == "1"
    assert "forced" not in model


def test_a_version_without_a_record_is_as_before(client):
    assert not {"gate", "forced"} & client.get("/health").get_json()["model"].keys()


def test_the_version_of_the_protocol_is_told_without_a_model(empty):
    response = empty.test_client().get("/version")
    assert (response.status_code, response.headers.get("Lockstep-Model-Version")) == (200, None)


@pytest.fixture
def pair(settings, bundles, monkeypatch):
    """An app that serves two models, of which the second is not loaded yet."""
    registries = {name: FolderRegistry(name) for name in ("demo", "reviews")}
    for name, task in (("demo", "binary"), ("reviews", "text")):
        registries[name].add("1", bundles[task])
    monkeypatch.setattr(remote, "connect", lambda settings, name: registries[name].connect())
    app = create_app(replace(settings, model_name="demo,reviews"))
    model_service.default(app).look()
    return app


def test_a_server_is_ready_when_each_of_its_models_is_loaded(pair):
    client = pair.test_client()
    assert client.get("/readyz").status_code == 503
    assert client.get("/v2/health/ready").status_code == 503
    model_service.named(pair, "reviews").look()
    assert client.get("/readyz").status_code == 200


def test_one_page_lists_all_models(pair):
    client = pair.test_client()
    state = client.get("/health").get_json()
    assert (state["status"], state["model"]["name"]) == ("unavailable", "demo")
    assert {name: each["status"] for name, each in state["models"].items()} == {"demo": "ok", "reviews": "unavailable"}
    model_service.named(pair, "reviews").look()
    assert client.get("/health").get_json()["status"] == "ok"
    page = client.get("/health", headers=BROWSER).text
    for address in ("/models/demo", "/models/reviews", "/models/reviews/card", "/dashboard?model=reviews"):
        assert f'href="{address}"' in page


def test_aliases_of_other_systems_answer_for_each_model(pair):
    client = pair.test_client()
    model_service.named(pair, "reviews").look()
    models = client.get("/models/info").get_json()["models"]
    assert {name: (state["status"], state["model"]["version"]) for name, state in models.items()} == {
        "demo": ("ok", "1"),
        "reviews": ("ok", "1"),
    }
    for name in models:
        columns = model_service.named(pair, name).require().predictor.schema.columns
        row = {column.name: column.example for column in columns}
        (answer,) = client.post(f"/predict/{name}", json={"rows": [row]}).get_json()["predictions"]
        (same,) = client.post(f"/models/{name}/predict", json={"rows": [row]}).get_json()["predictions"]
        assert answer["prediction"] == same["prediction"]
    assert client.post("/predict/other", json={"rows": []}).status_code == 404
    for path in ("/metrics", "/metrics/prometheus"):
        assert "app_request_count_total" in client.get(path).text
