"""Error analysis: slices of test rows with a higher loss than the rest, and the worst predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lockstep.data.schema import Schema, label_name
from lockstep.metrics import scores, slices
from lockstep.metrics.comparison import losses
from lockstep.metrics.evaluation_record import SliceLoss, WeakestSlices, WorstRow
from lockstep.metrics.intervals import wilson
from lockstep.metrics.scores import Floats, Scored, short

LEVEL = 0.95
MOST_SLICES = 40
MOST_COLUMNS = 12
LONGEST = 120


def weakest(frame: pd.DataFrame, scored: Scored, schema: Schema, metric: str) -> WeakestSlices:
    """Return the slices of test rows (n), those first that are most surely worse than the rest.

    `surely_worse` is the least by which a slice's loss exceeds that of the rest, at a confidence of 95 % for all slices
    together (Bonferroni), so that no slice stands on top because it is small.
    """
    parts = slices.cut(frame, schema)
    loss = losses(scored)
    slice_losses = [
        SliceLoss(
            column=part.column,
            name=part.name,
            metric=_metric(scored, part.rows, metric),
            **against_the_rest(loss[part.rows], loss[~part.rows], scored.probabilities is not None, len(parts)),
        )
        for part in parts
        if part.count < len(frame)
    ]
    slice_losses.sort(key=lambda part: (-part.surely_worse, part.column, part.name))
    measure = "share of wrong answers" if schema.labels else "mean absolute error"
    return WeakestSlices(measure, metric, len(slice_losses), slice_losses[:MOST_SLICES])


def against_the_rest(inside: Floats, outside: Floats, shares: bool, looks: int) -> dict[str, Any]:
    """Compare the losses of some rows with those of all others, each of any number."""
    means = float(inside.mean()), float(outside.mean())
    interval = _shares if shares else _means
    low, high, least, most = (*interval(inside, outside, LEVEL), *_alone(inside, shares))
    surely, _ = interval(inside, outside, 1 - 2 * (1 - LEVEL) / max(1, looks))
    return {
        "rows": len(inside),
        "loss": short(means[0]),
        "low": short(least),
        "high": short(most),
        "rest": short(means[1]),
        "difference": short(means[0] - means[1]),
        "difference_low": short(low),
        "difference_high": short(high),
        "surely_worse": short(surely),
    }


def _alone(values: Floats, shares: bool) -> tuple[float, float]:
    if shares:
        return wilson(round(values.sum()), len(values))
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return max(0.0, float(values.mean() - half)), float(values.mean() + half)


def _shares(inside: Floats, outside: Floats, level: float) -> tuple[float, float]:
    """Return the interval of the difference of two shares from their score intervals (Newcombe 1998, method 10)."""
    z = float(stats.norm.ppf((1 + level) / 2))
    sides = [(float(values.mean()), *wilson(round(values.sum()), len(values), z)) for values in (inside, outside)]
    (share, low, high), (other, least, most) = sides
    return (
        share - other - float(np.hypot(share - low, most - other)),
        share - other + float(np.hypot(high - share, other - least)),
    )


def _means(inside: Floats, outside: Floats, level: float) -> tuple[float, float]:
    """Return the interval of the difference of two means whose variances may differ (Welch 1947)."""
    spreads = [variance.var(ddof=1) / len(variance) if len(variance) > 1 else 0.0 for variance in (inside, outside)]
    total, difference = sum(spreads), float(inside.mean() - outside.mean())
    if not total:
        return difference, difference
    parts = sum(variance**2 / max(1, len(side) - 1) for variance, side in zip(spreads, (inside, outside), strict=True))
    half = float(stats.t.ppf((1 + level) / 2, total**2 / parts) * np.sqrt(total))
    return difference - half, difference + half


def _metric(scored: Scored, rows: NDArray[np.bool_], metric: str) -> float | None:
    value = scores.measure(metric, scored, rows.astype(np.float64))
    return short(value) if np.isfinite(value) else None


def worst(frame: pd.DataFrame, scored: Scored, schema: Schema, most: int, columns: Sequence[str]) -> list[WorstRow]:
    """Return the test rows (n) with the largest errors: of classes, those of which the truth was thought least likely.

    The values of the first `MOST_COLUMNS` columns are shown, long ones cut.
    """
    size = np.abs(scored.errors) if scored.probabilities is None else 1 - _likely(scored)
    wrong = losses(scored) > 0
    order = [row for row in np.argsort(-size, kind="stable") if wrong[row]][:most]
    return [
        WorstRow(
            row=int(row),
            values={name: _cut(frame[name].iloc[row]) for name in columns[:MOST_COLUMNS]},
            **_told(scored, schema, row),
        )
        for row in order
    ]


def _likely(scored: Scored) -> Floats:
    """Return the probability that each row's truth got (n,)."""
    assert scored.probabilities is not None  # noqa: S101 - classes only
    return scored.probabilities[np.arange(scored.rows), scored.truth.astype(np.int64)]


def _told(scored: Scored, schema: Schema, row: int) -> dict[str, Any]:
    if scored.probabilities is None:
        truth, answer = float(scored.truth[row]), float(scored.predicted[row])
        return {"truth": short(truth), "prediction": short(answer), "error": short(answer - truth)}
    truth, answer = int(scored.truth[row]), int(scored.predicted[row])
    return {
        "truth": label_name(schema.labels[truth]),
        "prediction": label_name(schema.labels[answer]),
        "probability": short(scored.probabilities[row, answer]),
        "probability_of_truth": short(scored.probabilities[row, truth]),
    }


def _cut(value: Any) -> Any:
    if value is None or value != value:
        return None
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
    return short(value)
