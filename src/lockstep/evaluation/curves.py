"""Curves of a classifier: ROC, precision-recall, calibration, and scores by threshold."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.data.schema import Schema, label_name
from lockstep.evaluation import plot_data
from lockstep.metrics.evaluation_record import (
    CalibrationBin,
    CalibrationCurve,
    Confusion,
    Curve,
    Curves,
    ThresholdPoint,
)
from lockstep.metrics.intervals import wilson
from lockstep.metrics.scores import Floats, Scored

POINTS = 60
BINS = 10
MOST_LABELS = 12  # Of more labels, the most frequent ones are drawn.


def compute(scored: Scored, schema: Schema) -> Curves | None:
    """Return the points of each curve; None for regression."""
    if not schema.labels:
        return None
    return Curves(
        roc=roc(scored, schema),
        precision_recall=precision_recall(scored, schema),
        calibration=calibration(scored, schema),
        thresholds=thresholds(scored) if schema.task == "binary" else [],
    )


def roc(scored: Scored, schema: Schema) -> list[Curve]:
    """Return false positive rate and recall of each label, against the others, from the strictest threshold on."""
    return [
        Curve(name, [[0.0, 0.0], *_thinned(points, ["false_positive_rate", "recall"])])
        for name, points in _by_label(scored, schema)
    ]


def precision_recall(scored: Scored, schema: Schema) -> list[Curve]:
    """Return recall and precision of each label, against the others, from the strictest threshold on."""
    return [Curve(name, _thinned(points, ["recall", "precision"])) for name, points in _by_label(scored, schema)]


def _by_label(scored: Scored, schema: Schema) -> list[tuple[str, pd.DataFrame]]:
    counts = np.bincount(scored.truth.astype(np.int64), minlength=len(schema.labels))
    names = {label_name(schema.labels[code]) for code in np.argsort(-counts, kind="stable")[:MOST_LABELS]}
    points = plot_data.curves(scored, schema)
    return [(str(name), group) for name, group in points.groupby("label", sort=False) if name in names]


def _thinned(points: pd.DataFrame, columns: list[str]) -> list[list[float]]:
    rows = np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int))
    return points[columns].iloc[rows].to_numpy(np.float64).tolist()


def calibration(scored: Scored, schema: Schema) -> CalibrationCurve:
    """Return the reliability diagram: observed frequency by predicted probability, in bins of equally many rows.

    Of two labels, the probability of the positive one; of more, that of the answer given (Guo et al. 2017). Each bin
    has the mean probability, the share of rows for which it came true, and Wilson's 95 % interval of that share.
    """
    assert scored.probabilities is not None  # noqa: S101 - classes only
    if schema.task == "binary":
        said, came = scored.probabilities[:, scored.positive], scored.truth == scored.positive
        label = label_name(schema.labels[scored.positive])
    else:
        said, came = scored.probabilities.max(axis=1), scored.truth == scored.predicted
        label = "the answer given"
    return CalibrationCurve(label, bins(said, came))


def bins(said: Floats, came: NDArray[np.bool_]) -> list[CalibrationBin]:
    """Cut probabilities (n,) at their deciles and count what came true (n,); equal probabilities stay together."""
    edges = np.quantile(said, np.linspace(0, 1, BINS + 1))[1:-1]
    bin_of_row = np.searchsorted(edges, said)
    curve_bins = []
    for number in np.unique(bin_of_row):
        is_in_bin = bin_of_row == number
        rows, hits = int(is_in_bin.sum()), int(came[is_in_bin].sum())
        low, high = wilson(hits, rows)
        mean = round(float(said[is_in_bin].mean()), 6)
        curve_bins.append(CalibrationBin(mean, round(hits / rows, 6), round(low, 6), round(high, 6), rows))
    return curve_bins


def thresholds(scored: Scored) -> list[ThresholdPoint]:
    """Return precision, recall, F1, accuracy and the share of rows predicted as the positive label, by threshold."""
    assert scored.probabilities is not None  # noqa: S101 - classes only
    said, truth = scored.probabilities[:, scored.positive], scored.truth == scored.positive
    curve_points = []
    for threshold in np.linspace(0.02, 0.98, 49).round(2):
        predicted = said >= threshold
        hits, alarms, truths = int((predicted & truth).sum()), int(predicted.sum()), int(truth.sum())
        curve_points.append(
            ThresholdPoint(
                threshold=float(threshold),
                precision=round(hits / alarms, 6) if alarms else 1.0,
                recall=round(hits / truths, 6) if truths else 0.0,
                f1=round(2 * hits / (alarms + truths), 6) if alarms + truths else 0.0,
                accuracy=round(float((predicted == truth).mean()), 6),
                share=round(alarms / len(truth), 6),
            )
        )
    return curve_points


def confusion(scored: Scored, schema: Schema, most: int = 25) -> Confusion | None:
    """Return the counts truth x answer; of more labels than can be drawn, the most frequent, the rest as others."""
    if not schema.labels:
        return None
    table = scored.confusion(np.ones(scored.rows)).astype(int)
    names = [label_name(label) for label in schema.labels]
    if len(names) > most:
        frequent = np.sort(np.argsort(-table.sum(axis=1), kind="stable")[: most - 1])
        joining = np.zeros((most, len(names)), int)
        joining[np.arange(most - 1), frequent] = 1
        joining[most - 1] = 1 - joining[:-1].sum(axis=0)
        table = joining @ table @ joining.T
        names = [*(names[code] for code in frequent), "(other labels)"]
    return Confusion(names, table.tolist())
