"""Target leakage: feature columns that predict the target too well to be fair, one verdict for init, report and gate.

A column leaks most often because it was recorded after the target, or is a copy of it. The verdict is a pure function
of columns and target. It samples evenly and scores on held-out rows, so that it is the same for all the rows, for the
train rows and for a sample of them, except close to a threshold.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import Kind, Task
from lockstep.metrics import combinations

Floats = NDArray[np.float64]

# Rows that are scored, evenly spaced; with more of them the score moves by less than its thresholds are apart.
MAX_ROWS = 5_000
MIN_ROWS = 50  # With fewer rows a column may predict all of them by chance.
# Mean recall, or R2, from which on a column alone is a leak: real measurements err in more than one row of 1,000.
PERFECT = 0.999
# A column with so high a score, and so far ahead of every other column beyond chance (0 is chance, 1 is perfect), is a
# copy of the target with noise. One that others come near to is a good column among good ones.
NOISY: dict[Task, float] = {"binary": 0.97, "multiclass": 0.97, "regression": 0.995}
MARGIN = 0.4
# A column with such a score beyond chance, or squared rank correlation, is no leak by itself, but a person should say
# whether it is known before the target.
NEAR: dict[Task, float] = {"binary": 0.85, "multiclass": 0.85, "regression": 0.8}
MAX_CODES = 50  # A numeric column of at most so many distinct values may hold codes, whose order means nothing.
# A column is also scored on the rows that have a value, if no larger share is missing: a copy with gaps is a copy.
MAX_MISSING = 0.5
# A column that is filled in so many rows, nearly all of one class, was written down after that class was known.
MIN_FILLED, ONE_CLASS = 20, 0.995


@dataclass(frozen=True)
class Leak:
    """Why a column leaks the target, and its score: mean recall of the classes or R2, from 0 to 1."""

    score: float
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The columns that leak the target, and those that come so near to it that a person should look at them."""

    leaks: dict[str, Leak]
    near: dict[str, Leak]


@dataclass(frozen=True)
class _Target:
    """The target as numbers (n,): the values of a regression, or the codes of the classes in sorted order."""

    name: str
    values: NDArray[Any]
    task: Task
    labels: tuple[Any, ...] = ()

    def label(self, code: int) -> Any:
        """Return the label of a class."""
        return self.labels[code]

    @property
    def classes(self) -> int:
        return 0 if self.task == "regression" else int(self.values.max()) + 1

    @property
    def chance(self) -> float:
        return 0.0 if self.task == "regression" else 1 / self.classes


def verdict(frame: pd.DataFrame, kinds: Mapping[str, Kind], target: str, task: Task) -> Verdict:
    """Return the leaks among the feature columns of canonical rows (n,), and the columns that come near to one.

    Alone: the column predicts all held-out rows but a thousandth, or looks like a copy of the target with noise. The
    score is the mean recall of the classes, or R2, of two halves of at most `MAX_ROWS` rows, each predicted from the
    other: by a tree of few leaves (numbers and dates), or by the level (categories, texts, codes). Of numbers and a
    numeric target it is the square of their rank correlation (Spearman 1904), which is 1 for every monotone curve.

    By being filled: the column has values in the rows of one class alone.

    Together: the largest of one column for each class names the class, as counts of votes do; a column is the sum of
    leaking ones; or a numeric target is the sum, difference, product or ratio of up to six columns, but for rounding.
    """
    labelled = frame[frame[target].notna()]
    if len(labelled) < MIN_ROWS:
        return Verdict({}, {})
    rows = labelled.iloc[np.linspace(0, len(labelled) - 1, min(len(labelled), MAX_ROWS)).astype(int)]
    truth = _target(rows[target], target, task)
    if np.ptp(truth.values) == 0:
        return Verdict({}, {})
    scores = {name: _score(rows[name], kind, truth) for name, kind in kinds.items()}
    leaks = {
        name: Leak(round(score, 4), f"it alone predicts {target} in held-out rows ({_figure(score, task)})")
        for name, score in scores.items()
        if score >= PERFECT
    }
    leaks |= _filled(rows, {name: kind for name, kind in kinds.items() if name not in leaks}, truth)
    leaks |= _noisy_copy({name: score for name, score in scores.items() if name not in leaks}, truth)
    numeric = [name for name, kind in kinds.items() if kind == "numeric" and name not in leaks][
        : combinations.MAX_COMBINED
    ]
    leaks |= _combined(rows[numeric].astype(np.float64), truth)
    return Verdict(leaks, _near(rows, {name: score for name, score in scores.items() if name not in leaks}, truth))


