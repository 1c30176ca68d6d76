"""Association of one column with the target: one measure by name, and its value."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import Kind, Task

BINS = 32  # Numbers are cut into so many bins of equal count before they are compared with classes.
MIN_ROWS = 3  # With fewer rows that have a value there is no association to measure.
AUC = "AUC"
INFORMATION = "share of information"
SPEARMAN = "Spearman correlation"
RATIO = "correlation ratio"


class Relation(msgspec.Struct, frozen=True):
    """A measure by name and its value; `AUC` from 0 to 1 with 0.5 for none, the correlation from -1, others from 0."""

    measure: str
    value: float

    @property
    def strength(self) -> float:
        """From 0 for none to 1 for all, whatever the direction."""
        return abs(2 * self.value - 1) if self.measure == AUC else abs(self.value)


def relation(values: pd.Series, kind: Kind, target: pd.Series, task: Task) -> Relation | None:
    """Measure numbers or categories (n,) against the target (n,) in rows with a value; None for too few.

    Dates and texts come as numbers: moments and lengths.
    """
    present = values.notna().to_numpy()
    values, target = values[present], target[present]
    if len(values) < MIN_ROWS or _constant(values) or _constant(target):
        return None
    if task == "regression":
        return _with_numbers(values, kind, target.to_numpy(dtype=np.float64))
    labels, _ = pd.factorize(target, sort=True)
    if kind != "categorical" and task == "binary":
        return Relation(AUC, auc(values.rank().to_numpy(), labels == 1))
    codes, _ = pd.factorize(values if kind == "categorical" else binned(values))
    return Relation(INFORMATION, information_share(codes, labels))


def auc(ranks: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve from mean ranks (n,): Mann and Whitney's U over the number of pairs."""
    pairs = int(positive.sum()) * int((~positive).sum())
    count = int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / pairs)


def information_share(codes: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the share of the labels' entropy that the codes (n,) explain: Theil's U, corrected as by Miller and Madow.

    Without the correction an identifier, of which every value is new, would explain all of it.
    """
    table = np.zeros((int(codes.max()) + 1, int(labels.max()) + 1)) if len(codes) else np.zeros((1, 1))
    np.add.at(table, (codes, labels), 1)
    rows, columns, total = table.sum(axis=1), table.sum(axis=0), table.sum()
    shared = _entropy(rows / total) + _entropy(columns / total) - _entropy(table.ravel() / total)
    surplus = (len(rows) - 1) * (len(columns) - 1) / (2 * total)
    return float(np.clip((shared - surplus) / _entropy(columns / total), 0, 1))


def binned(values: pd.Series) -> pd.Series:
    """Return the number of the bin of each number: its own value if there are few, else one of equal count."""
    if values.nunique() <= BINS:
        return values
    return pd.Series(np.floor((values.rank().to_numpy() - 1) * BINS / len(values)))


def _with_numbers(values: pd.Series, kind: Kind, target: NDArray[np.float64]) -> Relation:
    if kind != "categorical":
        ranks = pd.Series(target).rank().to_numpy()
        return Relation(SPEARMAN, float(np.corrcoef(values.rank().to_numpy(), ranks)[0, 1]))
    codes, levels = pd.factorize(values)
    return Relation(RATIO, correlation_ratio(codes, len(levels), target))


def correlation_ratio(codes: NDArray[Any], levels: int, target: NDArray[np.float64]) -> float:
    """Return eta, the root of the share of the target's variance (n,) between levels, less what chance gives (Kelley).

    The share is 1 - (n - 1) / (n - levels) * (1 - eta squared), so that an identifier explains nothing.
    """
    if levels >= len(target):
        return 0.0
    counts = np.bincount(codes, minlength=levels)
    means = np.bincount(codes, target, minlength=levels) / counts
    within, total = ((target - means[codes]) ** 2).sum(), ((target - target.mean()) ** 2).sum()
    share = 1 - (len(target) - 1) / (len(target) - levels) * within / total
    return float(np.sqrt(max(0.0, share)))


def _constant(values: pd.Series) -> bool:
    content = values.to_numpy()
    return bool((content == content[0]).all())


def _entropy(shares: NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
