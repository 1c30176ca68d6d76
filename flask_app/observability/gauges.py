"""Gauges made at each scrape from what the recorder last saw, so that every worker gives the same answer.

They have no series of versions that are gone: what the snapshot does not name, the answer does not.
"""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lockstep.drift import results

MOST_FEATURES = 100  # Features with a series of their own, those that moved most first.
# The recorder counts as down when its last look is older than so many looks and seconds together.
OLD_S, OLD_LOOKS = 30, 3
GAUGES: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
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
                families[name] = GaugeMetricFamily(name, GAUGES[name]["about"], labels=GAUGES[name]["labels"])
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
