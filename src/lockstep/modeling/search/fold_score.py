"""One trial on one fold: fitted, and scored on what is held out."""

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning

from lockstep.errors import ConfigError
from lockstep.metrics import scores
from lockstep.modeling.search.folds import Fold
from lockstep.modeling.search.term_weights import Terms


@dataclass(frozen=True)
class Outcome:
    """What one trial reached on one fold and how long that took, or why it failed."""

    score: float | None
    cause: str = ""
    hint: str = ""
    fit_s: float = 0.0
    score_s: float = 0.0


def piece(
    matrix: Any, target: NDArray[Any], terms: Terms, estimator: BaseEstimator, fold: Fold, metric: str, until: float
) -> Outcome | None:
    """Fit a fresh estimator on the rows that teach and score it on those held out; none once it is past `until`.

    `matrix` is (rows, features), `target` (rows,), `until` a moment in seconds since 1970.
    """
    if time.time() > until:
        return None
    train, held_out = fold
    started = time.perf_counter()
    weighed = terms.by(matrix, target, train)
    try:
        fitted = fit(clone(estimator), weighed[train], target[train])
    except ConfigError as error:
        return Outcome(None, error.problem, error.hint)
    between = time.perf_counter()
    score = scores.measure(metric, scored(fitted, weighed[held_out], target[held_out], target))
    if not np.isfinite(score):
        return Outcome(None, f"{metric} is no number on a fold", "choose another model_building.metric or fewer folds")
    return Outcome(score, fit_s=between - started, score_s=time.perf_counter() - between)


def fit(estimator: BaseEstimator, matrix: Any, target: NDArray[Any]) -> BaseEstimator:
    """Fit an estimator on a matrix (rows x features) and its target (rows).

    Raises
    ------
    ConfigError
        It refuses a parameter or the rows, or does not converge.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return estimator.fit(matrix, target)
        except ConvergenceWarning:
            problem = f"{type(estimator).__name__} did not converge in {estimator.get_params().get('max_iter')} rounds"
            raise ConfigError(problem, "raise max_iter under the candidate's params") from None
        except ValueError as error:
            raise ConfigError(f"{type(estimator).__name__} cannot be fitted: {error}", "check its params") from None


def scored(
    estimator: BaseEstimator, matrix: Any, target: NDArray[Any], everything: NDArray[Any] | None = None
) -> scores.Scored:
    """Return what a fitted estimator says of matrix rows, beside the truth; a class it never saw has no chance.

    `everything` is the target of all rows, which tells the classes and the positive one.
    """
    if not hasattr(estimator, "classes_"):
        return scores.Scored(target, estimator.predict(matrix))
    probabilities = estimator.predict_proba(matrix)
    classes, codes = np.unique(target if everything is None else everything, return_inverse=True)
    if everything is None:
        classes, codes = estimator.classes_, np.searchsorted(estimator.classes_, target)
    if len(classes) > len(estimator.classes_):
        known = probabilities
        probabilities = np.zeros((len(known), len(classes)))
        probabilities[:, np.searchsorted(classes, estimator.classes_)] = known
    truth = np.searchsorted(classes, target)
    return scores.Scored(truth, probabilities.argmax(axis=1), probabilities, scores.rarer(codes))
