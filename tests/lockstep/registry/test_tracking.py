import json
import logging
import os
import subprocess
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from lockstep.errors import TrackingError
from lockstep.registry import bundle as package
from lockstep.registry import tracking
from tests.lockstep import dagshub_like as fake
from tests.root import ROOT


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def listed(client, artifact_uri):
    """List by address, since asking by run id goes through calls that DagsHub refuses."""
    from mlflow.artifacts import list_artifacts

    found = list_artifacts(artifact_uri=artifact_uri, tracking_uri=client.tracking_uri)
    return sorted(Path(file.path).name for file in found)


def test_a_run_arrives_whole(client, model_name, bundle, tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "roc.png").write_bytes(b"png")
    run = tracking.Run(
        "first",
        params={f"p{i}": i for i in range(250)} | {"long": "x" * 9_000},
        metrics={f"m{i}": i / 7 for i in range(600)},
        tags={"git_commit": "abc"},
        artifacts=(tmp_path / "metrics.json", tmp_path / "plots"),
        model=bundle,
    )
    run_id, artifact_uri = tracking.log_run(client, model_name, run)
    stored = client.get_run(run_id)
    assert (stored.info.status, stored.info.artifact_uri) == ("FINISHED", artifact_uri)
    assert (len(stored.data.params), stored.data.params["p249"]) == (251, "249")
    assert len(stored.data.params["long"]) == 500
    assert stored.data.metrics == run.metrics
    assert stored.data.tags["git_commit"] == "abc"
    assert listed(client, f"{artifact_uri}/reports") == ["metrics.json", "plots"]
    assert listed(client, f"{artifact_uri}/reports/plots") == ["roc.png"]
    assert listed(client, f"{artifact_uri}/model") == ["model.skops", "schema.json", "smoke.json"]


def test_reports_join_a_run_that_was_logged_before(client, model_name, tmp_path):
    (tmp_path / "report.html").write_text("<p>drawn later</p>")
    run_id, artifact_uri = tracking.log_run(client, model_name, tracking.Run("first"))
    tracking.log_reports(client, run_id, [tmp_path / "report.html"])
    assert listed(client, f"{artifact_uri}/reports") == ["report.html"]


ODD_NAMES = ["Kauf [Tag] (€)", "Kauf [Tag] ($)", "价格", "a/b", "../a", "a//b", "tab\there", "x" * 400, "a=b,c"]


def test_parameters_named_by_columns_of_any_letters_arrive(client, model_name):
    params = {f"columns.{name}.decimal": number for number, name in enumerate(ODD_NAMES)}
    run_id, _ = tracking.log_run(client, model_name, tracking.Run("odd", params=params))
    stored = client.get_run(run_id).data.params
    assert sorted(stored.values()) == sorted(map(str, params.values()))
    assert stored["columns.Kauf _Tag_ (_).decimal".replace("(_)", "___")]


def test_a_missing_file_stops_the_run_before_it_starts(client, model_name, tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        tracking.log_run(client, model_name, tracking.Run("broken", model=tmp_path / "missing"))
    assert client.get_experiment_by_name(model_name) is None


def test_a_refused_value_ends_the_run_and_says_so(client, model_name):
    with pytest.raises(TrackingError, match="cannot log the run 'bad'"):
        tracking.log_run(client, model_name, tracking.Run("bad", metrics={"no\nsuch": 1}))
    experiment = client.get_experiment_by_name(model_name)
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]


def test_a_deleted_experiment_is_named(client, model_name):
    tracking.log_run(client, model_name, tracking.Run("one"))
    client.delete_experiment(client.get_experiment_by_name(model_name).experiment_id)
    with pytest.raises(TrackingError, match="was deleted"):
        tracking.log_run(client, model_name, tracking.Run("two"))


def test_local_artifacts_stay_in_the_state_folder(local_settings, tmp_path, bundle):
    _, uri = tracking.log_run(tracking.connect(local_settings), "e", tracking.Run("r", model=bundle))
    assert Path(uri).is_relative_to(tmp_path / "a state" / "artifacts")
    assert (Path(uri) / "model" / "model.skops").is_file()
    assert names(tmp_path) == ["a bundle", "a state"]


def test_a_slow_upload_is_announced(caplog):
    with caplog.at_level(logging.INFO), tracking._log_if_slow("still sending", after_s=0.01):
        time.sleep(0.1)
    with caplog.at_level(logging.INFO), tracking._log_if_slow("never said", after_s=5):
        pass
    assert caplog.messages == ["still sending"]


def test_a_fresh_store_is_announced_and_made_whole(settings_for, caplog):
    settings = settings_for()
    with caplog.at_level(logging.INFO):
        client = tracking.connect(settings)
    assert "creating the local tracking store" in caplog.text
    assert names(settings.state) == ["mlflow.db"]
    assert client.search_experiments()


