"""Columns that tell the target all alone: most often they were written down after it, or are a copy of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import Task
from lockstep.data.frames import target_array
from lockstep.data.schema import Schema

Floats = NDArray[np.float64]
MOST_ROWS = 5_000
FEWEST_ROWS = 50
"""With fewer rows a column may tell all of them by chance."""

PERFECT = 0.999

NOISY: dict[Task, float] = {"binary": 0.85, "multiclass": 0.85, "regression": 0.985}
APART = 0.4
"""A column that tells so much beyond chance (0 is chance, 1 is all), and by so much more than any other column, looks
like a copy of the target with noise. One that others come near to is a good column among good ones."""


def telling_alone(rows: pd.DataFrame, schema: Schema) -> dict[str, float]:
    """Return the columns that tell the target of rows they were not learned from, and how well: 1 is perfectly.

    A column is returned if it tells all but a thousandth, or if it looks like a copy of the target with noise.

    How well is the mean recall of the classes, or R2, of two halves of at most `MOST_ROWS` rows, each told by what the
    other has shown: by a tree of few leaves (numbers and dates), or by the level (categories and texts). Of numbers
    beside a number it is the square of their rank correlation (Spearman 1904), which knows every rising curve.
    """
    if len(rows) < FEWEST_ROWS:
        return {}
    sample = rows.iloc[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)]
    target = target_array(sample, schema)
    scores = {
        column.name: _score(
            _coded(sample[column.name], column.kind),
            target,
            schema.task,
            levels=column.kind in ("categorical", "text"),
        )
        for column in schema.columns
    }
    found = {name: score for name, score in scores.items() if score >= PERFECT}
    found |= _standing_out({name: score for name, score in scores.items() if name not in found}, schema)
    return {name: round(score, 4) for name, score in found.items()}


def _standing_out(scores: Mapping[str, float], schema: Schema) -> dict[str, float]:
    """Return the best of several columns if it tells nearly all, and every other one far less."""
    chance = 0.0 if schema.task == "regression" else 1 / len(schema.labels)
    best, *others = sorted(scores, key=lambda name: -scores[name])[:2] or [""]
    if not others:
        return {}
    first, second = ((scores[name] - chance) / (1 - chance) for name in (best, others[0]))
    looks_copied = first >= NOISY[schema.task] and first - max(second, 0.0) >= APART
    return {best: scores[best]} if looks_copied else {}


def _coded(values: pd.Series, kind: str) -> Floats:
    if kind == "numeric":
        return values.to_numpy(np.float64)
    if kind == "date":
        moments = pd.to_datetime(values, format="ISO8601", errors="coerce", utc=True)
        return np.asarray((moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), np.float64)
    return pd.factorize(values)[0].astype(np.float64)


def _score(coded: Floats, target: NDArray[Any], task: Task, levels: bool) -> float:
    if task == "regression" and not levels:
        return _ranks_alike(coded, target)
    told = np.empty(len(target), dtype=target.dtype)
    half = np.arange(len(target)) % 2 == 0
    learn = _by_level if levels else _by_tree
    for train, asked in ((half, ~half), (~half, half)):
        told[asked] = learn(coded[train], target[train], coded[asked], task)
    if task == "regression":
        errors, spread = target - told, target - target.mean()
        return float(1 - (errors @ errors) / (spread @ spread)) if spread.any() else 0.0
    return float(np.mean([(told[target == label] == label).mean() for label in np.unique(target)]))


def _ranks_alike(coded: Floats, target: NDArray[Any]) -> float:
    known = np.isfinite(coded)
    if known.mean() < PERFECT or np.ptp(coded[known]) == 0 or np.ptp(target[known]) == 0:
        return 0.0
    return float(pd.Series(coded[known]).corr(pd.Series(target[known]), method="spearman") ** 2)


def _by_tree(coded: Floats, target: NDArray[Any], asked: Floats, task: Task) -> NDArray[Any]:
    from sklearn.tree import DecisionTreeClassifier

    leaves = max(4, 2 * len(np.unique(target)))
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0).fit(coded[:, None], target)
    return np.asarray(tree.predict(asked[:, None]))


def _by_level(coded: Floats, target: NDArray[Any], asked: Floats, task: Task) -> NDArray[Any]:
    """Return the mean, or the most frequent class, of each level; of levels that were not shown, that of all."""
    if task == "regression":
        values = pd.Series(target.astype(np.float64))
        means = values.groupby(coded).mean()
        return pd.Series(asked).map(means).fillna(values.mean()).to_numpy()
    labels, classes = np.unique(target, return_inverse=True)
    shown, asked_codes = coded.astype(np.int64) + 1, asked.astype(np.int64) + 1
    levels = int(max(shown.max(), asked_codes.max())) + 1
    table = np.bincount(shown * len(labels) + classes, minlength=levels * len(labels)).reshape(levels, -1)
    best = np.where(table.any(axis=1), table.argmax(axis=1), np.bincount(classes).argmax())
    return np.asarray(labels[best[asked_codes]])
