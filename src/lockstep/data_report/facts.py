"""What there is to know about the rows before a model is made of them: the facts behind `reports/data.html`.

Distributions and relations are those of train rows alone; of the test rows nothing but their number is looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import Kind, Task
from lockstep.data_report import warnings as report_warnings
from lockstep.data_report.association import relation
from lockstep.metrics import leakage

SAMPLE_ROWS = 50_000
"""Of more train rows, every n-th is looked at, but for ranges and missing values, which are those of all."""

BINS = 20
MOST_LABELS = 8
MOST_PERIODS = 24
OTHER = "other"
DIGITS = 6
PERIODS = {"year": 4, "month": 7, "day": 10}
"""How many characters of an ISO 8601 date tell the period."""


@dataclass(frozen=True)
class Subject:
    """What the rows are about: target, task, the kind of each feature, and the type each column was read as."""

    target: str
    task: Task
    kinds: Mapping[str, Kind]
    types: Mapping[str, str]

    @classmethod
    def of(cls, record: Mapping[str, Any], raw: pd.DataFrame) -> "Subject":
        """Take it from what was recorded of the preprocessing, and from the rows as they were read."""
        types = {str(name): str(dtype) for name, dtype in raw.dtypes.items()}
        return cls(record["target"], record["task"], dict(record["kinds"]), types)


def describe(train: pd.DataFrame, subject: Subject, dropped: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the canonical train rows hold, column by column, and what a person should look at."""
    step = max(1, -(-len(train) // SAMPLE_ROWS))
    sample = train.iloc[::step]
    target = sample[subject.target]
    leaks = leakage.leaky_columns(train, subject.kinds, subject.target, subject.task)
    columns = []
    for name, kind in subject.kinds.items():
        one = {"name": name, "kind": kind, "type": subject.types.get(name, ""), **_range(train[name], kind)}
        numbers = as_numbers(sample[name], kind)
        found = relation(numbers if kind != "categorical" else sample[name], kind, target, subject.task)
        counts = sample[name].value_counts(sort=False)
        one["distinct"] = len(counts)
        one["most_frequent_share"] = _short(counts.max() / counts.sum()) if len(counts) else 0.0
        one["distribution"] = _distribution(sample[name], numbers, kind)
        one["relation"] = {"measure": found.measure, "value": _short(found.value)} if found else None
        one["strength"] = _short(found.strength) if found else 0.0
        one["tells_all"] = name in leaks
        one["in_order"] = kind == "numeric" and _in_order(sample[name])
        columns.append(one)
    about = _about_target(train[subject.target], subject.task)
    warnings = report_warnings.warnings(columns, about, dropped, len(sample), leaks)
    return {"columns": columns, "about_target": about, "sampled_rows": len(sample), "warnings": warnings}


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
        "least": _short(numbers.min()),
        "middle": _short(np.median(numbers)),
        "greatest": _short(numbers.max()),
    }


def _distribution(values: pd.Series, numbers: pd.Series, kind: Kind) -> dict[str, Any] | None:
    """Return shares of the present values over bins between edges, over categories, or over periods."""
    present = values.dropna()
    if present.empty:
        return None
    if kind == "categorical":
        return _of_labels(present)
    return _of_periods(present) if kind == "date" else _of_bins(numbers.dropna().to_numpy(dtype=np.float64))


def _of_bins(numbers: NDArray[np.float64]) -> dict[str, Any] | None:
    """Bin numbers (n,) between their outer half percents; what lies outside counts in the outer bins."""
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = np.bincount(np.searchsorted(edges[1:-1], finite, "right"), minlength=BINS)
    return {"edges": [_short(edge) for edge in edges], "shares": [_short(own / len(finite)) for own in counts]}


def _of_labels(present: pd.Series) -> dict[str, Any]:
    counts = present.value_counts()
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    shown = [(str(label), int(count)) for label, count in ordered[:MOST_LABELS]]
    rest = sum(int(count) for _, count in ordered[MOST_LABELS:])
    if rest:
        shown.append((f"{len(ordered) - MOST_LABELS} {OTHER}", rest))
    return {"labels": [label for label, _ in shown], "shares": [_short(count / len(present)) for _, count in shown]}


def _of_periods(present: pd.Series) -> dict[str, Any]:
    """Count dates by the shortest period of which there are few enough to read, in order of time."""
    for width in (PERIODS["day"], PERIODS["month"], PERIODS["year"]):
        periods = present.str[:width].value_counts().sort_index()
        if len(periods) <= MOST_PERIODS:
            break
    else:
        periods = (present.str[:3] + "0s").value_counts().sort_index()
    shares = [_short(count / len(present)) for count in periods]
    return {"labels": [str(period) for period in periods.index], "shares": shares}


def _about_target(target: pd.Series, task: Task) -> dict[str, Any]:
    """Return how the target is distributed: classes with their counts, or the bins and the range of numbers."""
    if task == "regression":
        numbers = target.to_numpy(dtype=np.float64)
        return {**_range(target, "numeric"), "distribution": _of_bins(numbers)}
    counts = target.value_counts()
    classes = sorted(((str(label), int(count)) for label, count in counts.items()), key=lambda pair: (-pair[1], pair))
    return {"rows": len(target), "classes": [{"label": label, "rows": count} for label, count in classes]}


def _in_order(values: pd.Series) -> bool:
    """Tell whether whole numbers only rise from row to row, as the numbers of rows do."""
    numbers = values.to_numpy(dtype=np.float64)
    return len(numbers) > 1 and bool((np.diff(numbers) > 0).all()) and bool((numbers % 1 == 0).all())


def _short(value: Any) -> float:
    """Keep the digits that every processor agrees on."""
    return float(f"{float(value):.{DIGITS}g}")
