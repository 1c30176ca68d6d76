"""Gauges made at each scrape from what the recorder last saw, so that every worker gives the same answer.

They have no series of versions that are gone: what the snapshot does not name, the answer does not.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lockstep.drift import results

MOST_FEATURES = 100  # Features with a series of their own, those that moved most first.
# The recorder counts as down when its last look is older than so many looks and seconds together.
OLD_S, OLD_LOOKS = 30, 3
MODEL = ["model", "version"]
# Every gauge: what it says, and its labels.
GAUGES: dict[str, tuple[str, list[str]]] = {
    "monitor_up": ("1 if the recorder looks at the prediction log as often as it should.", []),
    "monitor_snapshot_timestamp_seconds": ("When the recorder last looked, in seconds since 1970.", []),
    "prediction_log_up": ("1 if the database of the prediction log answers.", []),
    "prediction_log_lag_seconds": ("Age of the oldest prediction that waits for the database.", []),
    "prediction_log_spool_bytes": ("Bytes of predictions that wait on disk.", []),
    "prediction_log_spool_files": ("Files of predictions that wait on disk.", []),
    "prediction_log_rows": ("Predictions in the database.", []),
    "prediction_log_labels": ("Labels in the database.", []),
    "model_version_info": ("1 for each version in a role.", [*MODEL, "role", "git_commit"]),
    "model_promoted_timestamp_seconds": ("When a version got its role, in seconds since 1970.", [*MODEL, "role"]),
    "model_drift_alarm": ("1 if the last window of predictions differs from training.", MODEL),
    "model_drift_score_effect": ("Distance of the scores from those of the test rows, in the last window.", MODEL),
    "model_drift_effect": ("Distance of a feature from the train rows, in the last window.", [*MODEL, "feature"]),
    "model_drift_features": ("Features in alarm in the last window.", MODEL),
    "model_drift_window_timestamp_seconds": ("End of the last window, in seconds since 1970.", MODEL),
    "model_quality": ("Metric over labelled predictions, in the last window.", [*MODEL, "metric"]),
    "model_quality_low": ("Lower end of its 95 % interval.", [*MODEL, "metric"]),
    "model_quality_high": ("Upper end of its 95 % interval.", [*MODEL, "metric"]),
    "model_quality_expected": ("The same metric at the evaluation.", ["model", "metric"]),
    "model_quality_alarm": ("1 if it is worse than the evaluation by more than noise.", MODEL),
    "model_quality_labels": ("Labels in the last window of quality.", MODEL),
    "model_label_delay_seconds": ("Median time from a prediction to its label.", MODEL),
    "model_challenger_difference": ("Challenger minus Production on live labels; above 0 is better.", ["model"]),
    "model_challenger_difference_low": ("Lower end of its interval.", ["model"]),
    "model_challenger_difference_high": ("Upper end of its interval.", ["model"]),
    "model_alerts_open": ("Open alerts of the recorder.", ["model", "kind", "severity"]),
}
W = TypeVar("W", results.DriftWindow, results.QualityWindow)
Sample = tuple[str, tuple[str, ...], float]


class SnapshotGauges(Collector):
    """Reads the snapshot at each scrape."""

    def __init__(self, file: Path, look_s: float) -> None:
        self.file, self.look_s = file, look_s

    def describe(self) -> list[Metric]:
        """Return nothing: the registry need not know the names beforehand, nor read a file to learn them."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield each gauge that has a sample."""
        families: dict[str, GaugeMetricFamily] = {}
        for name, labels, value in samples(results.read(self.file), time.time(), self.look_s):
            if name not in families:
                families[name] = GaugeMetricFamily(name, GAUGES[name][0], labels=GAUGES[name][1])
            families[name].add_metric(labels, value)
        yield from families.values()


