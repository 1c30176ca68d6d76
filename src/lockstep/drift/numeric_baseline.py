"""Baseline distributions of numbers and categories, small enough for a model bundle."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lockstep.drift.results import Distribution

Floats = NDArray[np.float64]
MOST_POINTS = 500  # Order statistics that are kept: they place the baseline's distribution to within 1 / 500.
BINS = 20
MOST_LABELS = 12
OTHER = "other"


class NumericBaseline(msgspec.Struct, dict=True, frozen=True):
    """The distribution of `rows` numbers: how many stand up to each value, and below it unless all values are here."""

    rows: int
    values: list[float]
    upto: list[int]
    below: list[int] | None = None

    @classmethod
    def from_values(cls, values: Iterable[float]) -> "NumericBaseline":
        """Summarize finite numbers (n,): all distinct ones, or order statistics at even ranks."""
        ordered = np.sort(np.asarray(list(values), dtype=np.float64))
        points = np.unique(ordered)
        if len(points) > MOST_POINTS:
            points = np.unique(ordered[np.linspace(0, len(ordered) - 1, MOST_POINTS).round().astype(int)])
        below, upto = (np.searchsorted(ordered, points, side).tolist() for side in ("left", "right"))
        return cls(len(ordered), points.tolist(), upto, None if below == [0, *upto][:-1] else below)

    @cached_property
    def points(self) -> Floats:
        """The values (points,)."""
        return np.asarray(self.values, dtype=np.float64)

    @cached_property
    def shares(self) -> tuple[Floats, Floats]:
        """The shares of the rows below each point, and up to it."""
        size = max(1, self.rows)
        below = [0, *self.upto][:-1] if self.below is None else self.below
        return np.asarray(below) / size, np.asarray(self.upto) / size

    def up_to(self, edges: Floats) -> Floats:
        """Return the share of the rows up to each edge."""
        return np.concatenate([[0.0], self.shares[1]])[np.searchsorted(self.points, edges, "right")]

    def distributions(self, values: Floats) -> tuple[Distribution, Distribution]:
        """Return baseline and sample (n,) as shares of the same bins; what lies outside counts in the outer ones."""
        low, high = np.interp([0.005, 0.995], self.shares[1], self.points)
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
        inner = edges[1:-1]
        baseline = np.diff(self.up_to(inner), prepend=0, append=1)
        other = np.bincount(np.searchsorted(inner, values), minlength=BINS) / max(1, len(values))
        return _binned(baseline, edges), _binned(other, edges)


class CategoryBaseline(msgspec.Struct, frozen=True):
    """How often each category stood in `rows` rows."""

    rows: int
    counts: dict[str, int]

    @classmethod
    def from_values(cls, values: Iterable[str]) -> "CategoryBaseline":
        """Count categories, the most frequent first."""
        counts = Counter(values)
        return cls(counts.total(), dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))))

    def distributions(self, counts: Counter[str]) -> tuple[Distribution, Distribution]:
        """Return baseline and sample as shares of the same labels, the rarer ones together."""
        labels = list(self.counts)[:MOST_LABELS]
        rest = [name for name in (*self.counts, *counts) if name not in set(labels)]
        both = []
        for sample in (self.counts, counts):
            size = max(1, sum(sample.values()))
            shares = [sample.get(name, 0) / size for name in labels]
            both.append(Distribution([*shares, 1 - sum(shares)] if rest else shares, labels + [OTHER] * bool(rest)))
        return both[0], both[1]


def finite(column: Sequence[Any]) -> Floats:
    """Return the numbers among values, without what is missing."""
    array = np.asarray([np.nan if value is None else value for value in column], dtype=np.float64)
    return array[np.isfinite(array)]


def seconds(column: Sequence[Any]) -> Floats:
    """Return ISO 8601 dates as seconds since 1970 in UTC, without what is missing."""
    moments = [datetime.fromisoformat(value) for value in column if isinstance(value, str)]
    return np.asarray([moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() for moment in moments], dtype=np.float64)


def _binned(shares: Floats, edges: Floats) -> Distribution:
    return Distribution(shares.tolist(), edges=edges.tolist())
