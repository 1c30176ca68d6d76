"""What to train on a data set and what to ask of the result, from its frame and the roles of its columns."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api import types

from lockstep.autoconfig import texts
from lockstep.autoconfig.choice import Choice
from lockstep.config.params import KINDS, Role, Split, Task
from lockstep.errors import QuestionError
from lockstep.metrics.scores import DEFAULT

LEAST_IN_CLASS = 3  # One test row, and two train rows for two folds.
LEAST_ROWS = 20
RARE = 0.1
TAGS = {
    "unescape_html": r"&(?:#\d+|[a-z]+);",
    "strip_tags": r"<[a-zA-Z/][^>]*>",
    "strip_urls": r"https?://",
    "strip_mentions": r"(?:^|\s)@\w+",
}
SHARE_OF_TEXTS = 0.005
SHARE_MISSING = 0.02  # From this share on, that a number is missing may tell something by itself.
ENOUGH = 1000  # So many rows are enough for boosted trees, and for means of the target in each category.
MOST_ITEMS = 100  # Most features that a column with several values in one cell gives (see `features.sets`).
DENSE = 0.3  # Below this share of filled cells the features are kept as a sparse matrix (see `features.build`).


@dataclass(frozen=True)
class Plan:
    """The sections of params.yaml from the task on, as plain values."""

    task: Task
    metric: str
    roles: Mapping[str, Role]
    features: Mapping[str, Mapping[str, Any]]
    candidates: Sequence[Mapping[str, Any]]
    folds: int
    resamples: int
    trusted: Sequence[str] = ()
    positive: Any = None
    rare_classes: str = "keep"
    drop_duplicates: bool = True
    splits: Sequence[Split] = ()

    def of(self, role: Role) -> list[str]:
        """Return the columns of a role."""
        return [name for name, assigned in self.roles.items() if assigned == role]


def decide_task(target: pd.Series) -> tuple[Task, Choice]:
    """Tell what is asked by the values of the target.

    Raises QuestionError: the target has one value, texts that are no classes, or a class too small to learn and test.
    """
    present = target.dropna()
    counts = present.value_counts()
    numeric = types.is_numeric_dtype(target) and not types.is_bool_dtype(target)
    if len(counts) < 2:
        raise QuestionError(
            f"target {target.name!r} has one value only, {present.iloc[0]!r}" if len(counts) else "the target is empty",
            "a model needs two classes, or different numbers: is it the right column?",
        )
    if len(present) < LEAST_ROWS:
        raise QuestionError(f"{len(present)} rows with a target are too few", f"bring {LEAST_ROWS} rows or more")
    if numeric and (len(counts) > 20 or bool((present % 1 != 0).any())):
        return "regression", Choice("task", "regression", f"{target.name} holds {len(counts)} different numbers")
    if not numeric and (len(counts) > 100 or len(counts) > 0.2 * len(present)):
        raise QuestionError(
            f"target {target.name!r} holds {len(counts)} different texts in {len(present)} rows",
            "classes need several rows each: is it the right column, or are numbers spelled as text?",
        )
    return _classes(target, counts, numeric)


def _classes(target: pd.Series, counts: pd.Series, numeric: bool) -> tuple[Task, Choice]:
    smallest, rows = counts.index[-1], int(counts.iloc[-1])
    if rows < LEAST_IN_CLASS and numeric and len(counts) > 2:
        why = f"the value {smallest} of {target.name} has {rows} rows, too few for a class"
        return "regression", Choice("task", "regression", why, f"is {target.name} an amount, or a class?")
    enough = counts[counts >= LEAST_IN_CLASS]
    if len(enough) < 2:
        raise QuestionError(
            f"class {smallest!r} of target {target.name!r} has {rows} row{'s' if rows > 1 else ''}",
            f"bring {LEAST_IN_CLASS} rows or more of it, or join it with another class",
        )
    task: Task = "binary" if len(enough) == 2 else "multiclass"
    looks = []
    if enough.iloc[-1] < min(RARE, 0.5 / len(enough)) * enough.sum():
        smallest, rows = enough.index[-1], int(enough.iloc[-1])
        looks.append(
            f"class {smallest} has {rows} of {enough.sum()} rows: look at its own figures in reports/per_class.csv"
        )
    if numeric and len(counts) > 5:
        looks.append(f"the classes of {target.name} may have an order: try task: regression too")
    return task, Choice("task", task, f"{target.name} holds {len(enough)} classes", "; ".join(looks))


def positive(target: pd.Series) -> Any:
    """Return the positive class of two: the rarer one; of classes of one size the one that sorts last."""
    counts = target.dropna().value_counts()
    first, second = sorted(counts.index.tolist())
    label = second if counts[second] <= counts[first] else first
    label = label.item() if hasattr(label, "item") else label
    return int(label) if isinstance(label, float) else label


def rare_classes(target: pd.Series, task: Task) -> Choice | None:
    """Return what becomes of classes that have too few rows for a model and a test; None if all have enough."""
    counts = target.value_counts()
    rare = counts[counts < LEAST_IN_CLASS]
    if task == "regression" or rare.empty:
        return None
    named = ", ".join(f"{label} ({count})" for label, count in rare.head(5).items())
    look = (
        f"{len(rare)} classes of {target.name} have fewer than {LEAST_IN_CLASS} rows: {named}; their {rare.sum()} rows "
        "are dropped, or joined to one class by data_preprocessing.rare_classes: join"
    )
    return Choice("rare classes", "drop", named, look)


def choose_metric(task: Task, target: pd.Series, only_text: bool) -> Choice:
    """Return the figure to choose by."""
    share = float(target.value_counts(normalize=True).iloc[-1])
    if task == "binary" and share < RARE:
        return Choice("metric", "average_precision", f"the rarer class is {share:.1%} of the rows")
    if task == "binary" and only_text and share > 0.4:
        return Choice("metric", "accuracy", "two classes of about the same size")
    return Choice("metric", DEFAULT[task], f"usual for {task} targets")


def make(frame: pd.DataFrame, target: str, roles: Mapping[str, Role], task: Task, metric: str) -> Plan:
    """Return what to train: features by the kinds of columns, candidates by kinds and size."""
    kinds = {kind: [name for name, role in roles.items() if role == kind] for kind in KINDS}
    rows = len(frame)
    sets = _sets(frame, kinds["text"])
    prose = [name for name in kinds["text"] if name not in sets]
    levels = [int(frame[name].nunique()) for name in kinds["categorical"]]
    of_sets = sum(items.distinct for items in sets.values())
    filled = len(kinds["numeric"]) + 5 * len(kinds["date"]) + len(levels) + of_sets
    dense = filled >= DENSE * (filled - len(levels) + sum(levels))
    by_target = bool(levels) and not dense and (rows >= ENOUGH or bool(prose))
    features: dict[str, Mapping[str, Any]] = {}
    if kinds["numeric"] or kinds["date"]:
        features["numeric"] = _numeric(frame, kinds["numeric"])
    if levels:
        rare = {"min_frequency": max(2, rows // 2000)} if max(levels) > 50 and not by_target else {}
        features["categorical"] = {"encode": "target" if by_target else "onehot", **rare, "unknown": "ignore"}
    if kinds["text"]:
        separators = {"sets": {name: items.separator for name, items in sets.items()}} if sets else {}
        features["text"] = (_text(frame, prose, task, stack=filled > 0) if prose else {}) | separators
    smallest = rows if task == "regression" else int(frame[target].value_counts().iloc[-1])
    folds = min(5 if rows < 2000 else 3, max(2, smallest - math.ceil(Split().test_size * smallest)))
    candidates = _for_tables(rows, task, dense or by_target)
    if prose:
        candidates = _for_both(rows, task) if filled else _for_text(frame, prose, task)
    return Plan(task, metric, roles, features, candidates, folds, 1000 if rows < 10_000 else 500)


def _sets(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, texts.Items]:
    """Return the columns with several values in one cell of which each can be a feature."""
    items_of = {name: texts.items(frame[name].dropna().astype(str)) for name in columns}
    return {name: items for name, items in items_of.items() if items and items.distinct <= MOST_ITEMS}


def _numeric(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    missing = any(frame[name].isna().mean() >= SHARE_MISSING for name in columns)
    return {"impute": "median", **({"indicator": True} if missing else {}), "scale": "standard"}


def _text(frame: pd.DataFrame, columns: Sequence[str], task: Task, stack: bool) -> dict[str, Any]:
    """Return how texts become terms; beside other columns these are stacked, so that trees see both."""
    present = [frame[name].dropna().astype(str) for name in columns]
    sample = pd.concat([sampled.head(5000) for sampled in present])
    clean = [step for step, mark in TAGS.items() if sample.str.contains(mark).mean() >= SHARE_OF_TEXTS]
    rows, words = len(frame), sample.str.count(r"\S+").mean()
    characters = any(texts.without_blanks(sampled) for sampled in present)
    most = 200_000 if characters or words * rows > 2_000_000 else 50_000
    return {
        "clean": [*clean, "lowercase"],
        "ngrams": [] if characters else [1, 2],
        **({"characters": [1, 2, 3]} if characters else {}),
        "min_documents": 3 if rows > 10_000 else 2,
        "max_terms": most,
        **({"stack": True} if stack else {"weighting": "tfidf" if task == "regression" else "naive_bayes"}),
    }


def _for_text(frame: pd.DataFrame, columns: Sequence[str], task: Task) -> list[dict[str, Any]]:
    if task == "regression":
        return [{"estimator": "ridge", "grid": {"alpha": [0.3, 1.0, 3.0, 10.0]}}]
    length = sum(float(frame[name].dropna().astype(str).str.len().sum()) for name in columns)
    grid = [3.0, 10.0] if length > 20_000_000 else [1.0, 3.0, 10.0, 30.0]
    return [{"estimator": "logistic_regression", "params": {"max_iter": 3000}, "grid": {"C": grid}}]


def _for_both(rows: int, task: Task) -> list[dict[str, Any]]:
    """Return linear models, forests and boosted trees, since nobody knows beforehand how much the texts tell."""
    linear, forest = _for_tables(rows, task, dense=False)
    if task == "regression":
        forest["params"]["max_features"] = 0.3
    return [linear, forest, *_for_tables(max(rows, ENOUGH), task, dense=True)[1:]]


def _for_tables(rows: int, task: Task, dense: bool) -> list[dict[str, Any]]:
    """Return linear models and trees; boosted trees where there is enough to learn from and a dense matrix."""
    large = rows > 50_000
    if task == "regression":
        linear = {"estimator": "ridge", "grid": {"alpha": [0.1, 1.0, 10.0, 100.0]}}
    else:
        grid = [0.1, 1.0] if large else [0.03, 0.1, 0.3, 1.0, 3.0, 10.0] if rows < 5000 else [0.1, 1.0, 10.0]
        linear = {"estimator": "logistic_regression", "params": {"max_iter": 5000}, "grid": {"C": grid}}
    if dense and rows >= ENOUGH:
        rounds = 300 if task == "regression" else 200
        shape = {"learning_rate": [0.06, 0.1], "max_leaf_nodes": [31] if large else [31, 63]}
        if task != "regression":
            shape = {"learning_rate": [0.05, 0.1], "max_leaf_nodes": [15, 31]}
        return [linear, {"estimator": "hist_gradient_boosting", "params": {"max_iter": rounds}, "grid": shape}]
    trees = {"n_estimators": 100 if rows >= 5000 else 200}
    forest = {"estimator": "random_forest", "params": {**trees, "min_samples_leaf": 2 if rows >= 1000 else 1}}
    if rows >= 500 or not dense:
        return [linear, forest]
    near = {"estimator": "k_nearest_neighbors", "grid": {"n_neighbors": [5, 11]}}
    return [linear, {"estimator": "decision_tree", "grid": {"max_depth": [2, 3, 4]}}, near, forest]
