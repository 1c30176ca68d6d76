"""Live quality: the metric over labelled predictions of a version, compared with that of its evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from lockstep.data.schema import label_name
from lockstep.drift.profile import Profile
from lockstep.drift.results import Interval, QualityWindow
from lockstep.metrics import intervals
from lockstep.metrics.scores import Scored

# Errors have a unit of their own, so that their margin is a share of what the evaluation found.
RELATIVE = ("rmse", "mae", "log_loss", "brier")


@dataclass(frozen=True)
class LabelledPredictions:
    """Labelled predictions of one version, n each: values, shares for classes, truths, delays in seconds."""

    version: str
    start: float
    end: float
    values: Sequence[Any]
    shares: Sequence[Sequence[float]] | None
    truths: Sequence[Any]
    delays_s: Sequence[float] = ()


def measure(profile: Profile, labelled: LabelledPredictions) -> QualityWindow:
    """Measure the evaluation's metric over labelled predictions, and compare it with the evaluation."""
    scored = to_scored(profile, labelled)
    delay = float(np.median(labelled.delays_s)) if len(labelled.delays_s) else None
    window = QualityWindow(
        labelled.version, labelled.start, labelled.end, scored.rows, "not enough data", delay_s=delay
    )
    if not scored.rows or (bounds := intervals.interval(profile.metric, scored)) is None:
        return window
    live = Interval(*bounds)
    window = msgspec.structs.replace(window, metric=live)
    if scored.rows < profile.thresholds.min_labels:
        return window
    return msgspec.structs.replace(window, verdict="alarm" if worse(profile, live) else "quiet")


def to_scored(profile: Profile, labelled: LabelledPredictions) -> Scored:
    """Return labelled predictions as codes and shares, or as values; labels that the version lacks are left out."""
    if profile.task == "regression" or labelled.shares is None:
        truths, values = (np.asarray(column, dtype=np.float64) for column in (labelled.truths, labelled.values))
        return Scored(truths, values)
    codes = {name: code for code, name in enumerate(profile.label_names())}
    rows = [index for index, truth in enumerate(labelled.truths) if label_name(truth) in codes]
    return Scored(
        np.asarray([codes[label_name(labelled.truths[row])] for row in rows], dtype=np.int64),
        np.asarray([codes[label_name(labelled.values[row])] for row in rows], dtype=np.int64),
        np.asarray([labelled.shares[row] for row in rows], dtype=np.float64).reshape(len(rows), len(codes)),
        profile.positive,
    )


def worse(profile: Profile, live: Interval) -> bool:
    """Tell whether live quality is below the evaluation's by more than the margin, beyond the noise of both.

    The interval of the difference comes from the two intervals (Zou and Donner 2008), so the evaluation's own
    uncertainty counts.
    """
    promised = profile.evaluation
    margin = profile.thresholds.quality_margin
    if profile.metric in RELATIVE:
        margin = profile.thresholds.error_margin * abs(promised.value)
    if profile.higher_is_better:
        loss, spread = promised.value - live.value, np.hypot(promised.value - promised.low, live.high - live.value)
    else:
        loss, spread = live.value - promised.value, np.hypot(promised.high - promised.value, live.value - live.low)
    return bool(loss - spread > margin)
