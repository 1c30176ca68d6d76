"""The estimators by name; adding one is one entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator

from lockstep.errors import ConfigError, nearest
from lockstep.sections import Candidate, Task

CLASSES: tuple[Task, ...] = ("binary", "multiclass")


@dataclass(frozen=True)
class Entry:
    """An estimator: the tasks it fits, how it is made from a seed, and whether it takes sparse matrices."""

    tasks: tuple[Task, ...]
    make: Callable[[Task, int], BaseEstimator]
    sparse: bool = True


def make(candidate: Candidate, point: Mapping[str, Any], task: Task, seed: int, sparse: bool) -> BaseEstimator:
    """Return the unfitted estimator of a candidate with its fixed parameters and one point of its grid.

    Raises
    ------
    ConfigError
        The estimator or a parameter is unknown, or does not fit the task or the matrix.
    """
    entry = find(candidate.estimator, task)
    if sparse and not entry.sparse:
        raise ConfigError(
            f"{candidate.estimator} takes no sparse matrix, which text and many categories give",
            "choose logistic_regression or ridge",
        )
    estimator = entry.make(task, seed)
    given = {**candidate.params, **point}
    known = estimator.get_params()
    for name in given:
        if name not in known:
            raise ConfigError(
                f"model_building.candidates: {candidate.estimator} has no parameter {name!r}{nearest(name, known)}",
                f"accepted: {', '.join(sorted(known))}",
            )
    return estimator.set_params(**given)


def find(name: str, task: Task) -> Entry:
    """Return the entry of an estimator that fits the task."""
    fitting = [known for known, entry in ESTIMATORS.items() if task in entry.tasks]
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


ESTIMATORS: dict[str, Entry] = {
    "logistic_regression": Entry(CLASSES, _logistic_regression),
    "ridge": Entry(("regression",), _ridge),
    "decision_tree": Entry((*CLASSES, "regression"), _decision_tree),
    "random_forest": Entry((*CLASSES, "regression"), _random_forest),
    "hist_gradient_boosting": Entry((*CLASSES, "regression"), _hist_gradient_boosting, sparse=False),
    "k_nearest_neighbors": Entry((*CLASSES, "regression"), _k_nearest_neighbors, sparse=False),
}
