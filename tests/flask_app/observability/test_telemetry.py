import json
import re
import subprocess
import sys
import time

import pytest

from flask_app.models import model_service
from flask_app.observability import telemetry
from flask_app.prediction.prediction_service import PredictionService
from tests.flask_app.standins import example

PREDICTED = 'model_prediction_count_total{model="%s",prediction="%s",version="%s"}'


def metrics(client):
    lines = client.get("/metrics").text.splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_requests_are_counted_by_route(client, app):
    client.post("/predict", json={"rows": [example(app)]})
    for n in range(5):
        client.get(f"/made/up/{n}")
        client.post(f"/models/{n}/predict", json={})
    client.open("/", method="INVENTED")
    found = metrics(client)
    count = 'app_request_count_total{endpoint="%s",method="%s",status="%s"}'
    assert found[count % ("/predict", "POST", 200)] == "1.0"
    assert found[count % ("unmatched", "GET", 404)] == "5.0"
    assert found[count % ("/models/<name>/predict", "POST", 404)] == "5.0"
    assert found[count % ("unmatched", "other", 405)] == "1.0"
    assert found['app_request_latency_seconds_count{endpoint="/predict"}'] == "1.0"
    assert float(found['app_request_latency_seconds_sum{endpoint="/predict"}']) > 0


LABELS = {
    "binary": {"<low>", "middle"},
    "multiclass": {"<low>", "middle", "top"},
    "regression": {"value"},
    "text": {"positive", "negative"},
}


@pytest.mark.parametrize("task", LABELS)
def test_predictions_are_counted_by_answer(serve, bundles, task):
    client = serve(bundles[task]).test_client()
    rows = json.loads((bundles[task] / "smoke.json").read_text())["rows"]
    client.post("/predict", json={"rows": rows})
    found = {name: float(value) for name, value in metrics(client).items() if "prediction_count_total" in name}
    assert sum(found.values()) == len(rows)
    assert {re.search(r'prediction="([^"]*)"', name)[1] for name in found} <= LABELS[task]


def test_labels_are_bounded(client, app, monkeypatch):
    monkeypatch.setattr(telemetry, "MOST_LABELS", 1)
    client.post("/predict", json={"rows": [example(app) | {"size": 90.0}]})
    assert metrics(client)[PREDICTED % ("demo", "other", "1")] == "1.0"


def test_versions_are_bounded(client, app, registry, bundles, monkeypatch):
    monkeypatch.setattr(telemetry, "MOST_SERIES", 1)
    monkeypatch.setattr(telemetry, "MOST_VERSIONS", 1)
    row = example(app) | {"size": 10.0}
    for version in ("2", "3"):
        client.post("/predict", json={"rows": [row]})
        registry.add(version, bundles["binary"])
        model_service.default(app).look()
        client.post("/predict", json={"rows": [row]})
    found = {name: value for name, value in metrics(client).items() if "prediction_count_total" in name}
    assert found == {
        PREDICTED % ("demo", "<low>", "1"): "1.0",
        PREDICTED % ("demo", "<low>", "other"): "3.0",
    }
    assert metrics(client)['model_prediction_score_count{model="demo",version="other"}'] == "3.0"


def test_scores_of_a_batch_are_those_of_its_rows(serve, bundles):
    rows = json.loads((bundles["binary"] / "smoke.json").read_text())["rows"]
    alone, batch = serve(bundles["binary"]).test_client(), serve(bundles["binary"]).test_client()
    for row in rows:
        alone.post("/predict", json={"rows": [row]})
    batch.post("/predict", json={"rows": rows})
    found = [
        {name: float(value) for name, value in metrics(client).items() if name.startswith("model_prediction_score_")}
        for client in (alone, batch)
    ]
    assert found[0] == pytest.approx({**found[1], **{name: found[0][name] for name in found[0] if "created" in name}})
    assert found[1]['model_prediction_score_count{model="demo",version="1"}'] == len(rows)


def test_refused_rows_are_not_counted(client):
    client.post("/predict", json={"rows": [{}]})
    assert not any("model_prediction_count_total" in name for name in metrics(client))


def test_the_version_that_serves_and_the_registry(client, app, registry, bundles):
    registry.add("2", bundles["tree"])
    model_service.default(app).look()
    registry.go_down()
    model_service.default(app).look()
    found = metrics(client)
    assert found['model_loaded{name="demo",version="1"}'] == "0.0"
    assert found['model_loaded{name="demo",version="2"}'] == "1.0"
    assert found["model_registry_up"] == "0.0"
    assert found["model_registry_errors_total"] == "1.0"
    assert time.time() - float(found['model_load_timestamp_seconds{name="demo"}']) < 60


WORKER = """
import os, sys
from pathlib import Path
from flask_app import create_app
from flask_app.models import model_service
from lockstep.config.settings import Settings
from tests.flask_app.standins import FolderRegistry, example
registry = FolderRegistry()
registry.add("1", Path(sys.argv[1]))
app = create_app(Settings.read(os.environ), registry.connect)
model_service.default(app).look()
client = app.test_client()
for _ in range(3):
    client.post("/predict", json={"rows": [example(app)]})
print(client.get("/metrics").text)
"""


def test_workers_that_share_a_folder_are_summed_up(bundles, tmp_path):
    environment = {
        "PYTHONPATH": "src:.",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "LOCKSTEP_STATE": str(tmp_path),
        "LOCKSTEP_MODEL_NAME": "demo",
    }
    command = [sys.executable, "-c", WORKER, str(bundles["binary"])]
    for total in ("3.0", "6.0"):
        text = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        assert f'app_request_count_total{{endpoint="/predict",method="POST",status="200"}} {total}\n' in text
        assert 'model_loaded{name="demo",version="1"} 1.0\n' in text
        assert "pid=" not in text


def test_requests_in_flight_are_those_that_hold_a_slot(client, app, monkeypatch):
    seen, answer = [], PredictionService.answer

    def answer_and_look(*given):
        seen.append(telemetry.from_app(app).summary("demo")[0])
        return answer(*given)

    monkeypatch.setattr(PredictionService, "answer", answer_and_look)
    assert client.post("/predict", json={"rows": [example(app)]}).status_code == 200
    assert client.post("/predict", json={"rows": [{}]}).status_code == 422
    assert (seen, telemetry.from_app(app).summary("demo")[0]) == ([1], 0)
    assert metrics(client)["app_requests_in_flight"] == "1.0"
    assert "<p>0 requests in flight</p>" in client.get("/dashboard", headers={"Accept": "text/html"}).text
