from flask_app import model_service

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
    serving = model_service.of(app).require()
    assert (state["status"], state["registry"], state["fault"]) == ("ok", "reachable", None)
    assert state["model"]["sha256"] == serving.identity.sha256
    assert (state["model"]["task"], state["model"]["columns"]) == ("binary", 5)
    assert state["model"]["serving_for_s"] < 60
    assert serving.identity.sha256 in client.get("/health", headers=BROWSER).text


def test_a_fault_is_shown_without_secrets_or_paths(client, app, registry):
    registry.go_down()
    model_service.of(app).look()
    assert client.get("/readyz").status_code == 200
    for headers in ({}, BROWSER):
        text = client.get("/health", headers=headers).text
        assert "degraded" in text
        assert "the model registry is out of reach" in text
        assert "hunter2" not in text
        assert "mlflow.internal" not in text


def test_model_names_are_escaped(client, app, registry, bundles):
    registry.add("<img src=x>", bundles["tree"])
    model_service.of(app).look()
    for address in ("/", "/health"):
        assert "<img" not in client.get(address, headers=BROWSER).text
