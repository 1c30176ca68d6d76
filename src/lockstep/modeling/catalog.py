"""The estimators by name, each with the space that a search draws from; adding one is one entry."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from sklearn.base import BaseEstimator

from lockstep.config.params import Between, Candidate, Task
from lockstep.errors import ConfigError, nearest

CLASSES: tuple[Task, ...] = ("binary", "multiclass")
REGRESSION: tuple[Task, ...] = ("regression",)
EXTRA = "`make setup-extras`, or `pip install 'lockstep-mlops[boosting]'`"

Space = Mapping[str, Sequence[Any] | Between]


def _log(low: float, high: float) -> Between:
    return Between(low=low, high=high, scale="log")


def _whole(low: int, high: int) -> Between:
    return Between(low=low, high=high, scale="log", kind="int")


@dataclass(frozen=True)
class Entry:
    """An estimator: its classes for labels and for numbers, with the parameters that are not the class's own defaults,
    what matrices it takes, the package of an extra that it needs, how many rows it takes (0: any number), and its ready
    space."""

    classifier: str = ""
    regressor: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    sparse: bool = True
    negative: bool = True
    package: str = ""
    most_rows: int = 0
    space: Space = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Return the tasks that it fits."""
        return CLASSES * bool(self.classifier) + REGRESSION * bool(self.regressor)

    def make(self, task: Task, seed: int) -> BaseEstimator:
        """Import the class for a task, and return an estimator with the seed, if the class takes one."""
        module, _, name = (self.regressor if task == "regression" else self.classifier).rpartition(".")
        estimator: BaseEstimator = getattr(importlib.import_module(module), name)(**self.params)
        return estimator.set_params(random_state=seed) if "random_state" in estimator.get_params() else estimator


def _both(name: str) -> tuple[str, str]:
    """Return the import paths of a classifier and a regressor of one kind."""
    return f"{name}Classifier", f"{name}Regressor"


def make(candidate: Candidate, point: Mapping[str, Any], task: Task, seed: int, sparse: bool) -> BaseEstimator:
    """Return the unfitted estimator of a candidate with its fixed parameters and one point of its grid.

    Raises ConfigError: the estimator or a parameter is unknown, or does not fit the task or the matrix.
    """
    entry = find(candidate.estimator, task)
    if sparse and not entry.sparse:
        raise ConfigError(
            f"{candidate.estimator} takes no sparse matrix, which text and many categories give",
            "choose logistic_regression or ridge",
        )
    if entry.package and find_spec(entry.package) is None:
        raise ConfigError(f"{candidate.estimator} needs {entry.package}, which is not installed", EXTRA)
    estimator = entry.make(task, seed)
    values = {**candidate.params, **point}
    accepted = estimator.get_params()
    for name in values:
        if name not in accepted:
            raise ConfigError(
                f"model_building.candidates: {candidate.estimator} has no parameter {name!r}{nearest(name, accepted)}",
                f"accepted: {', '.join(sorted(accepted))}",
            )
    return estimator.set_params(**values)


def check_values(name: str, task: Task, matrix: Any) -> None:
    """Refuse an estimator for a matrix (rows x features) of too many rows, or one of counts for negative numbers.

    Raises ConfigError: there is a negative number or a row too many.
    """
    entry = find(name, task)
    if entry.most_rows and matrix.shape[0] > entry.most_rows:
        raise ConfigError(
            f"{name} takes at most {entry.most_rows:,} train rows, not {matrix.shape[0]:,}: "
            "its cost grows with their square",
            "choose linear_svm or hist_gradient_boosting",
        )
    if not entry.negative and matrix.size and matrix.min() < 0:
        raise ConfigError(
            f"{name} takes no negative numbers, which scaled columns give",
            "choose gaussian_naive_bayes or logistic_regression",
        )