def test_a_store_that_died_half_made_is_not_used(settings_for, template_store, monkeypatch):
    settings = settings_for()
    monkeypatch.setattr(tracking, "_migrate", lambda database: database.touch() or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tracking.connect(settings)
    assert names(settings.state) == []


def test_a_file_that_is_no_database_is_told(settings_for):
    settings = settings_for()
    Path(settings.state).mkdir()
    (Path(settings.state) / "mlflow.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(TrackingError, match="cannot open the tracking store"):
        tracking.connect(settings)


class Hanging(BaseHTTPRequestHandler):
    def do_POST(self):
        time.sleep(3)

    def log_message(self, *_):
        pass


def answering(status, content_type, body):
    class Answer(Hanging):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Answer


PAGE = b"<html>Sign in</html>"


@pytest.mark.parametrize(
    ("handler", "problem", "hint"),
    [
        (Hanging, "cannot reach", "MLFLOW_HTTP_REQUEST_TIMEOUT"),
        (answering(500, "text/plain", b"boom"), "HTTP 500", "log"),
        (answering(503, "application/json", b"{}"), "HTTP 503", "log"),
        (answering(200, "text/html", PAGE), "answers with a page", "MLFLOW_TRACKING_URI"),
        (answering(404, "text/html", PAGE), "no MLflow server", "MLFLOW_TRACKING_URI"),
        (answering(401, "text/plain", b"no"), "refuses these credentials", "MLFLOW_TRACKING_USERNAME"),
        (answering(403, "application/json", b"{}"), "refuses these credentials", "MLFLOW_TRACKING_USERNAME"),
        (answering(302, "text/html", b""), "HTTP 302", "log"),
    ],
)
def test_a_bad_server_is_told_in_one_line(settings_for, monkeypatch, handler, problem, hint):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    started = time.monotonic()
    with fake.serving(handler) as address, pytest.raises(TrackingError, match=problem) as caught:
        tracking.connect(settings_for(MLFLOW_TRACKING_URI=address))
    assert hint in caught.value.hint
    assert "\n" not in caught.value.problem
    assert time.monotonic() - started < 10


def test_nobody_listening_is_told_at_once(settings_for):
    with pytest.raises(TrackingError, match="cannot reach") as caught:
        tracking.connect(settings_for(MLFLOW_TRACKING_URI="http://me:hunter2@127.0.0.1:9"))
    assert "hunter2" not in caught.value.problem
    assert "is it running" in caught.value.hint


def test_the_patience_with_a_hanging_server_has_a_bound():
    assert tracking.CHECK_TIMEOUT_S * 2 < 20


def test_credentials_of_one_server_do_not_reach_the_next(settings_for):
    tracking._prepare_environment(tracking.TrackingServer("http://a", "me", "secret"))
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "secret"
    tracking._prepare_environment(tracking.TrackingServer("http://b"))
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ


def test_what_a_person_set_is_kept(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    tracking._prepare_environment(tracking.TrackingServer("http://a"))
    assert (os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"], os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) == ("77", "2")


@pytest.mark.parametrize(
    "module", ["registry.tracking", "registry.model_registry", "registry.bundle", "commands.history", "commands.doctor"]
)
def test_importing_does_not_import_mlflow(module):
    code = f"import sys, lockstep.{module}; sys.exit('mlflow' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": "src"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT).returncode == 0


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")
def test_mlflow_loads_the_packaged_model_and_it_predicts_the_same(settings_for, client, model_name, tmp_path):
    import mlflow
    import numpy as np
    import skops.io
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    matrix = np.random.default_rng(0).normal(size=(60, 3))
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix, matrix[:, 0] > 0)
    written = tmp_path / "written"
    written.mkdir()
    skops.io.dump(fitted, written / "model.skops")
    for name in ("schema.json", "smoke.json"):
        (written / name).write_text("{}")
    folder = package.package_model(written, tmp_path / "packaged", ["scikit-learn", "skops"], [])
    _, uri = tracking.log_run(client, model_name, tracking.Run("r", model=folder))
    fetched = mlflow.artifacts.download_artifacts(f"{uri}/model", tracking_uri=client.tracking_uri)
    assert (Path(fetched) / "model.skops").read_bytes() == (written / "model.skops").read_bytes()
    expected = fitted.predict(matrix)
    assert (mlflow.sklearn.load_model(fetched).predict(matrix) == expected).all()
    assert (mlflow.pyfunc.load_model(fetched).predict(matrix) == expected).all()


def test_the_package_is_the_same_each_time(bundle, tmp_path):
    one, two = (package.package_model(bundle, tmp_path / name, ["scikit-learn"], ["b", "a"]) for name in ("1", "2"))
    assert names(one) == [
        *("MLmodel", "conda.yaml", "model.skops", "python_env.yaml", "requirements.txt", "schema.json", "smoke.json")
    ]
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names(one))


def test_the_run_page_of_the_ui_can_be_drawn(mlflow_server):
    """The page asks over GraphQL, whose library an unlucky resolution once broke."""
    query = json.dumps({"operationName": "none", "query": "query none { __typename }", "variables": {}}).encode()
    request = urllib.request.Request(f"{mlflow_server}/graphql", query, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["data"] == {"__typename": "Query"}


def test_a_proxy_in_the_way_of_a_server_on_this_machine_is_the_hint(settings_for, monkeypatch):
    for name, value in {"HTTP_PROXY": "http://127.0.0.1:1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrackingError, match="cannot reach the tracking server") as caught:
        tracking.connect(settings_for(MLFLOW_TRACKING_URI="http://127.0.0.1:9"))
    assert caught.value.hint.endswith("NO_PROXY=127.0.0.1")
