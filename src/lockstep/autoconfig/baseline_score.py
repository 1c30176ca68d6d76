"""What quick models reach on a part of the rows: the ground on which the gate's floor stands."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockstep.config.params import ModelBuilding, Params, Split, Task
from lockstep.data import cleaning, split
from lockstep.data.cleaning import CleanTable
from lockstep.data.record import SplitRecord
from lockstep.errors import DataError
from lockstep.evaluation import test_metrics
from lockstep.features import build
from lockstep.metrics import scores
from lockstep.metrics.scores import Scored
from lockstep.modeling.search import search

MOST_ROWS, FOLDS, SEED = 6000, 3, 0
# The floor stands at this share of the way from the best constant answer to the quick models, less some spreads, since
# few test rows may measure that much less; but at half of the way at least.
SHARE, SPREADS, LEAST_SHARE = 0.9, 3, 0.5
QUICK: dict[Task, list[dict[str, Any]]] = {
    "binary": [
        {"estimator": "logistic_regression", "params": {"C": 1.0, "max_iter": 20_000}},
        {"estimator": "decision_tree", "params": {"max_depth": 5, "min_samples_leaf": 5}},
    ],
    "regression": [
        {"estimator": "ridge", "params": {"alpha": 1.0}},
        {"estimator": "decision_tree", "params": {"max_depth": 5, "min_samples_leaf": 5}},
    ],
}
QUICK["multiclass"] = QUICK["binary"]


@dataclass(frozen=True)
class Baseline:
    """Figures of one metric: of the best constant answer, and of quick models, with the error of their mean.

    `test_rows` is how many rows will be test rows.
    """

    metric: str
    constant: float
    reached: float
    error: float
    test_rows: int

    @property
    def signal(self) -> bool:
        """Tell whether the quick models know more than chance."""
        return self.reached - self.constant > max(2 * self.error, 0.01)

    @property
    def floor(self) -> float:
        """Return what a sound model reaches and a constant answer does not."""
        way = self.reached - self.constant
        chance = math.sqrt(max(0.0, self.reached * (1 - self.reached)) / max(1, self.test_rows))
        spread = max(self.error * math.sqrt(FOLDS), chance)  # three folds may agree by chance
        return math.floor(100 * (self.constant + max(SHARE * way - SPREADS * spread, LEAST_SHARE * way))) / 100


def measure(frame: pd.DataFrame, params: Params) -> Baseline:
    """Cross-validate two quick models on up to 6,000 rows, with the features and the split of params.yaml."""
    cleaned = cleaning.clean(_part(frame, params.data_preprocessing.target), params.data_preprocessing)
    rows, name = cleaned.frame, params.data_preprocessing.target
    if cleaned.task != "regression":
        rows = rows[rows[name].map(rows[name].value_counts()) >= FOLDS]
    if len(rows) < 2 * FOLDS or rows[name].nunique() < 2:
        raise DataError(f"{len(rows)} different rows are too few", "bring more rows")
    truth = rows[name].to_numpy()
    text = params.feature_engineering.text.model_copy(update={"weighting": "tfidf"})  # the target weighs no folds here
    settings = params.feature_engineering.model_copy(update={"text": text})
    features = build.build(cleaned.kinds, settings, build.TrainFacts(task=cleaned.task))
    matrix = features.fit_transform(rows, truth)
    metric = scores.primary(params.model_building.metric, cleaned.task)
    quick = ModelBuilding.model_validate({"candidates": QUICK[cleaned.task], "metric": metric, "folds": FOLDS})
    constraints = _constraints(cleaned, rows, params.data_preprocessing.split)
    if cleaned.task == "binary":
        positive = cleaning.positive_label(rows[name], params.data_preprocessing)
        constraints["positive"] = np.asarray(np.unique(truth).tolist().index(positive))
    result = search.choose(matrix, truth, cleaned.task, quick, constraints)
    error = float(np.std(result.best.scores) / math.sqrt(FOLDS))
    constant = _constant(truth, cleaned.task, metric, int(constraints.get("positive", 1)))
    test_rows = round(int(frame[name].notna().sum()) * params.data_preprocessing.split.test_size)
    return Baseline(metric, constant, result.best.mean, error, test_rows)


def _constraints(table: CleanTable, rows: pd.DataFrame, by: Split) -> dict[str, NDArray[np.int64]]:
    """Return what the folds respect: the groups or moments of a split by a column, nothing otherwise."""
    if table.split_key is None or by.method not in ("group", "time"):
        return {}
    keys = pd.DataFrame({str(by.column): table.split_key[rows.index]})
    return split.fold_constraints(keys, SplitRecord(by.method, str(by.column)))


def _part(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    labelled = frame[frame[target].notna()]
    return labelled.sample(MOST_ROWS, random_state=SEED) if len(labelled) > MOST_ROWS else labelled


def _constant(truth: Any, task: Task, metric: str, positive: int) -> float:
    if task == "regression":
        return scores.measure(metric, test_metrics.constant(Scored(truth, truth)))
    _, codes = np.unique(truth, return_inverse=True)
    scored = Scored(codes, codes, np.eye(codes.max() + 1)[codes], positive)
    return scores.measure(metric, test_metrics.constant(scored))
