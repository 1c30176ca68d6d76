"""The estimators by name, each with the space that a search draws from; adding one is one entry."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from sklearn.base import BaseEstimator

from lockstep.config.params import Between, Candidate, Task
from lockstep.errors import ConfigError, nearest

CLASSES: tuple[Task, ...] = ("binary", "multiclass")
ALL: tuple[Task, ...] = (*CLASSES, "regression")
EXTRA = "`make setup-extras`, or `pip install 'lockstep[boosting]'`"

Space = Mapping[str, Sequence[Any] | Between]


def _log(low: float, high: float) -> Between:
    return Between(low=low, high=high, scale="log")


def _whole(low: int, high: int) -> Between:
    return Between(low=low, high=high, scale="log", kind="int")


@dataclass(frozen=True)
class Entry:
    """An estimator: the tasks it fits, how it is made from a seed, what matrices it takes, the package of an
    extra that it needs, and its ready space."""

    tasks: tuple[Task, ...]
    make: Callable[[Task, int], BaseEstimator]
    sparse: bool = True
    negative: bool = True
    package: str = ""
    space: Space = field(default_factory=dict)


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
    """Refuse an estimator of counts and weights for a matrix (rows x features) that holds negative numbers.

    Raises ConfigError: there is a negative number, and the estimator takes none.
    """
    if not find(name, task).negative and matrix.size and matrix.min() < 0:
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


def _logistic_regression(task: Task, seed: int) -> BaseEstimator:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000, random_state=seed)


def _ridge(task: Task, seed: int) -> BaseEstimator:
    from sklearn.linear_model import Ridge

    return Ridge(random_state=seed)


def _linear_svm(task: Task, seed: int) -> BaseEstimator:
    from lockstep.modeling.linear_svm import LinearSVMClassifier, LinearSVMRegressor

    return (LinearSVMRegressor if task == "regression" else LinearSVMClassifier)(random_state=seed)


def _multinomial_naive_bayes(task: Task, seed: int) -> BaseEstimator:
    from sklearn.naive_bayes import MultinomialNB

    return MultinomialNB()


def _complement_naive_bayes(task: Task, seed: int) -> BaseEstimator:
    from sklearn.naive_bayes import ComplementNB

    return ComplementNB()


def _gaussian_naive_bayes(task: Task, seed: int) -> BaseEstimator:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB()


def _decision_tree(task: Task, seed: int) -> BaseEstimator:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    return (DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier)(random_state=seed)


def _random_forest(task: Task, seed: int) -> BaseEstimator:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return (RandomForestRegressor if task == "regression" else RandomForestClassifier)(random_state=seed)


def _hist_gradient_boosting(task: Task, seed: int) -> BaseEstimator:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return (HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier)(
        random_state=seed
    )


def _k_nearest_neighbors(task: Task, seed: int) -> BaseEstimator:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    return KNeighborsRegressor() if task == "regression" else KNeighborsClassifier()


def _xgboost(task: Task, seed: int) -> BaseEstimator:
    from lockstep.modeling.boosting import XGBoostClassifier, XGBoostRegressor

    return (XGBoostRegressor if task == "regression" else XGBoostClassifier)(random_state=seed)


def _lightgbm(task: Task, seed: int) -> BaseEstimator:
    from lockstep.modeling.boosting import LightGBMClassifier, LightGBMRegressor

    return (LightGBMRegressor if task == "regression" else LightGBMClassifier)(random_state=seed)


SMOOTHING: Space = {"alpha": _log(0.01, 10)}
FOREST: Space = {
    "n_estimators": [100, 200],
    "max_features": ["sqrt", 0.3, 0.6, 1.0],
    "min_samples_leaf": _whole(1, 20),
}
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

ESTIMATORS: dict[str, Entry] = {
    "logistic_regression": Entry(CLASSES, _logistic_regression, space={"C": _log(0.001, 100)}),
    "ridge": Entry(("regression",), _ridge, space={"alpha": _log(0.001, 1000)}),
    "linear_svm": Entry(ALL, _linear_svm, space={"C": _log(0.001, 30)}),
    "multinomial_naive_bayes": Entry(CLASSES, _multinomial_naive_bayes, negative=False, space=SMOOTHING),
    "complement_naive_bayes": Entry(CLASSES, _complement_naive_bayes, negative=False, space=SMOOTHING),
    "gaussian_naive_bayes": Entry(
        CLASSES, _gaussian_naive_bayes, sparse=False, space={"var_smoothing": _log(1e-10, 0.1)}
    ),
    "decision_tree": Entry(ALL, _decision_tree, space=TREE),
    "random_forest": Entry(ALL, _random_forest, space=FOREST),
    "hist_gradient_boosting": Entry(ALL, _hist_gradient_boosting, sparse=False, space=HISTOGRAMS),
    "k_nearest_neighbors": Entry(ALL, _k_nearest_neighbors, sparse=False, space=NEIGHBORS),
    "xgboost": Entry(ALL, _xgboost, package="xgboost", space={**BOOSTING, "max_depth": _whole(3, 10)}),
    "lightgbm": Entry(ALL, _lightgbm, package="lightgbm", space={**BOOSTING, "num_leaves": _whole(7, 127)}),
}
