"""Feedback and the dashboard on a real server: labels reach the log whatever befalls its recorder."""

import contextlib
import json
import signal
import sqlite3
import time

import pytest

from lockstep.config.settings import Settings
from lockstep.prediction_log.database import Store as PredictionStore
from tests.flask_app.standins import make_bundle
from tests.lockstep.monitoring import log as monitored
from tests.lockstep.monitoring.test_monitor_many import fill
from tests.serving.load import ask
from tests.serving.real import Server, Store, copy_store, wait_for, words

pytestmark = pytest.mark.server
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def folder(request, tmp_path_factory, template_store):
    """A state with a model and many logged predictions: a million with --long."""
    many = 1_000_000 if request.config.getoption("long") else 6_000
    folder = tmp_path_factory.mktemp("dashboard")
    settings = Settings.read(
        {"MLFLOW_TRACKING_URI": copy_store(template_store, folder), "LOCKSTEP_STATE": str(folder / "state")}
    )
    bundle = make_bundle("binary", folder / "bundle")
    store = Store(settings, "demo")
    store.promote(store.register(bundle))
    filled = monitored.Log(folder / "filling", bundle)
    filled.store.close()
    filled.store = PredictionStore.from_settings(settings)
    fill(filled, many)
    filled.store.close()
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """A server over it."""
    uri = f"sqlite:///{folder / 'state' / 'mlflow.db'}"
    server = Server(folder, workers=2, MLFLOW_TRACKING_URI=uri, LOCKSTEP_MONITOR_S="1")
    try:
        yield server.holds(folder / "bundle").start()
    finally:
        server.kill()


@pytest.fixture(scope="module")
def row(folder):
    return json.loads((folder / "bundle" / "smoke.json").read_text())["rows"][0]


def recorder(server):
    return next(process for process in server.tree() if "lockstep.server.recorder" in words(process))


def answered(server, row):
    """Return the id of a fresh prediction."""
    return server.predict([row])[2]["predictions"][0]["id"]


def said(server, own, label, **options):
    status, _, told = ask(server.port, "POST", "/feedback", {"id": own, "label": label}, **options)
    return status, told.get("status")


def stored(folder, own):
    """Return the labels of a prediction in the database, oldest first."""
    with contextlib.closing(sqlite3.connect(folder / "state" / "lockstep.db")) as link:
        found = link.execute("SELECT label FROM labels WHERE prediction_id = ? ORDER BY at_us, seq", (own,))
        return [json.loads(label) for (label,) in found]


def test_a_label_counts_the_moment_after_its_prediction(server, folder, row):
    own = answered(server, row)
    assert said(server, own, "middle") == (200, "new")
    assert said(server, own, "middle") == (200, "unchanged")
    assert said(server, own, "<low>") == (200, "changed")
    wait_for(lambda: stored(folder, own) == ["middle", "<low>"], 5)
    assert said(server, "nobody", "middle")[0] == 404
    assert said(server, own, "medium")[0] == 422


def test_c20_feedback_waits_for_a_recorder_that_hangs(server, folder, row):
    own, process = answered(server, row), recorder(server)
    process.send_signal(signal.SIGSTOP)
    try:
        assert said(server, own, "middle", timeout_s=30) == (202, "waiting")
    finally:
        process.send_signal(signal.SIGCONT)
    wait_for(lambda: stored(folder, own) == ["middle"], 10)


def test_c18_feedback_outlives_the_recorder(server, folder, row):
    own = answered(server, row)
    recorder(server).kill()
    assert said(server, own, "middle", timeout_s=30)[0] in (200, 202)
    wait_for(lambda: stored(folder, own) == ["middle"], 20)


def test_the_dashboard_answers_fast_however_much_is_logged(server, folder, row):
    def measured():
        seen = json.loads((folder / "state" / "monitoring.json").read_text())
        return seen["models"].get("demo", {}).get("traffic") and seen

    seen, _ = wait_for(measured, 120)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        status, _, page = server.get("/dashboard?model=demo&span=3600", headers=PAGE)
        took.append(time.perf_counter() - began)
        assert (status, "version 1" in page) == (200, True), server.log.read_text()[-3000:]
    print(f"{seen['log']['stored']:,} predictions: the dashboard takes {max(took):.3f} s at most of {len(took)}")
    assert max(took) < 1
