"""A real Prometheus that scrapes the real app: every panel and every rule works on what comes."""

import itertools
import json
import math
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from lockstep.config.settings import Settings
from lockstep.monitoring.label_windows import shadow_id
from lockstep.prediction_log.database import PredictionFilter
from lockstep.prediction_log.database import Store as PredictionStore
from lockstep.prediction_log.records import Answer, Label
from tests.flask_app.standins import make_bundle
from tests.monitoring import analysis
from tests.serving.real import Server, Store, copy_store, free_port, wait_for

pytestmark = pytest.mark.server
FOLDER = Path(__file__).resolve().parents[2] / "monitoring"
ASKED, ROWS = 24, 50
PANELS = [
    panel
    for panel in json.loads((FOLDER / "grafana/dashboards/lockstep.json").read_text())["panels"]
    if panel["type"] != "row"
]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
RULES = [
    pytest.param(rule, id=rule.get("record") or rule["alert"])
    for name in ("recording", "alerts")
    for group in yaml.safe_load((FOLDER / f"rules/{name}.yml").read_text())["groups"]
    for rule in group["rules"]
]


class Prometheus:
    """One Prometheus, whose every scrape and rule comes each half second."""

    def __init__(self, folder, target):
        settings = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        settings["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        settings["scrape_configs"][0]["static_configs"] = [
            {"targets": [f"127.0.0.1:{target}"], "labels": {"pod": f"flask-app-{analysis.CANARY}-x2x4z"}}
        ]
        settings["rule_files"] = [str(FOLDER / "rules/*.yml")]
        del settings["alerting"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        self.port = free_port()
        self.log = (folder / "prometheus.log").open("wb")
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        command.append(f"--web.listen-address=127.0.0.1:{self.port}")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def ask(self, path, **given):
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(given)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            content = json.load(answer)
        assert content["status"] == "success"
        return content["data"]

    def query(self, expr):
        expr = expr.replace("$model", ".*").replace("$__rate_interval", "1m")
        return self.ask("query", query=expr)["result"]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, template_store):
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not here: `apt-get install prometheus`")
    folder = tmp_path_factory.mktemp("prometheus")
    server = served(folder, template_store)
    found = None
    try:
        server.holds(folder / "bundle", folder / "challenger").start()
        found = Prometheus(folder, server.port)
        play(server, folder, found)
        ready = "min_over_time(monitor_up[2s]) == 1 and on () model_challenger_difference and on () model_quality"
        wait_for(lambda: found.query(ready), 30)
        time.sleep(2)
        yield found
    finally:
        server.kill()
        if found:
            found.stop()


def served(folder, template_store):
    uri = copy_store(template_store, folder)
    store = Store(Settings.read({"MLFLOW_TRACKING_URI": uri, "LOCKSTEP_STATE": str(folder / "state")}), "demo")
    store.promote(store.register(make_bundle("binary", folder / "bundle")))
    challenger = store.register(make_bundle("binary", folder / "challenger", "decision_tree"))
    store.registry.set_alias("challenger", challenger)
    return Server(folder, MLFLOW_TRACKING_URI=uri, LOCKSTEP_MONITOR_S="1", LOCKSTEP_CACHE_ROWS="100")


def play(server, folder, prometheus):
    """Ask, wait until it is logged, and let labels and a shadow's answers come."""
    rows = json.loads((folder / "bundle/smoke.json").read_text())["rows"]
    asked = list(itertools.islice(itertools.cycle(rows), ROWS))
    server.predict(rows)
    assert server.predict([{**rows[0], next(iter(rows[0])): ["no value"]}])[0] == 422
    wait_for(lambda: prometheus.query("model_prediction_count_total and on () prediction_cache_total"), 20)
    for _ in range(ASKED):
        assert server.predict(asked)[0] == 200
    store = PredictionStore.open(f"sqlite:///{folder / 'state/lockstep.db'}")
    seen = PredictionFilter(variant="production", after=0, limit=10_000)
    logged, _ = wait_for(lambda: found if len(found := store.predictions(seen)) > ASKED * ROWS else None, 20)
    store.add(shadow(own) for own in logged)
    now = time.time_ns() // 1000
    store.add(Label(now, f"label {own.id}", own.id, own.value, "test") for own in logged)
    store.close()


def shadow(own):
    """Return what a challenger would have answered, which is the same."""
    given = ([shadow_id(own.id, "2")], [own.row], [own.value], [own.shares])
    return Answer(own.at_us, own.model, "2", "shadow", "", 900, *given)


@pytest.mark.parametrize("expr", QUERIES)
def test_every_panel_shows_something(prometheus, expr):
    found = prometheus.query(expr)
    assert found, expr
    assert any(not math.isnan(float(one["value"][1])) for one in found), expr


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_evaluated(prometheus, rule):
    name = rule.get("record") or rule["alert"]
    known = {own["name"]: own for group in prometheus.ask("rules")["groups"] for own in group["rules"]}
    assert (known[name]["health"], known[name].get("lastError", "")) == ("ok", "")
    if "record" in rule:
        assert prometheus.query(name), name


def test_what_the_rules_read_is_there(prometheus):
    """An alert that is quiet because its metric has another name would be found here."""
    names = set(prometheus.ask("label/__name__/values"))
    read = {word for rule in RULES for word in words(rule.values[0]["expr"])}
    assert {word for word in read if word.startswith(("app_", "model_", "monitor_", "prediction_"))} <= names


def test_drift_of_the_traffic_fires_and_a_healthy_server_fires_nothing_else(prometheus):
    firing = {one["metric"]["alertname"] for one in prometheus.query('ALERTS{alertstate="firing"}')}
    assert firing == {"LockstepDrift", "LockstepDriftStays"}


@pytest.mark.parametrize("name", analysis.METRICS)
def test_the_analysis_of_a_canary_measures_the_real_app(prometheus, name):
    expr = analysis.query(name).replace("[5m]", "[1m]")
    result = [float(one["value"][1]) for one in prometheus.query(expr)]
    assert analysis.verdict(name, result) == "success"
    assert result or name == "refused", "there are no stable pods to compare with"
    assert name != "traffic" or result[0] >= ASKED


def test_the_variable_of_the_dashboard_knows_the_model(prometheus):
    assert prometheus.ask("label/name/values", **{"match[]": "model_loaded"}) == ["demo"]


def words(expr):
    """Return what may be the name of a metric: words outside of quotes."""
    outside = " ".join(expr.split('"')[::2])
    return {word for word in re.split(r"[^\w:]+", outside) if "_" in word}
