"""The windows of predictions and of labels, taken one after the other as they fill."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lockstep.drift import detect, quality
from lockstep.drift.profile import Profile, Scalar
from lockstep.drift.results import DriftWindow, QualityWindow
from lockstep.monitoring.label_windows import ChallengerComparison, Labels
from lockstep.prediction_log import monitoring_queries
from lockstep.prediction_log.database import PredictionFilter, Store, Stored
from lockstep.prediction_log.monitoring_queries import LabelledRow, MonitoringWindow

SLOW_S = 3600.0  # A window of predictions that is not full by then is closed, if it has enough rows to say something.
HASHED_KINDS = ("categorical", "text")


@dataclass(frozen=True)
class WindowPosition:
    """What is measured against what: a version's predictions, logged so, against its profile."""

    model: str
    version: str
    profile: Profile
    log_rows: str = "plain"


def next_rows(model: str, version: str, after: int, profile: Profile) -> PredictionFilter:
    """Return which predictions the next window of Production covers."""
    return PredictionFilter(model, version, "production", after=after, limit=profile.thresholds.window_rows)


def measure_drift(store: Store, position: WindowPosition, at: float, budget_s: float) -> int:
    """Measure the windows that are full, the oldest first, for so long at most; return how many.

    A window that is not full is taken too once its first prediction is `SLOW_S` old.
    """
    end, done = time.monotonic() + budget_s, 0
    limits = position.profile.thresholds
    while time.monotonic() < end:
        row_filter = next_rows(
            position.model,
            position.version,
            monitoring_queries.end_of(store, position.model, position.version, "drift"),
            position.profile,
        )
        rows, first = monitoring_queries.waiting(store, row_filter)
        old = at - first > SLOW_S and rows >= limits.min_rows
        if rows < limits.window_rows and not old:
            break
        predictions = store.predictions(row_filter)
        result = drift_of(position, predictions)
        marks = (predictions[0].seq, predictions[-1].seq)
        monitoring_queries.keep_window(
            store, MonitoringWindow(position.model, position.version, "drift", *marks, result.start, result.end, result)
        )
        done += 1
    return done


def drift_of(position: WindowPosition, predictions: Sequence[Stored]) -> DriftWindow:
    """Hold predictions against the profile of their version; what was not logged, or only as a hash, is left out."""
    rows = [row for prediction in predictions if (row := prediction.row) is not None]
    columns: Mapping[str, Sequence[Scalar]] = position.profile.columns(rows) if rows else {}
    if position.log_rows == "hashed":
        hidden = {feature.name for feature in position.profile.features if feature.kind in HASHED_KINDS}
        columns = {name: values for name, values in columns.items() if name not in hidden}
    scores = np.asarray(
        [prediction.score for prediction in predictions if prediction.score is not None], dtype=np.float64
    )
    answers = None if position.profile.task == "regression" else [prediction.value for prediction in predictions]
    start, end = (
        min(prediction.at_us for prediction in predictions) / 1e6,
        max(prediction.at_us for prediction in predictions) / 1e6,
    )
    return detect.measure(position.profile, detect.RowWindow(position.version, start, end, columns, scores, answers))


def measure_labels(
    labels: Labels, profiles: Mapping[str, Callable[[str], Profile | None]], at: float, budget_s: float
) -> None:
    """Read the labels that came, for so long at most, and measure every window and comparison that they fill."""
    end = time.monotonic() + budget_s
    labels.take(labels.late())
    while (rows := labels.piece()) is not None:
        labels.take(rows)
        _close(labels, profiles, at)
        if time.monotonic() > end:
            break
    _close(labels, profiles, at)
    for model, duel in labels.duels.items():
        profile = profiles[model](duel.production.version) if model in profiles else None
        if profile:
            _compare(labels, model, duel, profile)


def _close(labels: Labels, profiles: Mapping[str, Callable[[str], Profile | None]], at: float) -> None:
    """Measure and keep the windows of quality that are full."""
    for model, version in list(labels.pending):
        profile = profiles[model](version) if model in profiles else None
        if profile is None:
            del labels.pending[model, version]
            continue
        limits = profile.thresholds
        while window := labels.full((model, version), limits.window_rows, limits.min_labels, at):
            result = measure_quality(profile, version, window)
            marks = (min(row.seq for row in window), max(row.seq for row in window))
            times = (min(row.labelled_us for row in window) / 1e6, max(row.labelled_us for row in window) / 1e6)
            monitoring_queries.keep_window(
                labels.open(), MonitoringWindow(model, version, "quality", *marks, *times, result)
            )
            labels.covered((model, version), window)


def _compare(labels: Labels, model: str, duel: ChallengerComparison, profile: Profile) -> None:
    if result := duel.measure(profile):
        marks, times = (labels.seq, labels.seq), (time.time(), time.time())
        version = duel.challenger.version
        monitoring_queries.keep_window(
            labels.open(), MonitoringWindow(model, version, "challenge", *marks, *times, result)
        )


def measure_quality(profile: Profile, version: str, window: Sequence[LabelledRow]) -> QualityWindow:
    """Measure the quality of labelled predictions of one version."""
    shares = None if any(row.shares is None for row in window) else [row.shares or [] for row in window]
    labelled = quality.LabelledPredictions(
        version,
        min(row.at_us for row in window) / 1e6,
        max(row.at_us for row in window) / 1e6,
        [row.value for row in window],
        shares,
        [row.label for row in window],
        [max(0.0, (row.labelled_us - row.at_us) / 1e6) for row in window],
    )
    return quality.measure(profile, labelled)
