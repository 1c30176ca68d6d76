"""Residuals of a regression: predicted against true values, histogram, and spread by predicted value."""

import numpy as np

from lockstep.metrics.evaluation_record import ErrorSpread, Histogram, Residuals
from lockstep.metrics.scores import Floats, Scored, short

POINTS = 400
BINS = 30
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
OUTER = (0.005, 0.995)


def compute(scored: Scored) -> Residuals | None:
    """Return what is drawn of the errors, predicted less true values in the target's unit; None for classes."""
    if scored.probabilities is not None:
        return None
    truth, predicted = scored.truth.astype(np.float64), scored.predicted.astype(np.float64)
    quantiles = zip(QUANTILES, np.quantile(scored.errors, QUANTILES), strict=True)
    return Residuals(
        points=points(truth, predicted),
        histogram=histogram(scored.errors),
        quantiles={f"{level:g}": short(value) for level, value in quantiles},
        by_predicted=by_predicted(predicted, scored.errors),
    )


def points(truth: Floats, predicted: Floats) -> list[list[float]]:
    """Return true and predicted values of at most `POINTS` rows, every n-th in the order of the predictions."""
    order = np.argsort(predicted, kind="stable")
    rows = order[np.unique(np.linspace(0, len(order) - 1, min(POINTS, len(order))).astype(int))]
    return [[short(truth[row]), short(predicted[row])] for row in rows]


def histogram(errors: Floats) -> Histogram:
    """Return edges and shares of rows of the errors (n,); the outermost bins also hold the few far beyond them."""
    low, high = np.quantile(errors, OUTER)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    counts, _ = np.histogram(np.clip(errors, low, high), edges)
    return Histogram([short(edge) for edge in edges], [round(float(share), 6) for share in counts / len(errors)])


def by_predicted(predicted: Floats, errors: Floats) -> list[ErrorSpread]:
    """Return the middle and the spread of the errors (n,) in each tenth of the rows by predicted value (n,)."""
    group_of_row = np.searchsorted(np.quantile(predicted, np.linspace(0, 1, 11))[1:-1], predicted)
    groups = []
    for number in np.unique(group_of_row):
        is_in_group = group_of_row == number
        low, middle, high = np.quantile(errors[is_in_group], [0.05, 0.5, 0.95])
        groups.append(
            ErrorSpread(
                least=short(predicted[is_in_group].min()),
                most=short(predicted[is_in_group].max()),
                rows=int(is_in_group.sum()),
                median=short(middle),
                low=short(low),
                high=short(high),
            )
        )
    return groups
