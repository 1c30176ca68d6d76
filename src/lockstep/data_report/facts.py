"""Exploratory description of the train rows, column by column, for `reports/data.json`.

Of the test rows only the number is used.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import Kind, Task
from lockstep.data.record import DataRecord
from lockstep.data_report import warnings
from lockstep.data_report.association import Relation, relation
from lockstep.data_report.record import ClassCount, ColumnFacts, DataReport, TargetFacts
from lockstep.drift.results import Distribution
from lockstep.metrics import leakage
from lockstep.metrics.scores import short

# Of more train rows, every n-th is described; ranges, missing values and leakage are those of all.
SAMPLE_ROWS = 50_000
BINS = 20
MOST_LABELS = 8
MOST_PERIODS = 24
OTHER = "other"
PERIODS = {"year": 4, "month": 7, "day": 10}  # How many characters of an ISO 8601 date name the period.


def describe(train: pd.DataFrame, record: DataRecord, types: Mapping[str, str]) -> DataReport:
    """Return the record with a description of the canonical train rows; `types` are those of the raw columns."""
    step = max(1, -(-len(train) // SAMPLE_ROWS))
    sample = train.iloc[::step]
    columns = [
        ColumnFacts(
            name=name,
            kind=kind,
            type=types.get(name, ""),
            **_range(train[name], kind),
            **_sampled(sample[name], kind, sample[record.target], record.task),
        )
        for name, kind in record.kinds
    ]
    target_facts = _describe_target(train[record.target], record.task)
    verdict = leakage.verdict(train, dict(record.kinds), record.target, record.task)
    return DataReport(
        **{name: getattr(record, name) for name in record.__struct_fields__},
        columns=columns,
        about_target=target_facts,
        sampled_rows=len(sample),
        leaks=verdict.leaks,
        warnings=warnings.warnings(columns, target_facts, record.dropped, verdict, len(sample)),
    )


def _sampled(values: pd.Series, kind: Kind, target: pd.Series, task: Task) -> dict[str, Any]:
    """Return what is measured on a sample (n,) of one column: distinct values, distribution, and relation."""
    numbers = as_numbers(values, kind)
    measured = relation(values if kind == "categorical" else numbers, kind, target, task)
    counts = values.value_counts(sort=False)
    return {
        "distinct": len(counts),
        "most_frequent_share": short(counts.max() / counts.sum()) if len(counts) else 0.0,
        "distribution": _distribution(values, numbers, kind),
        "relation": Relation(measured.measure, short(measured.value)) if measured else None,
        "strength": short(measured.strength) if measured else 0.0,
        "in_order": kind == "numeric" and _in_order(values),
    }


def as_numbers(values: pd.Series, kind: Kind) -> pd.Series:
    """Return numbers as they are, dates as days since 1970, texts as their length; categories as nothing."""
    if kind == "date":
        moments = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
        return (moments - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    if kind == "text":
        return values.str.len().astype(np.float64)
    return values if kind == "numeric" else pd.Series(np.nan, index=values.index)


def _range(values: pd.Series, kind: Kind) -> dict[str, Any]:
    """Return how many values are missing, and the least, the middle and the greatest of numbers, dates and lengths."""
    present = values.dropna()
    facts: dict[str, Any] = {"missing": len(values) - len(present), "rows": len(values)}
    if present.empty or kind == "categorical":
        return facts
    if kind == "date":
        return facts | {"least": str(present.min()), "greatest": str(present.max())}
    numbers = present.to_numpy() if kind == "numeric" else present.str.len().to_numpy(dtype=np.float64)
    return facts | {
        "least": short(numbers.min()),
        "middle": short(np.median(numbers)),
        "greatest": short(numbers.max()),
    }


def _distribution(values: pd.Series, numbers: pd.Series, kind: Kind) -> Distribution | None:
    """Return shares of the present values over bins between edges, over categories, or over periods."""
    present = values.dropna()
    if present.empty:
        return None
    if kind == "categorical":
        return _label_shares(present)
    return _period_shares(present) if kind == "date" else _bin_shares(numbers.dropna().to_numpy(dtype=np.float64))


def _bin_shares(numbers: NDArray[np.float64]) -> Distribution | None:
    """Bin numbers (n,) between their outer half percents; what lies outside counts in the outer bins."""
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], finite, "right"), minlength=BINS)
    return Distribution([short(count / len(finite)) for count in counts], edges=[short(edge) for edge in edges])


def _label_shares(present: pd.Series) -> Distribution:
    """Count the most frequent categories, and all others as one."""
    counts = present.value_counts()
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    shown = [(str(label), int(count)) for label, count in ordered[:MOST_LABELS]]
    rest = sum(int(count) for _, count in ordered[MOST_LABELS:])
    if rest:
        shown.append((f"{len(ordered) - MOST_LABELS} {OTHER}", rest))
    return Distribution([short(count / len(present)) for _, count in shown], labels=[label for label, _ in shown])


def _period_shares(present: pd.Series) -> Distribution:
    """Count dates by the shortest period of which there are few enough to read, in order of time."""
    for width in (PERIODS["day"], PERIODS["month"], PERIODS["year"]):
        periods = present.str[:width].value_counts().sort_index()
        if len(periods) <= MOST_PERIODS:
            break
    else:
        periods = (present.str[:3] + "0s").value_counts().sort_index()
    shares = [short(count / len(present)) for count in periods]
    return Distribution(shares, labels=[str(period) for period in periods.index])


def _describe_target(target: pd.Series, task: Task) -> TargetFacts:
    """Return how the target is distributed: classes with their counts, or the bins and the range of numbers."""
    if task == "regression":
        return TargetFacts(**_range(target, "numeric"), distribution=_bin_shares(target.to_numpy(dtype=np.float64)))
    counts = [(str(label), int(count)) for label, count in target.value_counts().items()]
    ordered = sorted(counts, key=lambda pair: (-pair[1], pair))
    return TargetFacts(rows=len(target), classes=[ClassCount(label, rows) for label, rows in ordered])


def _in_order(values: pd.Series) -> bool:
    """Return whether whole numbers only rise from row to row, as the numbers of rows do."""
    numbers = values.to_numpy(dtype=np.float64)
    return len(numbers) > 1 and bool((np.diff(numbers) > 0).all()) and bool((numbers % 1 == 0).all())