def _near(rows: pd.DataFrame, scores: Mapping[str, float], truth: _Target) -> dict[str, Leak]:
    """Return the columns that alone tell much of the target: numbers of a numeric one by their rank correlation."""
    near = {}
    for name, score in scores.items():
        strength, figure = (score - truth.chance) / (1 - truth.chance), _figure(score, truth.task)
        if truth.task == "regression":
            present = rows[name].notna().to_numpy()
            numeric = pd.api.types.is_numeric_dtype(rows[name]) and present.mean() >= 1 - MAX_MISSING
            strength = _rank_score(rows[name].to_numpy(np.float64)[present], truth.values[present]) if numeric else 0.0
            figure = f"rank correlation {math.sqrt(strength):.2f}"
        if strength >= NEAR[truth.task]:
            near[name] = Leak(round(strength, 4), f"it alone tells much of {truth.name} ({figure})")
    return near


def _target(values: pd.Series, name: str, task: Task) -> _Target:
    if task == "regression":
        return _Target(name, values.to_numpy(np.float64), task)
    codes, labels = pd.factorize(values, sort=True)
    return _Target(name, codes.astype(np.int64), task, tuple(labels.tolist()))


def _figure(score: float, task: Task) -> str:
    return f"{'R2' if task == 'regression' else 'mean recall'} {score:.4f}"


def _noisy_copy(scores: Mapping[str, float], truth: _Target) -> dict[str, Leak]:
    """Return the best of several columns if it predicts nearly all rows, and every other one far fewer."""
    best, *others = sorted(scores, key=lambda name: -scores[name])[:2] or [""]
    if not others:
        return {}
    first, second = ((scores[name] - truth.chance) / (1 - truth.chance) for name in (best, others[0]))
    if scores[best] < NOISY[truth.task] or first - max(second, 0.0) < MARGIN:
        return {}
    reason = f"it looks like a copy of {truth.name} with noise ({_figure(scores[best], truth.task)}), far ahead of "
    return {best: Leak(round(scores[best], 4), f"{reason}{others[0]} ({scores[others[0]]:.4f})")}


def _score(values: pd.Series, kind: Kind, truth: _Target) -> float:
    """Return how well one column alone predicts the target, missing values counted as a value of their own or not."""
    coded, present = _coded(values, kind), values.notna().to_numpy()
    score = _held_out(coded, truth.values, kind, truth.task)
    if present.all() or present.mean() < 1 - MAX_MISSING or present.sum() < MIN_ROWS:
        return score
    return max(score, _held_out(coded[present], truth.values[present], kind, truth.task))


def _coded(values: pd.Series, kind: Kind) -> Floats:
    """Return numbers and moments (n,) from -1 to 1 around their median, NaN where missing, or the level's number."""
    if kind == "numeric":
        return _scaled(values.to_numpy(np.float64))
    if kind == "date":
        moments = pd.to_datetime(values, format="ISO8601", errors="coerce", utc=True)
        return _scaled(np.asarray((moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), np.float64))
    return pd.factorize(values)[0].astype(np.float64)


def _scaled(values: Floats) -> Floats:
    """Scale into the range where the 32-bit floats of a tree tell seconds of this century apart."""
    finite = np.where(np.isfinite(values), values, np.nan)
    if np.isnan(finite).all():
        return finite
    centred = finite - np.nanmedian(finite)
    return np.asarray(centred / (np.nanmax(np.abs(centred)) or 1.0))


