"""Numbers that stand for a missing value: one value far from all others, in many rows."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from pandas.api import types

from lockstep.data import columnwise

LEAST_ROWS, LEAST_SHARE = 5, 0.002
# Further from the median than 99 % of the values by this factor, and no larger share of the rows.
FAR, FEW = 500, 0.001
# What people and machines write for a missing number.
TYPICAL = re.compile(r"-?(9{2,}|8{3,}|7{3,})|-[1-9]0{1,}|-1(\.0)?|-?9{2,}\.9+|1e\+?\d+|-?2147483648|-?32768|65535")


def find(frame: pd.DataFrame) -> dict[str, float]:
    """Return the sentinel of each column of numbers that has one."""
    numbers = {str(name): _filled(frame[name]) for name in frame.columns if _numeric(frame[name])}
    certain = {name: value for name, column in numbers.items() if (value := _sentinel(column, set())) is not None}
    shared = {value for value in certain.values() if list(certain.values()).count(value) > 1}
    again = {name: value for name, column in numbers.items() if (value := _sentinel(column, shared)) is not None}
    return again | certain


def _numeric(values: pd.Series) -> bool:
    return types.is_numeric_dtype(values) and not types.is_bool_dtype(values)


def _filled(values: pd.Series) -> pd.Series:
    return values.dropna().astype("float64")


def _sentinel(values: pd.Series, shared: set[float]) -> float | None:
    """Return the extreme value of a column that stands apart from the others; `shared` ones need less evidence."""
    if len(values) < 50:
        return None
    for end in (values.min(), values.max()):
        count = int((values == end).sum())
        rest = values[values != end]
        if count < max(LEAST_ROWS, LEAST_SHARE * len(values)) or rest.nunique() < 5 or end == 0:
            continue
        if not TYPICAL.fullmatch(f"{end:g}") and not TYPICAL.fullmatch(f"{end:.0f}"):
            continue
        if _apart(float(end), rest, shared):
            return float(end)
    return None


def _apart(end: float, rest: pd.Series, shared: set[float]) -> bool:
    low, high = np.quantile(rest, (0.01, 0.99))
    nearest = rest.min() if end < rest.min() else rest.max()
    gap, width = abs(end - nearest), max(high - low, 1e-12)
    if end in shared:
        return True
    if end < 0 <= rest.min():  # the one negative number
        return end <= -9 or (end == -1 and bool((rest % 1 == 0).all()) and rest.nunique() > 20)
    return bool(gap >= width)


def impossible(target: pd.Series) -> list[float]:
    """Return the few values of a target so far out that they alone would decide every squared error."""
    if not _numeric(target) or len(values := _filled(target)) < 50:
        return []
    low, middle, high = np.quantile(values, (0.01, 0.5, 0.99))
    far = values[(values - middle).abs() > FAR * max(high - middle, middle - low)]
    return sorted(set(far)) if high > low and len(far) <= max(2, FEW * len(values)) else []


def without(frame: pd.DataFrame, sentinels: Mapping[str, float]) -> pd.DataFrame:
    """Return the rows with sentinels missing."""
    values = {name: frame[name].where(frame[name] != value) for name, value in sentinels.items()}
    return columnwise.with_columns(frame, values)
