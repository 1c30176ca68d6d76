"""Promotion, refusal and rollback, with the app running, against each kind of tracking server."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from lockstep.config.settings import SETTINGS
from tests.lockstep import dagshub_like as fake
from tests.pipeline.project import copy_of

pytestmark = [pytest.mark.server, pytest.mark.pipeline]

OPENS_S, FOLLOWS_S = 60, 15
"""A version never seen here is opened first, which takes as long as it takes; one that was here is followed."""
GOOD = "C: [0.1, 1.0]"
OTHER = "C: [1.0]"
WORSE = "C: [0.0001]"


LONG = pytest.mark.long("trains and serves against one more server")


@pytest.fixture(params=["local", pytest.param("mlflow", marks=LONG), pytest.param("dagshub", marks=LONG)])
def project(request, finished, tmp_path):
    """The finished project, registered anew on a server of each kind; behind the last stands an `mlflow server`."""
    project = copy_of(finished, tmp_path / "a project")
    if request.param == "local":
        return project
    address = request.getfixturevalue("mlflow_server")
    if request.param == "dagshub":
        address, _ = request.getfixturevalue("dagshub_like")(*fake.ALIASES)
    project.settings["MLFLOW_TRACKING_URI"] = address
    project.edit("params.yaml", "model_name: breast-cancer", f"model_name: breast-cancer-{request.param}")
    project.script("register_model")
    return project


@contextlib.contextmanager
def running_app(project):
    """Run the production server, as `make serve` does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ("python", "-m", "lockstep", "serve", "--port", str(port), "--workers", "2")
    log = (project.root / "serve.log").open("wb")
    process = subprocess.Popen(
        command,
        cwd=project.root,
        env=project.environment | {"LOCKSTEP_DRAIN_S": "0"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError("the server did not stop on SIGTERM") from None
        log.close()


def ask(address, row):
    request = urllib.request.Request(
        f"{address}/predict", json.dumps({"rows": [row]}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


def wait_for_version(address, row, version, timeout_s, quiet_rounds=8):
    """Wait until answers, from whichever worker, all come from a version; return after how long."""
    started, seen = time.monotonic(), 0
    while time.monotonic() - started < timeout_s:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            seen = seen + 1 if ask(address, row)["model"]["version"] == version else 0
            if seen == quiet_rounds:
                return time.monotonic() - started
        time.sleep(0.1)
    raise AssertionError(f"version {version} does not answer within {timeout_s} s")


def test_worse_is_refused_and_rollback_reaches_the_running_app(project):
    row = json.loads(project.read("models/smoke.json"))["rows"][0]
    project.lockstep("promote")
    project.edit("params.yaml", GOOD, OTHER)
    project.stages("model_building")
    with running_app(project) as address:
        wait_for_version(address, row, "1", 60)
        project.lockstep("promote", "--reason", "another C")
        wait_for_version(address, row, "2", OPENS_S)

        project.edit("params.yaml", OTHER, WORSE)
        project.stages("model_building")
        refused = project.lockstep("promote", ok=False)
        assert refused.returncode == 1
        assert "accuracy is" in refused.stderr
        assert "against the champion on the same" in refused.stderr
        assert ask(address, row)["model"]["version"] == "2"

        project.lockstep("rollback", "--reason", "drill")
        wait_for_version(address, row, "1", FOLLOWS_S)
        answer = ask(address, row)["predictions"][0]
        assert {"prediction", "probabilities"} <= answer.keys()

    history = json.loads(project.lockstep("history", "--json").stdout)
    assert history["production"] == "1"
    assert [event["action"] for event in history["events"]] == ["rollback", "refused", "promote", "promote"]


def test_forced_promotion_needs_a_reason_and_is_shown(finished, tmp_path):
    project = copy_of(finished, tmp_path / "forced")
    project.edit("params.yaml", "floors: {accuracy: 0.93, roc_auc: 0.98}", "floors: {accuracy: 0.9999}")
    project.stages("model_evaluation")
    assert project.lockstep("promote", ok=False).returncode == 1
    assert "needs --reason" in project.lockstep("promote", "--force", ok=False).stderr
    project.lockstep("promote", "--force", "--reason", "a drill")
    newest = json.loads(project.lockstep("history", "--json").stdout)["events"][0]
    assert newest["forced"]
    assert newest["reason"].startswith("a drill (forced against: accuracy is")


def test_predict_scores_files_with_production(finished, tmp_path):
    import pandas as pd

    project = copy_of(finished, tmp_path / "batch")
    project.lockstep("promote")
    table = pd.read_parquet(project.root / "data/interim/test.parquet")
    table.to_csv(project.root / "in.csv", index=False)
    project.lockstep("predict", "in.csv", "out.csv")
    project.lockstep("predict", "data/interim/test.parquet", "out.parquet", "--version", "1")
    written = pd.read_csv(project.root / "reports/predictions.csv")
    for scored in (pd.read_csv(project.root / "out.csv"), pd.read_parquet(project.root / "out.parquet")):
        assert scored["prediction"].tolist() == written["prediction"].tolist()
        assert scored["probability_malignant"].tolist() == written["probability_malignant"].tolist()
        assert scored["mean radius"].tolist() == table["mean radius"].tolist()


def test_predict_scores_a_folder_and_goes_on_where_it_ended(finished, tmp_path):
    import pandas as pd

    project = copy_of(finished, tmp_path / "folder")
    project.lockstep("promote")
    table = pd.read_parquet(project.root / "data/interim/test.parquet")
    (project.root / "parts").mkdir()
    for name, rows in (("a", table[:50]), ("b", table[50:])):
        rows.to_parquet(project.root / f"parts/{name}.parquet")
    (project.root / "parts/c.csv").write_text("a,b\n1,2\n")
    first = project.lockstep("predict", "parts", "scored", ok=False)
    assert first.returncode == 1
    assert "c.csv: column 'area error' is missing\n  hint: " in first.stderr
    assert first.stdout.startswith(f"{len(table)} rows in 3 parts by breast-cancer version 1 -> ")
    (project.root / "parts/c.csv").unlink()
    table[:50].to_parquet(project.root / "parts/b.parquet")
    told = json.loads(project.lockstep("predict", "parts", "scored", "--json").stdout)["parts"]
    assert told == {"a.parquet": {"state": "kept", "rows": 50}, "b.parquet": {"state": "redone", "rows": 50}}
    written = pd.read_csv(project.root / "reports/predictions.csv")
    for name in told:
        scored = pd.read_parquet(project.root / "scored" / name)
        assert scored["prediction"].tolist() == written["prediction"][:50].tolist()


def test_predict_refuses_a_file_without_a_column_and_writes_nothing(finished, tmp_path):
    project = copy_of(finished, tmp_path / "refused")
    project.lockstep("promote")
    (project.root / "in.csv").write_text("a,b\n1,2\n")
    done = project.lockstep("predict", "in.csv", "out.csv", ok=False)
    assert done.returncode == 1
    assert "column 'mean radius' is missing" in done.stderr
    assert not [path for path in project.root.iterdir() if "out" in path.name]


LOST = {
    "while-logging": ("/api/2.0/mlflow/runs/log-batch", False),
    "while-sending-the-model": ("/api/2.0/mlflow-artifacts/", False),
    "while-registering": ("/api/2.0/mlflow/model-versions/create", False),
    "after-registering": ("/api/2.0/mlflow/model-versions/create", True),
}
"""At which call the server is lost, and whether it did what it was asked before its answer went astray."""


@pytest.fixture
def losing(mlflow_server):
    """A server like DagsHub's that hangs up on the calls in its list `lost`, done or not."""
    handler = fake.proxy(mlflow_server, *fake.ALIASES)

    class Losing(handler):
        lost, done = (), False

        def _pass_on(self):
            if not self.lost or not self.path.startswith(self.lost):
                return handler._pass_on(self)
            if type(self).done:
                self._answer = lambda *_: None
                handler._pass_on(self)
            self.close_connection = True
            return None

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    with fake.serving(Losing) as address:
        yield address, Losing


@pytest.mark.long("loses a server on the way")
@pytest.mark.parametrize("when", LOST)
def test_b51_a_server_lost_on_the_way_is_told_and_later_one_version_is_made(finished, tmp_path, losing, when):
    from mlflow import MlflowClient

    project, (address, server) = copy_of(finished, tmp_path / "lost"), losing
    name = f"lost-{when}"
    project.settings |= {"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    project.edit("params.yaml", "model_name: breast-cancer", f"model_name: {name}")
    (project.root / "models/registered.json").unlink()
    (server.lost, server.done) = LOST[when]
    refused = project.script("register_model", ok=False)
    assert refused.returncode == 1
    problem, hint = refused.stderr.splitlines()[-2:]
    assert problem.startswith("register_model: cannot ")
    assert hint.startswith("  hint: ")
    assert "Traceback" not in refused.stderr
    assert not (project.root / "models/registered.json").exists()

    server.lost = ()
    project.script("register_model")
    project.script("register_model")
    assert json.loads(project.read("models/registered.json"))["model"] == name
    found = MlflowClient(address).search_model_versions(f"name='{name}'")
    assert [str(one.version) for one in found] == ["1"]


def test_b51_a_server_that_is_down_is_told_and_nothing_is_written(finished, tmp_path):
    project = copy_of(finished, tmp_path / "down")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        project.settings["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        (project.root / "models/registered.json").unlink()
        done = project.script("register_model", ok=False)
    assert done.returncode == 1
    assert "cannot reach the tracking server" in done.stderr and "hint: is it running" in done.stderr
    assert not (project.root / "models/registered.json").exists()


@pytest.mark.long("registers once more")
def test_s25_no_secret_of_the_environment_gets_into_runs_models_or_dvc(finished, tmp_path):
    project = copy_of(finished, tmp_path / "secret")
    canaries = {name: f"canary-{name}-0123456789" for one in SETTINGS if one.secret for name in one.variables}
    project.settings |= canaries
    project.edit("params.yaml", "model_name: breast-cancer", "model_name: breast-cancer-secret")
    project.repro()
    project.lockstep("promote")
    files = [path for path in project.root.rglob("*") if path.is_file() and not path.is_symlink()]
    held = b" ".join(path.read_bytes() for path in files)
    assert b"breast-cancer-secret" in held
    assert [name for name, canary in canaries.items() if canary.encode() in held] == []
