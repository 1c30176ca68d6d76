"""Expected contributions: the average part of a linear model's total by column, from the profile of the train rows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from lockstep.data.schema import Row, Schema
from lockstep.drift.numeric_baseline import Floats, NumericBaseline
from lockstep.drift.profile import Feature, Profile
from lockstep.scoring.contributions import column_totals
from lockstep.scoring.scorers import LinearScorer

Values = list[float | str | None]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def with_expected_contributions(scorer: LinearScorer, schema: Schema, profile: Profile) -> LinearScorer:
    """Return a linear scorer with the expected contribution of each column, texts left out.

    The average is over what the profile holds: all distinct values of a column with how often each stood, or 500 of
    its order statistics.
    """
    columns = [weighted_values(feature) for feature in profile.features]
    height = max((len(values) for values, _ in columns), default=0)
    weights_of_rows = np.zeros((height, len(columns)))
    filled: list[Values] = []
    for index, (values, weights) in enumerate(columns):
        weights_of_rows[: len(weights), index] = weights
        filled.append([*values, *[None] * (height - len(values))])
    rows: list[Row] = list(zip(*filled, strict=True))
    if not rows:
        return scorer
    added = column_totals(scorer, rows, len(schema.columns))
    return replace(scorer, expected=np.einsum("rc,rco->co", weights_of_rows, added))


def weighted_values(feature: Feature) -> tuple[Values, Floats]:
    """Return values of a column and the share of the train rows (values,) that each stands for; none of a text."""
    values: Values = []
    shares = np.zeros(0)
    if feature.categories:
        values = list(feature.categories.counts)
        shares = np.asarray(list(feature.categories.counts.values())) / max(1, feature.categories.rows)
    if feature.numbers:
        values = [_written(value, feature) for value in feature.numbers.values]
        shares = _shares(feature.numbers)
    if not values and feature.text:
        return values, shares
    missing = feature.missing / max(1, feature.rows)
    return [*values, None], np.append(shares * (1 - missing), missing)


def _written(value: float, feature: Feature) -> Any:
    return value if feature.kind == "numeric" else (EPOCH + timedelta(seconds=value)).isoformat()


def _shares(numbers: NumericBaseline) -> Floats:
    """Return the share of the rows at each point, and half of those on their way to the next ones."""
    below, upto = numbers.shares
    between = (below[1:] - upto[:-1]) / 2
    shares = upto - below
    shares[1:] += between
    shares[:-1] += between
    return shares