def samples(snapshot: results.Snapshot | None, now: float, look_s: float) -> Iterator[Sample]:
    """Yield name, values of the labels and value of all that a snapshot says, at a time in seconds since 1970."""
    if snapshot is None:
        yield "monitor_up", (), 0
        return
    yield "monitor_up", (), float(now - snapshot.at < OLD_S + OLD_LOOKS * look_s)
    yield "monitor_snapshot_timestamp_seconds", (), snapshot.at
    yield from _of_log(snapshot.log)
    for model in snapshot.models.values():
        yield from _of_versions(model)
        yield from _of_drift(model)
        yield from _of_quality(model)
        yield from _of_challenge(model.name, model.challenge)
    yield from _of_alerts(snapshot)


def _of_log(log: results.LogState) -> Iterator[Sample]:
    yield "prediction_log_up", (), float(log.reachable)
    yield "prediction_log_lag_seconds", (), log.lag_s
    yield "prediction_log_spool_bytes", (), log.spool_bytes
    yield "prediction_log_spool_files", (), log.spool_files
    yield "prediction_log_rows", (), log.stored
    yield "prediction_log_labels", (), log.labels


def _of_versions(model: results.ModelState) -> Iterator[Sample]:
    for role, info in (("production", model.production), ("challenger", model.challenger)):
        if info is not None:
            yield "model_version_info", (model.name, info.version, role, info.git_commit), 1
            if info.since is not None:
                yield "model_promoted_timestamp_seconds", (model.name, info.version, role), info.since


def _of_drift(model: results.ModelState) -> Iterator[Sample]:
    for window in _newest(model, model.drift):
        labels = (model.name, window.version)
        yield "model_drift_alarm", labels, float(window.verdict == "alarm")
        yield "model_drift_features", labels, sum(feature.alarm for feature in window.features)
        yield "model_drift_window_timestamp_seconds", labels, window.end
        if window.score and window.score.effect is not None:
            yield "model_drift_score_effect", labels, window.score.effect
        moved = [(feature.effect, feature.name) for feature in window.features if feature.effect is not None]
        for effect, name in sorted(moved, reverse=True)[:MOST_FEATURES]:
            yield "model_drift_effect", (*labels, name), effect


def _of_quality(model: results.ModelState) -> Iterator[Sample]:
    if model.quality is None:
        return
    metric = model.quality.metric
    if model.quality.evaluation:
        yield "model_quality_expected", (model.name, metric), model.quality.evaluation.value
    for window in _newest(model, model.quality.windows):
        labels = (model.name, window.version)
        yield "model_quality_alarm", labels, float(window.verdict == "alarm")
        yield "model_quality_labels", labels, window.labels
        yield from _interval("model_quality", (*labels, metric), window.metric)
        if window.delay_s is not None:
            yield "model_label_delay_seconds", labels, window.delay_s


def _of_challenge(name: str, challenge: results.Challenge | None) -> Iterator[Sample]:
    if challenge:
        yield from _interval("model_challenger_difference", (name,), challenge.difference)


def _of_alerts(snapshot: results.Snapshot) -> Iterator[Sample]:
    """Count every kind and severity, also at 0, so that a rule sees an alert end."""
    counts: dict[tuple[str, str, str], int] = {
        (model, kind, severity): 0
        for model, kinds in [("", ("log",)), *((name, ("drift", "quality", "refused")) for name in snapshot.models)]
        for kind in kinds
        for severity in ("warning", "page")
    }
    for alert in snapshot.alerts:
        if alert.closed is None:
            key: tuple[str, str, str] = (alert.model, alert.kind, alert.severity)
            counts[key] = counts.get(key, 0) + 1
    for labels, count in counts.items():
        yield "model_alerts_open", labels, count


def _interval(name: str, labels: tuple[str, ...], interval: results.Interval | None) -> Iterator[Sample]:
    if interval:
        yield name, labels, interval.value
        yield f"{name}_low", labels, interval.low
        yield f"{name}_high", labels, interval.high


def _newest(model: results.ModelState, windows: list[W]) -> Iterator[W]:
    """Yield the newest window that says something of each version in a role."""
    for version in {info.version for info in (model.production, model.challenger) if info}:
        decided = (window for window in windows if window.version == version and window.verdict != "not enough data")
        if (newest := next(decided, None)) is not None:
            yield newest
