"""Two-sample tests of a window against a baseline of finite size, and the correction for many of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lockstep.drift.numeric_baseline import Floats, NumericBaseline

LEAST_EXPECTED = 5.0  # A cell that expects fewer makes the chi-square approximation unsafe (Cochran 1954).
WORTH = 0.05


def kolmogorov_smirnov(baseline: NumericBaseline, values: Floats) -> tuple[float, float]:
    """Return the greatest distance between two distribution functions, and its two-sided p.

    The baseline counts as the sample it is: the effective size is ``n m / (n + m)`` (Smirnov 1939), rounded as
    `scipy.stats.ks_2samp` does. Where the baseline keeps only order statistics, the distance is taken at those.
    """
    from scipy.stats import kstwo

    ordered = np.sort(values)
    below, upto = (np.searchsorted(ordered, baseline.points, side) / len(ordered) for side in ("left", "right"))
    distance = max(np.abs(baseline.shares[0] - below).max(), np.abs(baseline.shares[1] - upto).max())
    effective = len(ordered) * baseline.rows / (len(ordered) + baseline.rows)
    return float(distance), float(np.clip(kstwo.sf(distance, round(effective)), 0, 1))


def chi_square(baseline: NDArray[np.int64], window: NDArray[np.int64]) -> tuple[float, float, float] | None:
    """Return the chi-square statistic of two rows of counts (levels,), its p, and Cramer's V.

    Levels that expect fewer than 5 in either row are pooled, rarest first; None where fewer than two are left.
    """
    from scipy.stats import chi2

    table = _pooled(np.stack([baseline, window]).astype(np.float64))
    if table.shape[1] < 2:
        return None
    total = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(chi2.sf(statistic, table.shape[1] - 1)), float(np.sqrt(statistic / total))


def _pooled(table: Floats) -> Floats:
    """Join the rarest levels of a table (2, levels) until each expects at least 5 in both rows."""
    table = table[:, table.sum(axis=0) > 0]
    table = table[:, np.argsort(-table.sum(axis=0), kind="stable")]
    least = LEAST_EXPECTED * table.sum() / max(1.0, table.sum(axis=1).min())
    while table.shape[1] > 1 and table[:, -1].sum() < least:
        joined = table[:, -2:].sum(axis=1, keepdims=True)
        table = np.hstack([table[:, :-2], joined])
        table = table[:, np.argsort(-table.sum(axis=0), kind="stable")]
    return table


def terms(held: NDArray[np.int64], rows: int, held_now: NDArray[np.int64], texts: int) -> tuple[Floats, Floats]:
    """Return p and Cohen's h of each term (terms,): in `held` of `rows` train texts, and in `held_now` of `texts` now.

    The p is Fisher's (1935), twice the lesser tail; the normal approximation only tells for which terms that is worth
    computing, since far out it promises too much. h is ``2 asin sqrt(now) - 2 asin sqrt(then)`` (Cohen 1988).
    """
    from scipy.stats import hypergeom, norm

    then, now, pooled = held / rows, held_now / texts, (held + held_now) / (rows + texts)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / texts))
    z = np.divide(now - then, spread, out=np.zeros_like(spread), where=spread > 0)
    ps = 2 * norm.sf(np.abs(z))
    worth = ps < WORTH
    if worth.any():
        drawn = rows + texts, (held + held_now)[worth], texts
        tails = hypergeom.sf(held_now[worth] - 1, *drawn), hypergeom.cdf(held_now[worth], *drawn)
        ps[worth] = np.minimum(1.0, 2 * np.minimum(*tails))
    return ps, 2 * np.arcsin(np.sqrt(now)) - 2 * np.arcsin(np.sqrt(then))


def more_missing(missing: int, rows: int, missing_now: int, rows_now: int) -> float:
    """Return p of Fisher's exact test (1935) for another share of missing values than in training."""
    from scipy.stats import fisher_exact

    table = [[missing, rows - missing], [missing_now, rows_now - missing_now]]
    return float(fisher_exact(table).pvalue)


def outside(count: int, rows_now: int, rows: int) -> float:
    """Return the chance of `count` or more of `rows_now` new rows outside the range of `rows` train rows.

    The share of rows outside is Beta(2, rows - 1), whatever the distribution (Wilks 1941), so the count is
    beta-binomial.
    """
    from scipy.stats import betabinom

    return float(betabinom.sf(count - 1, rows_now, 2, max(1, rows - 1))) if count else 1.0


def more_rare(count: int, rows_now: int, before: int, rows: int) -> float:
    """Return the chance of `count` or more rows of something that `before` of `rows` train rows were.

    The share is Beta(before + 1, rows - before), the upper limit of Clopper and Pearson (1934), so that the chance is
    never too small. For categories that training had not, `before` is how many it had once (Good 1953).
    """
    from scipy.stats import betabinom

    return float(betabinom.sf(count - 1, rows_now, before + 1, max(1, rows - before))) if count else 1.0


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Return each p after the correction for the false discovery rate (Benjamini and Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    return false_discovery_control(ps).tolist() if len(ps) else []