def find(name: str, task: Task) -> Entry:
    """Return the entry of an estimator that fits the task."""
    fitting = [key for key, entry in ESTIMATORS.items() if task in entry.tasks]
    if name not in fitting:
        why = f"is not for {task} targets" if name in ESTIMATORS else f"is not in the catalog{nearest(name, fitting)}"
        raise ConfigError(f"model_building.candidates: {name!r} {why}", f"for this target: {', '.join(fitting)}")
    return ESTIMATORS[name]


SMOOTHING: Space = {"alpha": _log(0.01, 10)}
FOREST: Space = {"n_estimators": [100, 200], "max_features": ["sqrt", 0.3, 0.6, 1.0], "min_samples_leaf": _whole(1, 20)}
TREE: Space = {"max_depth": _whole(2, 30), "min_samples_leaf": _whole(1, 50)}
HISTOGRAMS: Space = {
    "learning_rate": _log(0.02, 0.3),
    "max_iter": _whole(100, 600),
    "max_leaf_nodes": _whole(7, 127),
    "min_samples_leaf": _whole(5, 100),
    "l2_regularization": _log(0.001, 10),
}
BOOSTING: Space = {
    "learning_rate": _log(0.02, 0.3),
    "n_estimators": _whole(100, 600),
    "subsample": [0.7, 0.85, 1.0],
    "colsample_bytree": [0.6, 0.8, 1.0],
    "reg_lambda": _log(0.01, 10),
}
NEIGHBORS: Space = {"n_neighbors": _whole(1, 50), "weights": ["uniform", "distance"], "p": [1, 2]}
KERNEL_SVM = _both("lockstep.modeling.kernel_svm.KernelSVM")
KERNEL_ROWS = 20_000  # A kernel has a value for each pair of rows: with so many, one fit of the search takes 40 s.
RBF: Space = {"C": _log(0.01, 1000), "gamma": _log(0.0001, 1)}

ESTIMATORS: dict[str, Entry] = {
    "logistic_regression": Entry(
        "sklearn.linear_model.LogisticRegression", params={"max_iter": 1000}, space={"C": _log(0.001, 100)}
    ),
    "ridge": Entry(regressor="sklearn.linear_model.Ridge", space={"alpha": _log(0.001, 1000)}),
    "linear_svm": Entry(*_both("lockstep.modeling.linear_svm.LinearSVM"), space={"C": _log(0.001, 30)}),
    "rbf_svm": Entry(*KERNEL_SVM, {"kernel": "rbf"}, sparse=False, most_rows=KERNEL_ROWS, space=RBF),
    "polynomial_svm": Entry(
        *KERNEL_SVM,
        {"kernel": "poly", "coef0": 1.0},
        sparse=False,
        most_rows=KERNEL_ROWS,
        space={"C": _log(0.01, 100), "degree": [2, 3, 4]},
    ),
    "multinomial_naive_bayes": Entry("sklearn.naive_bayes.MultinomialNB", negative=False, space=SMOOTHING),
    "complement_naive_bayes": Entry("sklearn.naive_bayes.ComplementNB", negative=False, space=SMOOTHING),
    "gaussian_naive_bayes": Entry(
        "sklearn.naive_bayes.GaussianNB", sparse=False, space={"var_smoothing": _log(1e-10, 0.1)}
    ),
    "decision_tree": Entry(*_both("sklearn.tree.DecisionTree"), space=TREE),
    "random_forest": Entry(*_both("sklearn.ensemble.RandomForest"), space=FOREST),
    "hist_gradient_boosting": Entry(*_both("sklearn.ensemble.HistGradientBoosting"), sparse=False, space=HISTOGRAMS),
    "k_nearest_neighbors": Entry(*_both("sklearn.neighbors.KNeighbors"), sparse=False, space=NEIGHBORS),
    "xgboost": Entry(
        *_both("lockstep.modeling.boosting.XGBoost"), package="xgboost", space={**BOOSTING, "max_depth": _whole(3, 10)}
    ),
    "lightgbm": Entry(
        *_both("lockstep.modeling.boosting.LightGBM"),
        package="lightgbm",
        space={**BOOSTING, "num_leaves": _whole(7, 127)},
    ),
}
