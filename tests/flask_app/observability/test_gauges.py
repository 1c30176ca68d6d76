import time

import msgspec
import pytest

from flask_app.observability import gauges
from lockstep.drift.results import (
    Alert,
    Challenge,
    DriftWindow,
    FeatureDrift,
    Interval,
    LogState,
    ModelState,
    Quality,
    QualityWindow,
    Snapshot,
    VersionInfo,
)


def state(at):
    feature = FeatureDrift("size", "numeric", "KS", alarm=True, effect=0.4)
    drift = [
        DriftWindow("2", at, at, 20, "not enough data"),
        DriftWindow("2", 0, at, 500, "alarm", FeatureDrift("score", "score", "KS", False, effect=0.1), [feature]),
        DriftWindow("2", 0, 0, 500, "quiet"),
        DriftWindow("1", 0, 0, 500, "quiet"),
    ]
    quality = [QualityWindow("2", 0, at, 500, "quiet", Interval(0.9, 0.87, 0.93), 60.0)]
    model = ModelState("demo", "binary", production=VersionInfo("2", 5.0, git_commit="abc"), drift=drift)
    model.quality = Quality("accuracy", True, Interval(0.92, 0.9, 0.94), quality)
    model.challenge = Challenge("2", "3", 0, "accuracy", difference=Interval(0.01, -0.02, 0.04))
    alert = Alert(7, "drift", "demo", "2", "size", "page", "moved", at)
    return Snapshot(at, LogState(stored=900, spool_bytes=12, lag_s=3.5), {"demo": model}, [alert])


def told(seen, at):
    return {(name, *labels): value for name, labels, value in gauges.samples(seen, at, 10)}


def test_each_gauge_says_what_the_snapshot_says():
    found = told(state(1000.0), 1001.0)
    assert found["monitor_up",] == 1
    assert found["prediction_log_up",] == 1
    assert found["prediction_log_lag_seconds",] == 3.5
    assert found["model_version_info", "demo", "2", "production", "abc"] == 1
    assert found["model_drift_alarm", "demo", "2"] == 1
    assert found["model_drift_effect", "demo", "2", "size"] == 0.4
    assert found["model_drift_score_effect", "demo", "2"] == 0.1
    assert found["model_quality_low", "demo", "2", "accuracy"] == 0.87
    assert found["model_quality_expected", "demo", "accuracy"] == 0.92
    assert found["model_challenger_difference_high", "demo"] == 0.04
    assert found["model_alerts_open", "demo", "drift", "page"] == 1
    assert found["model_alerts_open", "demo", "quality", "page"] == 0
    assert not any("1" in key[1:] for key in found), "a version without a role has no series"
    assert {name for name, *_ in found} <= set(gauges.GAUGES)


def test_every_gauge_can_be_seen():
    assert {name for name, *_ in told(state(1000.0), 1001.0)} == set(gauges.GAUGES)


def test_a_recorder_that_stopped_is_down():
    assert told(state(1000.0), 1100.0)["monitor_up",] == 0
    assert told(None, 0) == {("monitor_up",): 0}


def test_features_are_bounded(monkeypatch):
    monkeypatch.setattr(gauges, "MOST_FEATURES", 1)
    seen = state(1000.0)
    seen.models["demo"].drift[1].features.append(FeatureDrift("far", "numeric", "KS", False, effect=0.9))
    found = [labels for name, labels, _ in gauges.samples(seen, 1001.0, 10) if name == "model_drift_effect"]
    assert found == [("demo", "2", "far")]


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"at": "now"}'])
def test_a_snapshot_that_cannot_be_read_breaks_no_scrape(app, client, settings, content, tmp_path):
    file = tmp_path / "state dir" / "monitoring.json"
    file.parent.mkdir(exist_ok=True)
    if content is not None:
        file.write_bytes(content)
    answer = client.get("/metrics")
    assert (answer.status_code, "\nmonitor_up 0.0\n" in answer.text) == (200, True)


def test_metrics_show_the_gauges(client, tmp_path):
    file = tmp_path / "state dir" / "monitoring.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(msgspec.json.encode(state(time.time())))
    assert 'model_drift_alarm{model="demo",version="2"} 1.0\n' in client.get("/metrics").text
