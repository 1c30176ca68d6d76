"""/metrics while workers die: no counter ever goes down, and none is lost."""

import contextlib
import http.client
import json
import os
import re
import signal
import threading

import psutil
import pytest

from lockstep.config.settings import Settings
from tests.flask_app.standins import make_bundle
from tests.serving.load import Load
from tests.serving.real import Server, Store, copy_store, wait_for

pytestmark = pytest.mark.server
PREDICTIONS = 4_000
COUNTERS = re.compile(r"(_total|_count|_sum|_bucket)(\{|$)")


@pytest.fixture(scope="module")
def served(tmp_path_factory, template_store):
    """A server of four workers, the rows to ask, and what is answered to them."""
    folder = tmp_path_factory.mktemp("metrics")
    uri = copy_store(template_store, folder)
    bundle = make_bundle("binary", folder / "bundle")
    store = Store(Settings.read({"MLFLOW_TRACKING_URI": uri, "LOCKSTEP_STATE": str(folder / "state")}), "demo")
    store.promote(store.register(bundle))
    rows = json.loads((bundle / "smoke.json").read_text())["rows"][:1]
    server = Server(folder, workers=4, MLFLOW_TRACKING_URI=uri, LOCKSTEP_MONITOR_S="1")
    try:
        yield server.holds(bundle).start(), rows, store.answers(rows)
    finally:
        server.kill()


def counters(server):
    lines = [line for line in server.get("/metrics")[2].splitlines() if not line.startswith("#")]
    pairs = (line.rsplit(" ", 1) for line in lines)
    return {name: float(value) for name, value in pairs if COUNTERS.search(name)}


def predicted(server):
    return sum(value for name, value in counters(server).items() if name.startswith("model_prediction_count_total"))


@contextlib.contextmanager
def scraping(server):
    """Scrape again and again, and note every series that went down or away."""
    ended, fell, scrapes = threading.Event(), [], []

    def run():
        before = {}
        while not ended.wait(0.02):
            try:
                now = counters(server)
            except (OSError, http.client.HTTPException):  # it was the killed worker's turn
                continue
            fell.extend((name, was, now.get(name)) for name, was in before.items() if now.get(name, -1) < was)
            before = now
            scrapes.append(len(now))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield fell, scrapes
    ended.set()
    thread.join(30)


def kill_one(server):
    """Kill a worker at once, and return when another stands in its place."""
    worker = server.workers()[0]
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: len(server.workers()) == 4 and not psutil.pid_exists(worker.pid), 20)


def asked(server, rows, expected, count, during=lambda: None):
    """Ask for so many predictions with something happening halfway; return how many were answered, and not."""
    with Load(server.port, rows, expected, clients=6, pause_s=0) as load:
        wait_for(lambda: len(load.seen) * len(rows) >= count // 2, 120)
        during()
        wait_for(lambda: len(load.seen) * len(rows) >= count, 120)
    failed = len(load.failed())
    return (len(load.seen) - failed) * len(rows), failed * len(rows)


@pytest.mark.long("scrapes a server under load")
def test_c28_scrapes_are_monotonic_and_the_sum_is_exact(served):
    server, rows, expected = served
    with scraping(server) as (fell, scrapes):
        answered, failed = asked(server, rows, expected, PREDICTIONS // 2, lambda: kill_one(server))
        base = predicted(server)
        assert answered <= base <= answered + failed, "what the killed worker was at may count or not"
        kill_one(server)
        answered, failed = asked(server, rows, expected, PREDICTIONS // 2)
        assert (predicted(server) - base, failed) == (answered, 0)
    assert fell == []
    assert len(scrapes) > 20


def gauges(server):
    names = ("model_version_info", "model_loaded", "model_drift", "model_quality", "prediction_log_up")
    return tuple(line for line in server.get("/metrics")[2].splitlines() if line.startswith(names))


def test_every_worker_gives_the_same_gauges(served):
    """They change with each look of the recorder, and between two looks they are alike, whoever is asked."""
    server, _, _ = served
    server.until(200)
    wait_for(lambda: "monitor_up 1.0" in server.get("/metrics")[2], 20)
    wait_for(lambda: len({gauges(server) for _ in range(12)}) == 1, 20)
    assert any(line.startswith('model_version_info{git_commit=""') for line in gauges(server))
