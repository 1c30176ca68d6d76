"""Columns that give the target away: no fair feature foretells every row."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from lockstep.config.params import Task

LEAST_ROWS, MOST_COLUMNS = 50, 100
EXACT = 0.9999
"""Share of rows, or correlation, from which on a column is taken for the target in other words."""


def find(frame: pd.DataFrame, columns: Sequence[str], target: str, task: Task) -> dict[str, str]:
    """Return each column that gives the target away, alone or with others, and how."""
    rows = frame[frame[target].notna()]
    if len(rows) < LEAST_ROWS:
        return {}
    if task == "regression":
        return _copies(rows, columns, target)
    codes = pd.factorize(rows[target])[0]
    alone = {name: how for name in columns if (how := _alone(rows[name], codes, target))}
    rest = [name for name in columns if name not in alone and _numeric(rows[name])]
    votes = _votes(rows, rest, codes)
    together = {name: f"the largest of {', '.join(votes)} is always {target}" for name in votes}
    return alone | together | _sums(rows, [name for name in rest if name not in votes], votes)


def _numeric(values: pd.Series) -> bool:
    return types.is_numeric_dtype(values) and not types.is_bool_dtype(values)


def _alone(values: pd.Series, codes: NDArray[np.int64], target: str) -> str:
    """Say how one column tells the class of every row; empty if it does not."""
    own, distinct = pd.factorize(values, use_na_sentinel=False)
    if len(distinct) < 2:
        return ""
    if len(distinct) <= max(2 * (codes.max() + 1), 20):
        table = pd.crosstab(own, codes).to_numpy()
        if table.max(axis=1).sum() >= EXACT * len(codes):
            return f"each of its {len(distinct)} values goes with one {target}"
        return ""
    if not _numeric(values) or values.isna().any():
        return ""
    order = np.argsort(values.to_numpy(), kind="stable")
    steps = int((np.diff(codes[order]) != 0).sum())
    return f"its size tells {target} in every row" if steps == codes.max() else ""


def _votes(rows: pd.DataFrame, columns: Sequence[str], codes: NDArray[np.int64]) -> list[str]:
    """Return the columns, one for each class, of which the largest names the class, as counts of votes do."""
    classes = int(codes.max()) + 1
    if not 2 <= classes <= 10:
        return []
    filled = [name for name in columns if rows[name].notna().all() and (rows[name] >= 0).all()]
    means = {name: pd.Series(rows[name].to_numpy(float)).groupby(codes).mean() for name in filled}
    by_class = [[name for name in filled if means[name].idxmax() == code] for code in range(classes)]
    if any(not names for names in by_class) or len(filled) > 200:
        return []
    for chosen in _choices([names[:6] for names in by_class]):
        if (rows[list(chosen)].to_numpy(float).argmax(axis=1) == codes).mean() >= EXACT:
            return list(chosen)
    return []


def _choices(by_class: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return every way to take one name of each list, at most a thousand."""
    chosen: list[tuple[str, ...]] = [()]
    for names in by_class:
        chosen = [(*before, name) for before in chosen for name in names][:1000]
    return chosen


def _sums(rows: pd.DataFrame, columns: Sequence[str], leaks: Sequence[str]) -> dict[str, str]:
    """Return columns that add up from leaking ones."""
    parts = [list(part) for size in range(2, len(leaks) + 1) for part in combinations(leaks, size)]
    return {
        name: f"it is the sum of {', '.join(part)}"
        for name in columns
        for part in parts
        if np.array_equal(rows[name].to_numpy(float), rows[part].sum(axis=1).to_numpy(float))
    }


def _copies(rows: pd.DataFrame, columns: Sequence[str], target: str) -> dict[str, str]:
    """Return numeric columns that are the target in another unit."""
    truth, found = rows[target].to_numpy(float), {}
    for name in columns:
        if not _numeric(rows[name]) or rows[name].notna().sum() < LEAST_ROWS:
            continue
        here = rows[name].notna().to_numpy()
        own = rows[name].to_numpy(float)[here]
        if own.std() > 0 and truth[here].std() > 0:
            correlation = float(np.corrcoef(own, truth[here])[0, 1])
            if abs(correlation) >= EXACT:
                found[name] = f"it goes with {target} like a copy (correlation {correlation:.5f})"
    return found | _parts(rows, [name for name in columns if name not in found and _numeric(rows[name])], target)


def _parts(rows: pd.DataFrame, columns: Sequence[str], target: str) -> dict[str, str]:
    """Return two columns that add up to the target in every row."""
    table = {name: rows[name].to_numpy(float) for name in columns[:MOST_COLUMNS]}
    truth = rows[target].to_numpy(float)
    for one, other in combinations(table, 2):
        added = table[one] + table[other]
        if np.allclose(added[:LEAST_ROWS], truth[:LEAST_ROWS]) and np.isclose(added, truth).mean() >= EXACT:
            return dict.fromkeys((one, other), f"{one} and {other} add up to {target}")
    return {}
