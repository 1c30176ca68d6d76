"""Confidence intervals of metrics: Wilson's score interval of a share, the percentile bootstrap of the others."""

import numpy as np

from lockstep.metrics import scores
from lockstep.metrics.scores import Scored

RESAMPLES = 500
SEED = 0
Z = 1.959963984540054  # The 97.5 % point of the normal distribution: 95 % lie between -Z and Z.


def interval(metric: str, scored: Scored) -> tuple[float, float, float] | None:
    """Return a metric with the bounds of its 95 % interval: Wilson's for accuracy, else the bootstrap's.

    None if the metric has no value on these rows.
    """
    value = scores.measure(metric, scored)
    if not np.isfinite(value):
        return None
    if metric == "accuracy":
        return value, *wilson(round(value * scored.rows), scored.rows)
    bounds = scores.intervals(scored, [metric], RESAMPLES, SEED)[metric]
    return value, bounds.low, bounds.high


def wilson(right: int, rows: int, z: float = Z) -> tuple[float, float]:
    """Return the score interval of a share (Wilson 1927), by default of 95 %."""
    share, weight = right / rows, z * z / rows
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * float(np.sqrt(share * (1 - share) / rows + weight / (4 * rows)))
    return max(0.0, middle - half), min(1.0, middle + half)
