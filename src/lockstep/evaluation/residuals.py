"""How far a regression is off, and where: predicted against true values, and the errors by size of the answer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockstep.metrics.evaluation_record import ErrorSpread, Histogram, Residuals
from lockstep.metrics.scores import Scored

Floats = NDArray[np.float64]
POINTS = 400
BINS = 30
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
OUTER = (0.005, 0.995)


def of(scored: Scored) -> Residuals | None:
    """Return what is drawn of the errors, predicted less true values in the target's unit; None for classes."""
    if scored.probabilities is not None:
        return None
    truth, told = scored.truth.astype(np.float64), scored.predicted.astype(np.float64)
    quantiles = zip(QUANTILES, np.quantile(scored.errors, QUANTILES), strict=True)
    return Residuals(
        points=points(truth, told),
        histogram=histogram(scored.errors),
        quantiles={f"{level:g}": short(value) for level, value in quantiles},
        by_predicted=by_predicted(told, scored.errors),
    )


def points(truth: Floats, told: Floats) -> list[list[float]]:
    """Return true and predicted values of at most `POINTS` rows, every n-th in the order of the predictions."""
    order = np.argsort(told, kind="stable")
    kept = order[np.unique(np.linspace(0, len(order) - 1, min(POINTS, len(order))).astype(int))]
    return [[short(truth[place]), short(told[place])] for place in kept]


def histogram(errors: Floats) -> Histogram:
    """Return edges and shares of rows of the errors (n,); the outermost bins also hold the few far beyond them."""
    low, high = np.quantile(errors, OUTER)
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    counts, _ = np.histogram(np.clip(errors, low, high), edges)
    return Histogram([short(edge) for edge in edges], [round(float(share), 6) for share in counts / len(errors)])


def by_predicted(told: Floats, errors: Floats) -> list[ErrorSpread]:
    """Return the middle and the spread of the errors (n,) in each tenth of the rows by predicted value (n,)."""
    place = np.searchsorted(np.quantile(told, np.linspace(0, 1, 11))[1:-1], told)
    found = []
    for one in np.unique(place):
        own = place == one
        low, middle, high = np.quantile(errors[own], [0.05, 0.5, 0.95])
        found.append(
            ErrorSpread(
                least=short(told[own].min()),
                most=short(told[own].max()),
                rows=int(own.sum()),
                median=short(middle),
                low=short(low),
                high=short(high),
            )
        )
    return found


def short(value: Any) -> float:
    """Return a number with the six digits that matter most."""
    return float(f"{float(value):.6g}")
