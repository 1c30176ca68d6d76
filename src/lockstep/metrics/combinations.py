"""Numeric columns that give the target together: votes for a class, sums, products and ratios."""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_ROWS = 50
# Share of rows, or of the variance, that columns together must give: combinations are many, so chance has more.
EXACT = 0.9999
# The same of logarithms, of which small numbers feel their rounding more; exponents must be complete numbers too.
EXACT_LOG = 0.999
# So many numeric columns are combined, and ten times as many choices of one column for each class are tried.
MAX_COMBINED = 100
MAX_TERMS = 6  # So many columns may give the target by one formula; parts of a total are few.
MAX_EXPONENT, NEAR = 3, 0.02
POSITIVE = 0.9  # Share of rows in which columns and target must be above 0 for a product or ratio.
MAX_CLASSES = 10  # Of more classes, nobody has a column of votes for each.


def votes(numeric: pd.DataFrame, codes: NDArray[np.int64], classes: int) -> list[str]:
    """Return columns, one for each class, of which the largest names the class, as counts of votes do."""
    filled = [str(name) for name in numeric if (numeric[name] >= 0).all()]
    if not classes <= min(MAX_CLASSES, len(filled)):
        return []
    values = {name: numeric[name].to_numpy() for name in filled}
    means = np.array([[values[name][codes == code].mean() for code in range(classes)] for name in filled])
    highest = means.argmax(axis=1)
    by_class = [[filled[at] for at in np.flatnonzero(highest == code)[:6]] for code in range(classes)]
    for choice in islice(product(*by_class), 10 * MAX_COMBINED):
        if (np.column_stack([values[name] for name in choice]).argmax(axis=1) == codes).mean() >= EXACT:
            return list(choice)
    return []


def sums(numeric: pd.DataFrame, parts: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each column that is the sum of several of the parts, with these."""
    others = {str(name): numeric[name].to_numpy() for name in numeric if name not in parts}
    for size in range(2, len(parts) + 1):
        for chosen in combinations(parts, size):
            total = numeric[list(chosen)].sum(axis=1).to_numpy()
            yield from ((name, chosen) for name, values in others.items() if np.array_equal(values, total))


def formula(numeric: pd.DataFrame, target: Floats) -> tuple[list[str], str]:
    """Return the columns (n, k) of which the target (n,) is the sum, the difference, the product or the ratio, and how.

    The terms of a sparse linear model are found by orthogonal matching pursuit (Pati et al. 1993), those of a product
    or ratio among logarithms. Rounding does not matter. Nothing is returned where there is no such formula.
    """
    complete = numeric.notna().all(axis=1).to_numpy() & np.isfinite(target)
    if complete.sum() < MIN_ROWS:
        return [], ""
    rows, values = numeric[complete], target[complete]
    terms = _pursuit(rows.to_numpy(), values, EXACT)
    if len(terms) > 1 and np.allclose(np.abs(list(terms.values())), 1, atol=NEAR):
        return _named(rows, terms), "add up to"
    positive = rows.loc[:, (rows > 0).mean() >= POSITIVE]
    inside = (positive > 0).all(axis=1).to_numpy() & (values > 0)
    if inside.mean() < POSITIVE or inside.sum() < MIN_ROWS or positive.shape[1] < 2:
        return [], ""
    terms = _pursuit(np.log(positive[inside].to_numpy()), np.log(values[inside]), EXACT_LOG)
    exponents = np.array(list(terms.values()))
    if len(terms) < 2 or np.abs(exponents - exponents.round()).max() > NEAR or np.abs(exponents).max() > MAX_EXPONENT:
        return [], ""
    return _named(positive, terms), "divided give" if exponents.min() < 0 else "multiplied give"


def _named(columns: pd.DataFrame, terms: dict[int, float]) -> list[str]:
    return [str(columns.columns[index]) for index in sorted(terms, key=lambda index: -terms[index])]


def _pursuit(table: Floats, target: Floats, least: float) -> dict[int, float]:
    """Return the terms, with their weights, that give a share of `least` of the target's variance; none if none do."""
    centred, wanted = table - table.mean(axis=0), target - target.mean()
    norms, total = np.linalg.norm(centred, axis=0), float(wanted @ wanted)
    left, chosen = wanted, list[int]()
    while total > 0 and len(chosen) < min(MAX_TERMS, table.shape[1]):
        gains: Any = np.abs(centred.T @ left) / np.where(norms > 0, norms, np.inf)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        weights, *_ = np.linalg.lstsq(centred[:, chosen], wanted, rcond=None)
        left = wanted - centred[:, chosen] @ weights
        if 1 - (left @ left) / total >= least:
            return dict(zip(chosen, weights.tolist(), strict=True))
    return {}
