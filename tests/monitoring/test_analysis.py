"""The analysis of a canary by Argo Rollouts: real PromQL over series of pods that are well and of pods that are not."""

import math
import re
import shutil
import subprocess

import pytest
import yaml

from tests.monitoring.analysis import CANARY, METRICS, STABLE, TEMPLATE, query, verdict
from tests.root import ROOT

ROLLOUT = yaml.safe_load((ROOT / "k8s/components/rollout/rollout.yaml").read_text())
PODS = {"canary": f"flask-app-{CANARY}-x2x4z", "stable": f"flask-app-{STABLE}-abcde"}


def requests(pod, status, a_minute, endpoint="/predict"):
    labels = f'job="lockstep", pod="{PODS[pod]}", endpoint="{endpoint}", status="{status}"'
    return {f"app_request_count_total{{{labels}}}": f"0+{a_minute}x20"}


def latencies(pod, under, over):
    labels = f'job="lockstep", pod="{PODS[pod]}", endpoint="/predict"'
    series = {"0.25": under, "0.5": under, "1.0": under + over, "+Inf": under + over}
    return {f'app_request_latency_seconds_bucket{{{labels}, le="{le}"}}': f"0+{n}x20" for le, n in series.items()}


def up(pod, loaded=True):
    series = {f'up{{job="lockstep", pod="{PODS[pod]}"}}': "1x20"}
    return series | (
        {f'model_loaded{{job="lockstep", pod="{PODS[pod]}", name="m", version="1"}}': "1x20"} if loaded else {}
    )


WELL = {**up("stable"), **up("canary"), **requests("stable", "200", 600), **requests("canary", "200", 200)}
WELL |= {**latencies("stable", 600, 0), **latencies("canary", 200, 0), **requests("stable", "422", 30)}
WELL |= requests("canary", "422", 10)
FAULTS = {
    "errors": requests("canary", "500", 5),
    "latency": latencies("canary", 190, 10),
    "refused": requests("canary", "422", 100),
    "model": up("canary", loaded=False) | {next(key for key in up("canary") if key.startswith("model")): "_x20"},
    "scraped": {f'up{{job="lockstep", pod="{PODS["canary"]}"}}': "0x20"},
}
"""One canary that is ill in each way, the stable pods as well as before."""

HARMLESS = {
    "errors": requests("stable", "500", 500),
    "latency": latencies("stable", 100, 500),
    "refused": requests("canary", "422", 10, "/feedback"),
    "model": up("stable", loaded=False) | {next(key for key in up("stable") if key.startswith("model")): "_x20"},
    "scraped": {f'up{{job="lockstep", pod="{PODS["stable"]}"}}': "0x20"},
}
"""The same of the stable pods, or of another route: not the canary's fault."""


def values(series, name, folder):
    """Return the values of a metric's query after 15 minutes of series, by promtool."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here: `apt-get install prometheus`")
    case = {"expr": query(name), "eval_time": "15m", "exp_samples": [{"labels": "none{}", "value": 0}]}
    given = [{"series": key, "values": value} for key, value in series.items()]
    test = {"tests": [{"interval": "1m", "input_series": given, "promql_expr_test": [case]}]}
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", folder / "test.yml"], capture_output=True, text=True)
    got = re.search(r"got:\s*\[?(.*)", done.stdout + done.stderr)
    assert got, done.stdout + done.stderr
    return [float(each) for each in re.findall(r"\{\} (\S+?)(?=[,\]\s]|$)", got[1])]


@pytest.mark.parametrize("name", FAULTS)
def test_an_ill_canary_fails_and_a_well_one_beside_ill_stable_pods_does_not(name, tmp_path):
    assert verdict(name, values(WELL, name, tmp_path)) == "success"
    assert verdict(name, values(WELL | HARMLESS[name], name, tmp_path)) == "success"
    found = values(WELL | FAULTS[name], name, tmp_path)
    assert verdict(name, found) == "failure", found


@pytest.mark.parametrize("name", [*FAULTS, "traffic"])
def test_a_canary_without_traffic_is_no_failure(name, tmp_path):
    idle = {**WELL, **requests("canary", "200", 0), **requests("canary", "422", 0), **latencies("canary", 0, 0)}
    for series in (idle, {key: value for key, value in idle.items() if PODS["canary"] not in key} | up("canary")):
        assert verdict(name, values(series, name, tmp_path)) == "success"


def test_too_little_traffic_pauses_where_the_template_says_so(tmp_path):
    found = values(WELL, "traffic", tmp_path)
    assert found == [pytest.approx(5 * 210)]
    assert verdict("traffic", found, **{"min-requests": "1000"}) == "success"
    assert verdict("traffic", found, **{"min-requests": "2000"}) == "inconclusive"


def test_every_metric_is_tried_and_no_result_is_silently_a_success():
    assert METRICS.keys() == {*FAULTS, "traffic"}
    for name in ("model", "scraped", "traffic"):
        assert "vector(0)" in query(name), "a result that is empty would be an error and not a measurement"
    assert verdict("errors", [math.nan]) == "success"
    assert verdict("errors", [0.011]) == "failure"


def test_the_rollout_runs_the_template_with_the_arguments_that_it_needs():
    analysis = ROLLOUT["spec"]["strategy"]["canary"]["analysis"]
    assert analysis["templates"] == [{"templateName": TEMPLATE["metadata"]["name"]}]
    given = {each["name"]: each["valueFrom"]["podTemplateHashValue"] for each in analysis["args"]}
    assert given == {"canary": "Latest", "stable": "Stable"}
    assert {each["name"] for each in TEMPLATE["spec"]["args"] if "value" not in each} == given.keys()
    used = set(re.findall(r"args\.([\w-]+)", (ROOT / "k8s/components/rollout/analysis.yaml").read_text()))
    assert used == {each["name"] for each in TEMPLATE["spec"]["args"]}
    assert f"name: {ROLLOUT['metadata']['name']}\n" in (ROOT / "k8s/base/app/deployment.yaml").read_text()


def test_a_step_lasts_longer_than_the_first_measurements_of_a_failure():
    """A pause that ends before the second failed measurement promotes an ill canary."""

    def minutes(text):
        return int(re.fullmatch(r"(\d+)m", text)[1])

    steps = ROLLOUT["spec"]["strategy"]["canary"]["steps"]
    first = next(minutes(step["pause"]["duration"]) for step in steps if "pause" in step)
    for metric in METRICS.values():
        if "failureLimit" in metric:
            assert first > minutes(metric["initialDelay"]) + metric["failureLimit"] * minutes(metric["interval"])
