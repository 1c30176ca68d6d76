"""Cross-validation task: one trial on one fold, fitted on its train rows and scored on those held out."""

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
from lockstep.modeling.search.term_weights import TermWeights


@dataclass(frozen=True)
class FoldResult:
    """The score of one trial on one fold and how long that took, or why it failed."""

    score: float | None
    cause: str = ""
    hint: str = ""
    fit_s: float = 0.0
    score_s: float = 0.0


def fit_task(
    matrix: Any,
    target: NDArray[Any],
    term_weights: TermWeights,
    positive: int | None,
    estimator: BaseEstimator,
    fold: Fold,
    metric: str,
    until: float,
) -> FoldResult | None:
    """Fit a fresh estimator on the train rows of a fold and score it on those held out; None once it is past `until`.

    `matrix` is (rows, features), `target` (rows,), `positive` the code of the positive class, `until` a moment in
    seconds since 1970.
    """
    if time.time() > until:
        return None
    train, held_out = fold
    started = time.perf_counter()
    weighted = term_weights.reweight(matrix, target, train)
    try:
        fitted = fit(clone(estimator), weighted[train], target[train])
    except ConfigError as error:
        return FoldResult(None, error.problem, error.hint)
    between = time.perf_counter()
    score = scores.measure(metric, predict(fitted, weighted[held_out], target[held_out], target, positive))
    if not np.isfinite(score):
        return FoldResult(
            None, f"{metric} is no number on a fold", "choose another model_building.metric or fewer folds"
        )
    return FoldResult(score, fit_s=between - started, score_s=time.perf_counter() - between)


def fit(estimator: BaseEstimator, matrix: Any, target: NDArray[Any]) -> BaseEstimator:
    """Fit an estimator on a matrix (rows x features) and its target (rows).

    Raises ConfigError: it refuses a parameter or the rows, or does not converge.
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


def predict(
    estimator: BaseEstimator, matrix: Any, target: NDArray[Any], all_targets: NDArray[Any], positive: int | None = None
) -> scores.Scored:
    """Return the predictions of a fitted estimator beside the target; a class without train rows has probability 0.

    `all_targets` are those of all rows, which tell the classes, and the rarer one where no `positive` one is named.
    """
    if not hasattr(estimator, "classes_"):
        return scores.Scored(target, estimator.predict(matrix))
    probabilities = estimator.predict_proba(matrix)
    classes, codes = np.unique(all_targets, return_inverse=True)
    if len(classes) > len(estimator.classes_):
        narrow = probabilities
        probabilities = np.zeros((len(narrow), len(classes)))
        probabilities[:, np.searchsorted(classes, estimator.classes_)] = narrow
    truth = np.searchsorted(classes, target)
    positive = scores.rarer(codes) if positive is None else positive
    return scores.Scored(truth, probabilities.argmax(axis=1), probabilities, positive)