def _held_out(coded: Floats, target: NDArray[Any], kind: Kind, task: Task) -> float:
    """Return the best score of the ways to predict the target (n,) from one column (n,)."""
    if np.ptp(target) == 0:
        return 0.0
    if kind in ("categorical", "text"):
        return _halves_score(coded, target, task, _predict_by_level)
    ordered = _rank_score(coded, target) if task == "regression" else _halves_score(coded, target, task, _predict_tree)
    levels, codes = np.unique(coded, return_inverse=True)
    if len(levels) > MAX_CODES:
        return ordered
    return max(ordered, _halves_score(codes.astype(np.float64), target, task, _predict_by_level))


def _halves_score(coded: Floats, target: NDArray[Any], task: Task, predict: Any) -> float:
    predicted = np.empty(len(target), dtype=target.dtype)
    half = np.random.default_rng(0).permutation(len(target)) % 2 == 0  # classes may alternate from row to row
    for train, test in ((half, ~half), (~half, half)):
        predicted[test] = predict(coded[train], target[train], coded[test], task)
    if task == "regression":
        errors, spread = target - predicted, target - target.mean()
        return float(1 - (errors @ errors) / (spread @ spread))
    return float(np.mean([(predicted[target == label] == label).mean() for label in np.unique(target)]))


def _rank_score(coded: Floats, target: NDArray[Any]) -> float:
    """Return the squared rank correlation; 0 for a column with missing values, which is scored without them."""
    if not np.isfinite(coded).all() or np.ptp(coded) == 0:
        return 0.0
    return float(pd.Series(coded).corr(pd.Series(target), method="spearman") ** 2)


def _predict_tree(train: Floats, target: NDArray[Any], test: Floats, task: Task) -> NDArray[Any]:
    from sklearn.tree import DecisionTreeClassifier

    leaves = max(4, 2 * len(np.unique(target)))
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0).fit(train[:, None], target)
    return np.asarray(tree.predict(test[:, None]))


def _predict_by_level(train: Floats, target: NDArray[Any], test: Floats, task: Task) -> NDArray[Any]:
    """Return the mean, or the most frequent class, of each level; of levels not in the train rows, that of all."""
    if task == "regression":
        values = pd.Series(target)
        means = values.groupby(train).mean()
        return pd.Series(test).map(means).fillna(values.mean()).to_numpy()
    train_codes, test_codes = train.astype(np.int64) + 1, test.astype(np.int64) + 1
    levels, labels = int(max(train_codes.max(), test_codes.max())) + 1, int(target.max()) + 1
    table = np.bincount(train_codes * labels + target, minlength=levels * labels).reshape(levels, labels)
    best = np.where(table.any(axis=1), table.argmax(axis=1), np.bincount(target).argmax())
    return np.asarray(best[test_codes])


def _combined(numeric: pd.DataFrame, truth: _Target) -> dict[str, Leak]:
    """Return the numeric columns (n, k) that give the target together."""
    if truth.task == "regression":
        terms, how = combinations.formula(numeric, truth.values)
        reason = f"{', '.join(terms[:-1])} and {terms[-1]} {how} {truth.name}" if terms else ""
        return {name: Leak(1.0, reason) for name in terms}
    votes = combinations.votes(numeric, truth.values, truth.classes)
    together = {name: Leak(1.0, f"the largest of {', '.join(votes)} is always {truth.name}") for name in votes}
    parts = combinations.sums(numeric, votes)
    return together | {name: Leak(1.0, f"it is the sum of {', '.join(chosen)}") for name, chosen in parts}


def _filled(rows: pd.DataFrame, kinds: Mapping[str, Kind], truth: _Target) -> dict[str, Leak]:
    """Return the columns that are filled in the rows of one class alone, and in most of those."""
    leaks = {}
    for name in kinds if truth.task != "regression" else ():
        filled = rows[name].notna().to_numpy()
        if filled.sum() < MIN_FILLED or filled.all():
            continue
        counts = np.bincount(truth.values[filled], minlength=truth.classes)
        share, label = counts.max() / counts.sum(), int(counts.argmax())
        of_class = truth.values == label
        if share >= ONE_CLASS and of_class.mean() <= 0.8 and filled[of_class].mean() >= 0.5:
            leaks[name] = Leak(
                round(float(share), 4), f"it is filled where {truth.name} is {truth.label(label)!r}, and there alone"
            )
    return leaks
